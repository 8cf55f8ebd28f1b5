"""Lance, through its official client LanceDB: tables in a folder, or on object storage."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

import lancedb
import numpy as np
import pyarrow as pa

from soundalike.push.contract import NUMBERS, TEXTS, WHOLE, Fields, Hit, Metric, Row, Shape, Store, Where
from soundalike.push.target import Target
from soundalike.types import F32

_METRICS: dict[Metric, str] = {"cosine": "cosine", "euclidean": "l2", "dot": "dot"}
_INDEX_FROM = 20_000  # rows; below, the scan of all is exact and fast


class Lance(Store):
    """A table of Lance. Exact below 20,000 rows, an index (HNSW, int8, compared again in full) above."""

    batch_rows = 5000  # each write is a new version: few and large ones

    def __init__(self, target: Target) -> None:
        self.name, self._collection = str(target), target.collection
        self._db = lancedb.connect(target.place)

    def _open(self) -> Any:
        return self._db.open_table(self._collection)

    def _metric(self, table: Any) -> Metric:
        return (table.schema.metadata or {}).get(b"metric", b"cosine").decode()  # type: ignore[no-any-return]

    def shape(self) -> Shape | None:  # noqa: D102
        if self._collection not in self._db.list_tables().tables:
            return None
        table = self._open()
        return Shape(table.schema.field("vector").type.list_size, self._metric(table))

    def create(self, shape: Shape) -> None:  # noqa: D102
        self._db.create_table(self._collection, schema=_schema(shape))

    def upsert(self, rows: Sequence[Row]) -> None:  # noqa: D102
        table = self._open()
        lines = [{"id": row.id, "vector": row.vector, **row.fields} for row in rows]
        data = pa.Table.from_pylist(lines, schema=table.schema)
        table.merge_insert("id").when_matched_update_all().when_not_matched_insert_all().execute(data)

    def query(self, vector: F32, n: int, where: Where) -> list[Hit]:  # noqa: D102
        table = self._open()
        metric = self._metric(table)
        asked = table.search(vector, vector_column_name="vector").distance_type(_METRICS[metric]).limit(n)
        asked = asked.nprobes(64).refine_factor(10)
        if where:
            asked = asked.where(_filter(where), prefilter=True)
        names = ["id", *_FIELDS, "_distance"]
        return [Hit(r["id"], _score(r["_distance"], metric), _fields(r)) for r in asked.select(names).to_list()]

    def digests(self, ids: Sequence[str]) -> dict[str, str]:  # noqa: D102
        found = self._open().search().where(_among(ids)).select(["id", "digest"]).limit(len(ids)).to_list()
        return {row["id"]: row["digest"] for row in found}

    def read(self) -> Generator[Row, None, None]:  # noqa: D102
        for batch in self._open().search().to_batches():
            vectors = batch["vector"].flatten().to_numpy().reshape(batch.num_rows, -1)
            rows = batch.drop_columns(["vector"]).to_pylist()
            for row, vector in zip(rows, vectors, strict=True):
                yield Row(row["id"], np.array(vector, np.float32), _fields(row))

    def delete(self, ids: Sequence[str]) -> None:  # noqa: D102
        self._open().delete(_among(ids))

    def count(self, where: Where) -> int:  # noqa: D102
        return int(self._open().count_rows(_filter(where) if where else None))

    def finish(self) -> None:  # noqa: D102
        table = self._open()
        if table.count_rows() >= _INDEX_FROM and not table.list_indices():
            distance = _METRICS[self._metric(table)]
            table.create_index(distance, vector_column_name="vector", index_type="IVF_HNSW_SQ")
        table.optimize()


_TYPES = (
    dict.fromkeys(TEXTS, pa.string()) | dict.fromkeys(NUMBERS, pa.float64()) | dict.fromkeys(WHOLE, pa.int64())
    | {"tags": pa.list_(pa.string())}
)  # fmt: skip
_FIELDS = tuple(_TYPES)


def _schema(shape: Shape) -> pa.Schema:
    columns = {"id": pa.string(), "vector": pa.list_(pa.float32(), shape.dim), **_TYPES}
    return pa.schema(list(columns.items()), metadata={"metric": shape.metric})


def _fields(row: dict[str, Any]) -> Fields:
    return {name: row[name] for name in _FIELDS if row.get(name) is not None}


def _score(distance: float, metric: Metric) -> float:
    return float(np.sqrt(max(distance, 0.0))) if metric == "euclidean" else 1.0 - distance


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _among(ids: Sequence[str]) -> str:
    return f"id IN ({', '.join(_text(key) for key in ids)})"


def _filter(where: Where) -> str:
    must = [f"{name} = {_text(value)}" for name, value in (where.texts or {}).items()]
    must += [f"array_has(tags, {_text(tag)})" for tag in where.tags]
    must += [f"duration_seconds >= {where.min_s!r}"] if where.min_s is not None else []
    must += [f"duration_seconds <= {where.max_s!r}"] if where.max_s is not None else []
    return " AND ".join(must)
