"""What answers look like, for the description at ``/openapi.json``; tests hold the answers to it."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict


class Answer(BaseModel):
    """An answer; all of its fields are here."""

    model_config = ConfigDict(extra="forbid")


class Error(Answer):
    """What went wrong: what, which, what to do."""

    error: str


class Done(Answer):
    """It is done."""

    ok: bool


class Begun(Answer):
    """A job that was put into the queue."""

    id: str


class Sound(Answer):
    """A sound of the library."""

    id: int
    path: str
    name: str
    folder: str
    duration_seconds: float
    sample_rate: int
    channels: int
    container: str
    codec: str
    favorite: bool
    why: list[str]  # aspects in which it is very alike
    tags: dict[str, str] | None = None


class Match(Sound):
    """One result."""

    rank: int
    score: float | None = None
    probability: float | None = None
    start_s: float | None = None
    end_s: float | None = None
    aspects: dict[str, float] | None = None


class Matches(Answer):
    """Results of a search."""

    matches: list[Match]
    n_passed: int  # sounds that pass the filters
    n_total: int
    nothing_alike: bool  # even the best match is none
    took_ms: float


class Sounds(Answer):
    """Some sounds."""

    matches: list[Sound]


class SoundFacts(Sound):
    """All that is known of a sound."""

    size: int  # bytes
    modified: str | None
    is_there: bool
    n_segments: int
    sha256: str
    bits_per_sample: int | None
    bit_rate: int | None


class Model(Answer):
    """A model."""

    name: str
    summary: str
    licence: str
    dim: int
    has_text: bool
    limits: str
    trained_on: str


class ListedModel(Model):
    """A model of the list."""

    n_bytes: int
    installed: bool
    in_use: bool


class Status(Answer):
    """What is in the library."""

    library: str
    path: str
    model: Model
    pipeline: str
    dim: int
    n_sounds: int
    n_segments: int
    n_failed: int
    n_failures: int
    sound_seconds: float
    duration_seconds: float
    folders: list[str]
    n_indexed: int
    n_bytes: int
    rebuilding: str | None
    n_rebuilt: int
    updating: str | None  # the job that runs
    aspects: list[str]
    calibrated: bool
    version: str


class Failure(Answer):
    """A file that has no embedding."""

    path: str
    name: str
    code: str
    reason: str


class Count(Answer):
    """A name, and how many sounds have it."""

    name: str
    n: int


class FolderCount(Count):
    """A folder, and how many sounds are below it."""

    path: str


class ValueCount(Answer):
    """The value of a tag, and how many sounds have it."""

    value: str
    n: int


class Durations(Answer):
    """Shortest and longest, in seconds."""

    min: float
    max: float


class Facets(Answer):
    """What filters can be set to."""

    folders: list[FolderCount]
    formats: list[Count]
    tags: dict[str, list[ValueCount]]
    durations: Durations


class Upload(Answer):
    """A sound that was dropped."""

    id: str
    name: str
    duration_seconds: float


class Folder(Answer):
    """A folder to choose."""

    id: str
    name: str
    n_sounds: int | None = None


class FolderHere(Folder):
    """The folder that is looked at."""

    path: str


class Listing(Answer):
    """A folder, those inside it, and places to begin at."""

    at: FolderHere
    parent: str | None
    folders: list[Folder]
    places: list[Folder]


class Job(Answer):
    """A job."""

    id: str
    kind: str
    state: Literal["queued", "running", "done", "failed", "cancelled"]
    done: int
    total: int
    rate: float
    eta_s: float | None
    message: str
    error: str | None
    n_failed: int
    version: int


class Colors(Answer):
    """Colors of groups and folders, by their numbers."""

    light: list[str]
    dark: list[str]


class Map(Answer):
    """Groups and folders of the map."""

    n: int
    names: list[str]
    folders: list[str]
    colors: Colors
    updated: str


class CopyPair(Answer):
    """What the second of two sounds is to the first."""

    first: int
    second: int
    kinds: list[str]
    sure: float
    start_s: float  # where the second begins on the clock of the first
    parameters: dict[str, float]
    words: str


class CopyGroup(Answer):
    """Sounds that are one recording."""

    group: str
    sounds: list[Sound]  # the one to keep first
    keeper: int
    why: str
    pairs: list[CopyPair]


class Moved(Answer):
    """Files that went to the trash."""

    n_moved: int


class Back(Answer):
    """Files that came back from the trash."""

    paths: list[str]


class Label(Answer):
    """A label and its examples."""

    name: str
    n_examples: int
    examples: list[int]


class Prediction(Answer):
    """What the classifier says of a sound."""

    sound: Sound
    label: str
    probability: float


class Suggestion(Answer):
    """A sound whose label would teach much."""

    sound: Sound
    doubt: float
    guess: str | None


def of(answer: Any) -> dict[int | str, dict[str, Any]]:
    """Describe the answers of a route: this one, or an error."""
    return {200: {"model": answer}, "4XX": {"model": Error}, 503: {"model": Error}}


def content(media_type: str) -> dict[int | str, dict[str, Any]]:
    """Describe the answers of a route that gives a file."""
    binary = {"schema": {"type": "string", "format": "binary"}}
    return {200: {"content": {media_type: binary}}, "4XX": {"model": Error}}
