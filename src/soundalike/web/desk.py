"""What all routes share: the library, and what the server keeps beside it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, TypeVar

from fastapi import Depends, HTTPException, Request

from soundalike.errors import SoundalikeError
from soundalike.library import Library, Sound
from soundalike.library.findings import Map
from soundalike.library.matrix import Ids
from soundalike.library.values import Facets
from soundalike.map2d.scene import group_by_folder
from soundalike.readable import shown
from soundalike.web.events import Bell
from soundalike.web.jobs import Jobs
from soundalike.web.marks import Marks
from soundalike.web.media import Media, Source, source_of
from soundalike.web.picker import Picker
from soundalike.web.uploads import Uploads

log = logging.getLogger("soundalike.web")
T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class PageMap:
    """The map, and the folders of its sounds."""

    found: Map
    folder: Ids  # (n,): number in ``folders``
    folders: tuple[str, ...]
    updated: str  # ISO 8601


def _page_map(library: Library, made: float) -> PageMap | None:
    found = library.kept_map()
    if found is None:
        return None
    paths = library.paths(found.ids)
    folder, folders = group_by_folder([paths[sound_id] for sound_id in found.ids.tolist()])
    return PageMap(found, folder, tuple(map(shown, folders)), datetime.fromtimestamp(made, UTC).isoformat())


class Desk:
    """One open library, and everything that is done with it."""

    def __init__(self, library: Library, device: str = "auto") -> None:
        self.library, self.device = library, device
        self.bell = Bell()
        self.n_streams = self.n_coming = 0  # streams of events that are open; uploads that are coming in
        self.jobs = Jobs(self.bell.ring)
        self.uploads = Uploads(lambda: library.model)
        self.media = Media(library.path / "cache" / "web")
        self.picker = Picker()
        self.marks = Marks(library)
        self._warming = threading.Thread(target=self._load, name="warm-up", daemon=True)
        self._locks = {name: threading.Lock() for name in ("facets", "map", "classifier")}
        self._kept: dict[str, tuple[Any, Any]] = {}

    @classmethod
    def open(cls, path: Path | None, device: str = "auto") -> Desk:
        """Open a library; make it if it is not there."""
        return cls(Library.create(path, device=device), device)

    def warm_up(self) -> None:
        """Begin to load what the first question would wait for."""
        self._warming.start()

    def _load(self) -> None:
        try:
            self.uploads.sandbox.prepare()
            if self.library.model.card.text is not None:
                self.library.search(text=["a sound"], n=1)
        except SoundalikeError as error:  # each question will say so again
            log.warning("%s", error)

    def close(self) -> None:
        """End jobs and children, forget uploads, close the library."""
        self.bell.close()
        if self._warming.ident is not None:
            self._warming.join()
        self.jobs.close()
        self.uploads.close()
        self.library.close()

    def sound(self, sound_id: int) -> Sound:
        """Look up a sound; the request fails if it is not there."""
        sound = self.library.sound(sound_id) if 0 < sound_id < 1 << 40 else None
        if sound is None:
            raise HTTPException(404, f"there is no sound with the id {sound_id}; it may have been removed")
        return sound

    def source(self, sound_id: int) -> Source:
        """Find the file of a sound; the request fails if it is not there."""
        try:
            return source_of(self.library, self.sound(sound_id))
        except SoundalikeError as error:
            raise HTTPException(404, str(error)) from error

    def facets(self) -> Facets:
        """Count what filters can be set to; counted again when something was written."""
        return self.while_same("facets", self.library.version(), self.library.facets)

    def map(self) -> PageMap:
        """Give the map; the request fails if none was made."""
        files = list(self.library.path.glob("cache/map-*.npz"))
        made = max((file.stat().st_mtime for file in files), default=0.0)
        found = self.while_same("map", (self.library.version(), made), lambda: _page_map(self.library, made))
        if found is None:
            raise HTTPException(404, "there is no map yet: start the job `map`")
        return found

    def while_same(self, name: str, version: Any, make: Callable[[], T]) -> T:
        """Give what was made before, while the version is the same."""
        with self._locks[name]:
            kept = self._kept.get(name)
            if kept is None or kept[0] != version:
                kept = self._kept[name] = (version, make())
            found: T = kept[1]
            return found


def _desk(request: Request) -> Desk:
    desk = request.app.state.desk
    assert isinstance(desk, Desk)
    return desk


TheDesk = Annotated[Desk, Depends(_desk)]
