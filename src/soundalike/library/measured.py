"""The aspects of the sounds in a library: rows of `soundalike.aspects`, whatever the model.

They lie in the table ``aspects`` as vectors do in theirs: a row per sound, which never changes, in a space of their own
whose number is the version of their layout. New libraries have them from the first sound on; one that an earlier
version wrote gets them with its next ``sync``.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from soundalike import aspects
from soundalike.errors import SoundError
from soundalike.library import schema
from soundalike.library.store import Store, path_of
from soundalike.library.values import Progress, Space
from soundalike.parallel import n_cores
from soundalike.types import F32

if TYPE_CHECKING:
    from soundalike.library.ingest import OnProgress
    from soundalike.library.writer import Writer

SPACE = Space(aspects.VERSION, "aspects", "none", f"aspects-{aspects.VERSION}", aspects.SIZE)
UNKNOWN = np.array([aspects.VERSION, *[np.nan] * (aspects.SIZE - 1)], np.float32)
_AT_ONCE = 64  # sounds between two commits


def are_complete(store: Store) -> bool:
    """Whether every sound has its row."""
    return store.about("aspects") == str(SPACE.id)


def row_of(store: Store, sound_id: int) -> F32 | None:
    """Read the aspects of a sound; None if they are not known."""
    rows = store.query("SELECT row FROM aspects WHERE key = ?", [schema.key_of(SPACE.id, sound_id)])
    row = np.frombuffer(rows[0][0], np.float32) if rows else UNKNOWN
    return row if np.isfinite(row).all() else None


def measure_missing(
    store: Store, writer: Writer, workers: int | None, progress: Progress, on_progress: OnProgress
) -> None:
    """Measure the sounds that an earlier version has added; broken off, the next call goes on."""
    sql = "SELECT id, path FROM sounds WHERE NOT EXISTS (SELECT 1 FROM aspects WHERE key = ? + sounds.id) ORDER BY id"
    todo = store.query(sql, [schema.key_of(SPACE.id, 0)])
    progress.n_total += len(todo)
    with ThreadPoolExecutor(workers or n_cores()) as pool, writer.batches():
        for start in range(0, len(todo), _AT_ONCE):
            part = todo[start : start + _AT_ONCE]
            rows = pool.map(_measured, [path_of(path) for _, path in part])
            for (sound_id, _), row in zip(part, rows, strict=True):
                writer.put_aspects(sound_id, row)
            writer.commit()
            progress.n_measured += len(part)
            on_progress(progress)
    with writer.transaction():
        writer.set_about("aspects", str(SPACE.id))


def _measured(path: Path) -> F32 | None:
    try:
        return aspects.measure_file(path).to_array()
    except SoundError:
        return None
