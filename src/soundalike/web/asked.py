"""Bodies of requests, checked as they come in: sizes, ranges, kinds; what is not known is refused."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

MOST_RESULTS = 1000  # in one answer
Id = Annotated[int, Field(ge=1, lt=1 << 40)]
Name = Annotated[str, Field(min_length=1, max_length=200)]
Text = Annotated[str, Field(min_length=1, max_length=4096)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Offset = Annotated[int, Field(ge=0, le=10_000_000)]


class Asked(BaseModel):
    """A body; strict, and without surprises."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Token(Asked):
    """What the address has that `soundalike serve` printed."""

    token: Text


class PartAsked(Asked):
    """One part of a question: words, a sound of the library, or a sound that was dropped."""

    text: Text | None = None
    id: Id | None = None
    upload: Name | None = None
    weight: Annotated[float, Field(ge=-100, le=100, allow_inf_nan=False)] = 1.0  # negative: not like this

    @model_validator(mode="after")
    def _is_one(self) -> PartAsked:
        if sum(value is not None for value in (self.text, self.id, self.upload)) != 1:
            raise ValueError("a part of a question is one of text, id and upload")
        return self


class FiltersAsked(Asked):
    """Which sounds may be found."""

    min_duration: Seconds | None = None
    max_duration: Seconds | None = None
    folders: Annotated[list[Text], Field(max_length=200)] = []
    formats: Annotated[list[Name], Field(max_length=100)] = []
    channels: Annotated[list[Annotated[int, Field(ge=1, le=1024)]], Field(max_length=20)] = []
    tags: Annotated[dict[Name, Text], Field(max_length=20)] = {}
    since: datetime | None = None
    label: Name | None = None  # examples of this label
    favorite: bool = False  # only favorites
    ids: Annotated[list[Id], Field(max_length=100_000)] | None = None  # only these


class SearchAsked(Asked):
    """A question; without parts, all sounds that pass the filters are listed."""

    parts: Annotated[list[PartAsked], Field(max_length=50)] = []
    weigh: Annotated[dict[Name, Annotated[float, Field(ge=0, le=1000, allow_inf_nan=False)]], Field(max_length=20)] = {}
    filters: FiltersAsked = FiltersAsked()
    n: Annotated[int, Field(ge=1, le=MOST_RESULTS)] = 100
    offset: Offset = 0
    segments: bool = False


class FolderAsked(Asked):
    """A folder that somebody has typed."""

    path: Text


class JobAsked(Asked):
    """A job, with what it needs."""

    kind: Literal["add", "sync", "retry", "map", "duplicates", "rebuild", "pull", "push"]
    folder: Name | None = None  # of "add": an id from the picker
    model: Name | None = None  # of "rebuild" and "pull"
    target: Text | None = None  # of "push": the name of a collection on a server

    @model_validator(mode="after")
    def _is_whole(self) -> JobAsked:
        if (self.kind == "add") != (self.folder is not None):
            raise ValueError("a folder from the picker is needed to add, and only then")
        if (self.kind in ("rebuild", "pull")) != (self.model is not None):
            raise ValueError("a model is needed to rebuild or to pull, and only then")
        if (self.kind == "push") != (self.target is not None):
            raise ValueError("a target is needed to push, and only then")
        return self


class KeepAsked(Asked):
    """The one sound of a group of duplicates that stays."""

    group: Name
    keep: Id


class ExportAsked(Asked):
    """Sounds to take away."""

    ids: Annotated[list[Id], Field(min_length=1, max_length=100_000)]
    format: Literal["m3u", "csv", "json", "jsonl", "zip"]
