"""Milvus, through its official client: a server, or Milvus Lite inside this process."""

from __future__ import annotations

import json
from collections.abc import Generator, Sequence
from typing import Any

import grpc
import numpy as np
from pymilvus import DataType, MilvusClient
from pymilvus.exceptions import MilvusUnavailableException

from soundalike.push.contract import NUMBERS, TEXTS, WHOLE, Fields, Hit, Metric, Row, Shape, Store, Where
from soundalike.push.secrets import secret
from soundalike.push.target import Target
from soundalike.types import F32

_METRICS: dict[Metric, str] = {"cosine": "COSINE", "euclidean": "L2", "dot": "IP"}
_EF = 512  # candidates that a query looks at
_FIELDS = [*TEXTS, *NUMBERS, *WHOLE, "tags"]


class Milvus(Store):
    """A collection of Milvus. The fields are dynamic ones: each can be filtered by."""

    passing = (MilvusUnavailableException, grpc.RpcError)

    def __init__(self, target: Target) -> None:
        self.name, self._collection, self._remote = str(target), target.collection, target.remote
        self._client = MilvusClient(uri=target.place, token=(secret("milvus") if target.remote else None) or "")

    def shape(self) -> Shape | None:  # noqa: D102
        if not self._client.has_collection(self._collection):
            return None
        self._client.load_collection(self._collection)
        fields = self._client.describe_collection(self._collection)["fields"]
        dim = next(field["params"]["dim"] for field in fields if field["name"] == "vector")
        return Shape(int(dim), self._metric())

    def _metric(self) -> Metric:
        found = self._client.describe_index(self._collection, "vector")["metric_type"]
        return next(metric for metric, name in _METRICS.items() if name == found)

    def create(self, shape: Shape) -> None:  # noqa: D102
        schema = self._client.create_schema(auto_id=False, enable_dynamic_field=True)
        schema.add_field("id", DataType.VARCHAR, is_primary=True, max_length=36)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=shape.dim)
        index = self._client.prepare_index_params()
        index.add_index(
            "vector", index_type="HNSW", metric_type=_METRICS[shape.metric], params={"M": 16, "efConstruction": 200}
        )
        self._client.create_collection(
            self._collection, schema=schema, index_params=index, consistency_level="Strong"
        )

    def upsert(self, rows: Sequence[Row]) -> None:  # noqa: D102
        data = [{"id": row.id, "vector": row.vector.tolist(), **row.fields} for row in rows]
        self._client.upsert(self._collection, data)

    def query(self, vector: F32, n: int, where: Where) -> list[Hit]:  # noqa: D102
        metric = self._metric()
        found = self._client.search(
            self._collection, data=[vector.tolist()], limit=n, filter=_filter(where), output_fields=_FIELDS,
            search_params={"metric_type": _METRICS[metric], "params": {"ef": max(_EF, n)}},
        )[0]  # fmt: skip
        return [Hit(hit["id"], _score(hit["distance"], metric), _fields(hit["entity"])) for hit in found]

    def digests(self, ids: Sequence[str]) -> dict[str, str]:  # noqa: D102
        found = self._client.get(self._collection, ids=list(ids), output_fields=["digest"])
        return {row["id"]: row["digest"] for row in found}

    def read(self) -> Generator[Row, None, None]:  # noqa: D102
        pages = self._client.query_iterator(
            self._collection, batch_size=500, output_fields=["id", "vector", *_FIELDS]
        )
        try:
            while page := pages.next():
                for row in page:
                    yield Row(row["id"], np.asarray(row["vector"], np.float32), _fields(row))
        finally:
            pages.close()

    def delete(self, ids: Sequence[str]) -> None:  # noqa: D102
        self._client.delete(self._collection, ids=list(ids))

    def count(self, where: Where) -> int:  # noqa: D102
        found = self._client.query(self._collection, filter=_filter(where), output_fields=["count(*)"])
        return int(found[0]["count(*)"])

    def finish(self) -> None:  # noqa: D102
        self._client.flush(self._collection)

    def close(self) -> None:  # noqa: D102
        self._client.close()


def _fields(row: Any) -> Fields:
    return {name: row[name] for name in _FIELDS if row.get(name) is not None}


def _score(distance: float, metric: Metric) -> float:
    return float(np.sqrt(max(distance, 0.0))) if metric == "euclidean" else float(distance)


def _filter(where: Where) -> str:
    must = [f"{name} == {json.dumps(value)}" for name, value in (where.texts or {}).items()]
    must += [f"json_contains(tags, {json.dumps(tag)})" for tag in where.tags]
    must += [f"duration_seconds >= {where.min_s!r}"] if where.min_s is not None else []
    must += [f"duration_seconds <= {where.max_s!r}"] if where.max_s is not None else []
    return " and ".join(must)
