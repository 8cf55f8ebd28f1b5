"""Facets: what filters can be set to, and how many sounds each has."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from soundalike.library.store import Store, path_of
from soundalike.library.values import Facets
from soundalike.readable import format_name

TAGS = ("genre", "artist", "album", "key", "bpm")  # whose values are worth a list
MOST_VALUES = 200  # of each tag
MOST_FOLDERS = 2000


def facets_of(store: Store) -> Facets:
    """Count folders, formats and tags over the whole library."""
    shortest_s, longest_s = store.query("SELECT ifnull(min(duration_s), 0), ifnull(max(duration_s), 0) FROM sounds")[0]
    sql = "SELECT container, count(*) FROM sounds GROUP BY container"
    formats = Counter[str]()
    for container, n in store.query(sql):
        formats[format_name(container)] += n
    return Facets(
        _folders(store), tuple(formats.most_common()), {name: _values(store, name) for name in TAGS},
        shortest_s, longest_s,
    )  # fmt: skip


def _values(store: Store, name: str) -> tuple[tuple[str, int], ...]:
    sql = "SELECT value, count(*) AS n FROM tags WHERE name = ? GROUP BY value ORDER BY n DESC, value LIMIT ?"
    return tuple((value, n) for value, n in store.query(sql, [name, MOST_VALUES]))


def _folders(store: Store) -> tuple[tuple[Path, int], ...]:
    """Folders with the number of sounds below, by path; of very many the highest in the tree."""
    own = Counter(os.path.dirname(path) for (path,) in store.query("SELECT path FROM sounds"))  # noqa: PTH120 - bytes
    counts = _with_parents(own.items(), [os.fsencode(root) for root in store.roots()])
    kept = sorted(counts, key=lambda folder: (folder.count(os.fsencode(os.sep)), folder))[:MOST_FOLDERS]
    return tuple((path_of(folder), counts[folder]) for folder in sorted(kept))


def _with_parents(own: Iterable[tuple[bytes, int]], roots: list[bytes]) -> Counter[bytes]:
    """Count also for the folders above, up to those that were added."""
    counts = Counter[bytes]()
    for folder, n in own:
        counts[folder] += n
        while folder not in roots and any(folder.startswith(root + os.fsencode(os.sep)) for root in roots):
            folder = os.path.dirname(folder)  # noqa: PTH120
            counts[folder] += n
    return counts
