"""Filters to SQL: which sounds may be found."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import orjson

from soundalike.library.matrix import Ids
from soundalike.library.store import Store, below, path_bytes
from soundalike.library.values import Filters
from soundalike.readable import FORMATS

Condition = tuple[str, list[Any]]
_CONTAINERS = {called: name for name, called in FORMATS.items()} | {"aif": "aiff", "mka": "matroska"}


def allowed_ids(store: Store, filters: Filters) -> Ids:
    """Ids of the sounds that pass, ascending."""
    conditions = list(_conditions(filters))
    where = " AND ".join(sql for sql, _ in conditions) or "1"
    values = [value for _, part in conditions for value in part]
    ((joined,),) = store.query(f"SELECT group_concat(id) FROM sounds WHERE {where}", values)
    ids = np.fromstring(joined or "", np.int64, sep=",")  # one string is faster than a Python number for each
    ids.sort()
    return ids


def first_ids(store: Store, filters: Filters, n: int, offset: int) -> list[int]:
    """Ids of ``n`` of the sounds that pass, in the order of their paths."""
    conditions = list(_conditions(filters))
    where = " AND ".join(sql for sql, _ in conditions) or "1"
    values = [value for _, part in conditions for value in part]
    rows = store.query(f"SELECT id FROM sounds WHERE {where} ORDER BY path LIMIT ? OFFSET ?", [*values, n, offset])
    return [sound_id for (sound_id,) in rows]


def _conditions(filters: Filters) -> Iterator[Condition]:
    if filters.min_s is not None:
        yield "duration_s >= ?", [filters.min_s]
    if filters.max_s is not None:
        yield "duration_s <= ?", [filters.max_s]
    if filters.folders:
        ranges = [below(path_bytes(os.fspath(folder))) for folder in filters.folders]
        yield _any("path >= ? AND path < ?", len(ranges)), [edge for pair in ranges for edge in pair]
    if filters.formats:
        names = [name.lower().removeprefix(".") for name in filters.formats]
        sql = "codec = ? OR instr(',' || container || ',', ',' || ? || ',')"
        yield _any(sql, len(names)), [value for name in names for value in (name, _CONTAINERS.get(name, name))]
    if filters.channels:
        yield _any("channels = ?", len(filters.channels)), list(filters.channels)
    if filters.added_since is not None:
        yield "added_at >= ?", [filters.added_since.timestamp()]
    if filters.ids is not None:
        yield "id IN (SELECT value FROM json_each(?))", [orjson.dumps(sorted(filters.ids)).decode()]
    for name, pattern in filters.tags.items():
        sql = "id IN (SELECT sound_id FROM tags WHERE name = ? AND value LIKE ? ESCAPE '\\')"
        yield sql, [name.lower(), like_pattern(pattern)]


def _any(sql: str, n: int) -> str:
    return "(" + " OR ".join([f"({sql})"] * n) + ")"


def like_pattern(pattern: str) -> str:
    r"""Turn a pattern with ``*`` for anything into one of SQL's LIKE, which ignores the case of letters.

    Examples
    --------
    >>> like_pattern("100%*")
    '100\\%%'
    """
    for special in ("\\", "%", "_"):
        pattern = pattern.replace(special, "\\" + special)
    return pattern.replace("*", "%")
