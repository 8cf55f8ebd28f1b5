"""Postgres with pgvector, through psycopg."""

from __future__ import annotations

import json
import uuid
from collections.abc import Generator, Sequence
from typing import Any

import numpy as np
import psycopg
from pgvector import Vector
from pgvector.psycopg import register_vector
from psycopg import sql

from soundalike.push.contract import NUMBERS, TEXTS, WHOLE, Fields, Hit, Metric, Row, Shape, Store, Where
from soundalike.push.target import Target
from soundalike.types import F32

_OPERATORS: dict[Metric, tuple[str, str]] = {  # operator of the distance, class of the index
    "cosine": ("<=>", "vector_cosine_ops"),
    "euclidean": ("<->", "vector_l2_ops"),
    "dot": ("<#>", "vector_ip_ops"),
}
_TYPES = (
    dict.fromkeys(TEXTS, "text") | dict.fromkeys(NUMBERS, "double precision") | dict.fromkeys(WHOLE, "bigint")
    | {"tags": "text[]"}
)  # fmt: skip
_FIELDS = tuple(_TYPES)
_COLUMNS = sql.SQL(", ").join(map(sql.Identifier, _FIELDS))
_MOST_INDEXED = 2000  # numbers of a vector that pgvector can index
_EF = 200  # candidates that a query looks at


class Postgres(Store):
    """A table of Postgres, with the type of pgvector. What it is for stands in the comment of the table."""

    passing = (psycopg.OperationalError,)

    def __init__(self, target: Target) -> None:
        self.name, self._url, self._table = str(target), target.place, sql.Identifier(target.collection)
        self._connection: psycopg.Connection[Any] | None = None
        self._metric: Metric = "cosine"
        self._run("SELECT 1")

    def _connect(self) -> psycopg.Connection[Any]:
        """Connect, again if the connection was lost."""
        if self._connection is None or self._connection.closed or self._connection.broken:
            self._connection = psycopg.connect(self._url, autocommit=True, connect_timeout=30)
            self._connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
            register_vector(self._connection)
            self._connection.execute(f"SET hnsw.ef_search = {_EF}")
            self._connection.execute("SET hnsw.iterative_scan = strict_order")  # a filter leaves enough answers
        return self._connection

    def _run(self, query: str, values: Sequence[Any] = (), **parts: sql.Composable) -> list[Any]:
        text = sql.SQL(query).format(table=self._table, columns=_COLUMNS, **parts)
        done = self._connect().execute(text, values)
        return done.fetchall() if done.description else []

    def shape(self) -> Shape | None:  # noqa: D102
        found = self._run(
            "SELECT atttypmod, obj_description(attrelid) FROM pg_attribute "
            "WHERE attrelid = to_regclass(%s) AND attname = 'vector'", [self._table.as_string(None)],
        )  # fmt: skip
        if not found:
            return None
        dim, comment = found[0]
        self._metric = json.loads(comment or "{}").get("metric", "cosine")
        return Shape(dim, self._metric)

    def create(self, shape: Shape) -> None:  # noqa: D102
        self._metric = shape.metric
        types = [sql.SQL("{} " + kind).format(sql.Identifier(name)) for name, kind in _TYPES.items()]
        dim, comment = sql.Literal(shape.dim), sql.Literal(json.dumps({"metric": shape.metric}))
        with self._connect().transaction():
            self._run(
                "CREATE TABLE {table} (id uuid PRIMARY KEY, vector vector({dim}) NOT NULL, {types})",
                dim=dim, types=sql.SQL(", ").join(types),
            )  # fmt: skip
            self._run("COMMENT ON TABLE {table} IS {comment}", comment=comment)
            for name in ("duration_seconds", "filename", "path"):
                self._run("CREATE INDEX ON {table} ({column})", column=sql.Identifier(name))
            self._run("CREATE INDEX ON {table} USING gin (tags)")
            if shape.dim <= _MOST_INDEXED:
                operators = sql.SQL(_OPERATORS[shape.metric][1])
                self._run("CREATE INDEX ON {table} USING hnsw (vector {operators})", operators=operators)

    def upsert(self, rows: Sequence[Row]) -> None:  # noqa: D102
        names = ("vector", *_FIELDS)
        sets = [sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name)) for name in names]
        connection = self._connect()
        with connection.transaction(), connection.cursor() as cursor:
            cursor.execute(sql.SQL("CREATE TEMP TABLE incoming (LIKE {}) ON COMMIT DROP").format(self._table))
            command = sql.SQL("COPY incoming (id, vector, {}) FROM STDIN WITH (FORMAT BINARY)").format(_COLUMNS)
            with cursor.copy(command) as copy:
                copy.set_types(["uuid", "vector", *_TYPES.values()])
                for row in rows:
                    values = (row.fields.get(name) for name in _FIELDS)
                    copy.write_row([uuid.UUID(row.id), Vector(row.vector), *values])
            cursor.execute(
                sql.SQL(
                    "INSERT INTO {table} (id, vector, {columns}) SELECT id, vector, {columns} FROM incoming "
                    "ON CONFLICT (id) DO UPDATE SET {sets}"
                ).format(table=self._table, columns=_COLUMNS, sets=sql.SQL(", ").join(sets))
            )

    def query(self, vector: F32, n: int, where: Where) -> list[Hit]:  # noqa: D102
        condition, values = _filter(where)
        found = self._run(
            "SELECT id, vector {operator} %s AS distance, {columns} FROM {table} WHERE {condition} "
            "ORDER BY distance LIMIT %s", [vector, *values, n],
            operator=sql.SQL(_OPERATORS[self._metric][0]), condition=condition,
        )  # fmt: skip
        return [Hit(str(key), _score(distance, self._metric), _fields(rest)) for key, distance, *rest in found]

    def digests(self, ids: Sequence[str]) -> dict[str, str]:  # noqa: D102
        found = self._run("SELECT id, digest FROM {table} WHERE id = ANY(%s::uuid[])", [list(ids)])
        return {str(key): digest or "" for key, digest in found}

    def read(self) -> Generator[Row, None, None]:  # noqa: D102
        last = "00000000-0000-0000-0000-000000000000"
        page = "SELECT id, vector, {columns} FROM {table} WHERE id > %s ORDER BY id LIMIT 500"
        while found := self._run(page, [last]):
            for key, vector, *rest in found:
                yield Row(str(key), np.asarray(vector.to_numpy(), np.float32), _fields(rest))
            last = str(found[-1][0])

    def delete(self, ids: Sequence[str]) -> None:  # noqa: D102
        self._run("DELETE FROM {table} WHERE id = ANY(%s::uuid[])", [list(ids)])

    def count(self, where: Where) -> int:  # noqa: D102
        condition, values = _filter(where)
        found = self._run("SELECT count(*) FROM {table} WHERE {condition}", values, condition=condition)
        return int(found[0][0])

    def finish(self) -> None:  # noqa: D102
        self._run("ANALYZE {table}")

    def close(self) -> None:  # noqa: D102
        if self._connection is not None:
            self._connection.close()


def _fields(values: Sequence[Any]) -> Fields:
    return {name: value for name, value in zip(_FIELDS, values, strict=True) if value is not None}


def _score(distance: float, metric: Metric) -> float:
    return {"cosine": 1.0 - distance, "euclidean": distance, "dot": -distance}[metric]


def _filter(where: Where) -> tuple[sql.Composable, list[Any]]:
    must: list[tuple[sql.Composable, Any]] = [
        (sql.SQL("{} = %s").format(sql.Identifier(name)), value) for name, value in (where.texts or {}).items()
    ]
    must += [(sql.SQL("tags @> ARRAY[%s::text]"), tag) for tag in where.tags]
    must += [(sql.SQL("duration_seconds >= %s"), where.min_s)] if where.min_s is not None else []
    must += [(sql.SQL("duration_seconds <= %s"), where.max_s)] if where.max_s is not None else []
    texts = [text for text, _ in must] or [sql.SQL("true")]
    return sql.SQL(" AND ").join(texts), [value for _, value in must]
