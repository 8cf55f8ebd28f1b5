"""Duplicates in a library, as methods of `soundalike.Library`; the room `duplicates` finds them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from soundalike.errors import LibraryError
from soundalike.library.ingest import is_below
from soundalike.library.store import path_bytes
from soundalike.library.values import Filters, Progress, Sound
from soundalike.library.writer import Writer
from soundalike.library.writing import forget, welcome
from soundalike.types import F32, Failure

if TYPE_CHECKING:
    from soundalike.duplicates import Group, Kind, Recording, Relation
    from soundalike.duplicates.finding import OnProgress


@dataclass(frozen=True, slots=True)
class Duplicate:
    """Two sounds that are one recording; the first is the one to keep."""

    first: Sound
    second: Sound
    relation: Relation
    words: str


@dataclass(frozen=True, slots=True)
class DuplicateGroup:
    """Sounds that are one recording."""

    sounds: tuple[Sound, ...]  # the one to keep first
    why: str  # that one is kept
    pairs: tuple[Duplicate, ...]


class DuplicateFinder:
    """What `soundalike.Library` answers about sounds that are one recording."""

    if TYPE_CHECKING:  # what Library has
        path: Path

        def _sounds_and_vectors(self, filters: Filters | None = None) -> tuple[list[Sound], F32]: ...
        def _writing(self, doing: str) -> AbstractContextManager[Writer]: ...
        def _ingest(self, writer: Writer, files: Sequence[Path], progress: Progress) -> Progress: ...

    def duplicates(
        self,
        *,
        kinds: Collection[Kind] | None = None,
        across: tuple[str | Path, str | Path] | None = None,
        filters: Filters | None = None,
        least_sure: float | None = None,
        workers: int | None = None,
        on_progress: OnProgress | None = None,
    ) -> tuple[list[DuplicateGroup], list[Failure]]:
        """Find the sounds that are one recording: copied, coded, trimmed, pitched, filtered.

        Parameters
        ----------
        kinds : pairs with at least one of these among what was done; by default all. See `soundalike.duplicates.KINDS`
        across : two folders: only pairs with one sound in each
        filters : which sounds
        least_sure : how sure a pair has to be, [0, 1]; `soundalike.duplicates.LEAST_SURE` by default
        workers : files and pairs at once; one per core by default
        on_progress : called with the step ("read", "compare"), what is done, and of how much

        Returns
        -------
        groups, by the path of the sound to keep; and files that could not be read
        """
        from soundalike.duplicates import LEAST_SURE, find, groups_of
        from soundalike.duplicates.finding import no_progress

        sounds, vectors = self._sounds_and_vectors(filters)
        recordings = [_recording(sound) for sound in sounds]
        pairs, failures = find(
            recordings, vectors, allowed=_across(sounds, across), workers=workers,
            least_sure=LEAST_SURE if least_sure is None else least_sure, on_progress=on_progress or no_progress,
        )  # fmt: skip
        kept = [pair for pair in pairs if kinds is None or set(kinds) & set(pair.relation.kinds)]
        return [_named(group, sounds, recordings) for group in groups_of(kept, recordings)], failures

    def trash_duplicates(self, groups: Iterable[DuplicateGroup], trash: str | Path | None = None) -> Path:
        """Move all but the first sound of each group into a trash folder, and forget them.

        Nothing moves before this is the only process that writes to the library.

        Parameters
        ----------
        trash : by default a folder of the library

        Returns
        -------
        the new folder in the trash

        Raises
        ------
        LibraryBusy
            if another process is writing
        SoundalikeError
            if a file cannot be moved; those before it can be put back
        """
        from soundalike.duplicates import move_to_trash

        kept, others = set(), dict[Path, None]()
        for group in groups:
            kept.add(group.sounds[0].path)
            others.update((sound.path, None) for sound in group.sounds[1:])
        paths = [path for path in others if path not in kept]
        with self._writing("duplicates --apply") as writer:
            folder = move_to_trash(paths, self._trash(trash))
            forget(writer, paths)
        return folder

    def undo_trash(self, trash: str | Path | None = None) -> list[Path]:
        """Put back what `trash_duplicates` has moved last, and index it again.

        Parameters
        ----------
        trash : as it was given to `trash_duplicates`

        Returns
        -------
        the files that are back

        Raises
        ------
        LibraryError
            if there is nothing to put back
        LibraryBusy
            if another process is writing
        SoundalikeError
            as `soundalike.duplicates.put_back`
        """
        from soundalike.duplicates import last_moved, put_back

        with self._writing("duplicates --undo") as writer:
            folder = last_moved(self._trash(trash))
            if folder is None:
                raise LibraryError(self._trash(trash), "this trash is empty: there is nothing to put back")
            back = put_back(folder)
            welcome(writer, back)
            self._ingest(writer, back, Progress(len(back)))
        return back

    def _trash(self, trash: str | Path | None) -> Path:
        return self.path / "trash" if trash is None else Path(trash).expanduser()


def _recording(sound: Sound) -> Recording:
    from soundalike.duplicates import Recording

    return Recording(
        sound.path, sound.duration_s, sound.sample_rate, sound.channels, sound.codec, sound.bits_per_sample, sound.size,
        sound.sha256,
    )  # fmt: skip


def _across(sounds: Sequence[Sound], folders: tuple[str | Path, str | Path] | None) -> Callable[[int, int], bool]:
    if folders is None:
        return lambda first, second: True
    in_one, in_other = (
        [is_below(sound.path_bytes, [path_bytes(Path(folder).expanduser())]) for sound in sounds] for folder in folders
    )

    def allowed(first: int, second: int) -> bool:
        return (in_one[first] and in_other[second]) or (in_one[second] and in_other[first])

    return allowed


def _named(group: Group, sounds: Sequence[Sound], recordings: Sequence[Recording]) -> DuplicateGroup:
    from soundalike.duplicates import in_words

    pairs = (
        Duplicate(sounds[one.first], sounds[one.second], one.relation, in_words(*sides, one.relation))
        for one in group.pairs
        for sides in [(recordings[one.first], recordings[one.second])]
    )
    return DuplicateGroup(tuple(sounds[row] for row in group.rows), group.why, tuple(pairs))
