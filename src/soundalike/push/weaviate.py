"""Weaviate, through its official client (REST and gRPC)."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import weaviate
from weaviate.classes.config import Configure, DataType, Property, Tokenization, VectorDistances
from weaviate.classes.data import DataObject
from weaviate.classes.init import Auth
from weaviate.classes.query import Filter, MetadataQuery
from weaviate.exceptions import WeaviateConnectionError, WeaviateGRPCUnavailableError, WeaviateTimeoutError

from soundalike.errors import StoreError
from soundalike.push.contract import NUMBERS, TEXTS, WHOLE, Fields, Hit, Metric, Row, Shape, Store, Where
from soundalike.push.secrets import secret
from soundalike.push.target import Target
from soundalike.types import F32

_DISTANCES: dict[Metric, VectorDistances] = {
    "cosine": VectorDistances.COSINE,
    "euclidean": VectorDistances.L2_SQUARED,
    "dot": VectorDistances.DOT,
}
_EF = 512  # candidates that a query looks at


class Weaviate(Store):
    """A collection of Weaviate. It writes the first letter of a collection's name large."""

    passing = (WeaviateConnectionError, WeaviateGRPCUnavailableError, WeaviateTimeoutError)

    def __init__(self, target: Target) -> None:
        self.name, self._collection = str(target), target.collection
        url, key = urlsplit(target.place), secret("weaviate")
        secure, host = url.scheme == "https", url.hostname or "localhost"
        self._client = weaviate.connect_to_custom(
            http_host=host, http_port=url.port or (443 if secure else 8080), http_secure=secure,
            grpc_host=target.options.get("grpc_host", host),
            grpc_port=int(target.options.get("grpc_port", 443 if secure else 50051)), grpc_secure=secure,
            auth_credentials=Auth.api_key(key) if key else None,
        )  # fmt: skip
        self._metric: Metric = "cosine"

    def _open(self) -> Any:
        return self._client.collections.use(self._collection)

    def shape(self) -> Shape | None:  # noqa: D102
        if not self._client.collections.exists(self._collection):
            return None
        config = self._open().config.get()
        index = config.vector_config["default"].vector_index_config
        self._metric = next(metric for metric, name in _DISTANCES.items() if name == index.distance_metric)
        return Shape(int((config.description or "0").rpartition(" ")[2]), self._metric)

    def create(self, shape: Shape) -> None:  # noqa: D102
        index = Configure.VectorIndex.hnsw(
            distance_metric=_DISTANCES[shape.metric], ef=_EF, ef_construction=200, max_connections=16
        )
        kinds = dict.fromkeys(TEXTS, DataType.TEXT) | dict.fromkeys(NUMBERS, DataType.NUMBER)
        kinds |= dict.fromkeys(WHOLE, DataType.INT) | {"tags": DataType.TEXT_ARRAY}
        texts = (DataType.TEXT, DataType.TEXT_ARRAY)
        self._client.collections.create(
            self._collection, description=f"soundalike, vectors of {shape.dim}",
            vector_config=Configure.Vectors.self_provided(vector_index_config=index),
            properties=[
                Property(
                    name=name, data_type=kind, index_filterable=True,
                    index_range_filters=True if kind == DataType.NUMBER else None,
                    tokenization=Tokenization.FIELD if kind in texts else None,
                )
                for name, kind in kinds.items()
            ],
        )  # fmt: skip
        self._metric = shape.metric

    def upsert(self, rows: Sequence[Row]) -> None:  # noqa: D102
        done = self._open().data.insert_many(
            [DataObject(properties=row.fields, uuid=row.id, vector=row.vector.tolist()) for row in rows]
        )
        if done.has_errors:
            first = next(iter(done.errors.values()))
            raise StoreError(f"{self.name}: {len(done.errors)} rows were refused: {first.message}")

    def query(self, vector: F32, n: int, where: Where) -> list[Hit]:  # noqa: D102
        found = self._open().query.near_vector(
            vector.tolist(), limit=n, filters=_filter(where), return_metadata=MetadataQuery(distance=True)
        )
        return [Hit(str(o.uuid), self._score(o.metadata.distance), _fields(o.properties)) for o in found.objects]

    def _score(self, distance: float) -> float:
        return {
            "cosine": 1.0 - distance, "euclidean": float(np.sqrt(max(distance, 0.0))), "dot": -distance
        }[self._metric]  # fmt: skip

    def digests(self, ids: Sequence[str]) -> dict[str, str]:  # noqa: D102
        found = self._open().query.fetch_objects_by_ids(list(ids), limit=len(ids), return_properties=["digest"])
        return {str(found.uuid): found.properties.get("digest", "") for found in found.objects}

    def read(self) -> Generator[Row, None, None]:  # noqa: D102
        for found in self._open().iterator(include_vector=True):
            vector = np.asarray(found.vector["default"], np.float32)
            yield Row(str(found.uuid), vector, _fields(found.properties))

    def delete(self, ids: Sequence[str]) -> None:  # noqa: D102
        self._open().data.delete_many(where=Filter.by_id().contains_any(list(ids)))

    def count(self, where: Where) -> int:  # noqa: D102
        return int(self._open().aggregate.over_all(total_count=True, filters=_filter(where)).total_count)

    def close(self) -> None:  # noqa: D102
        self._client.close()


def _fields(properties: Any) -> Fields:
    return {name: value for name, value in properties.items() if value is not None}


def _filter(where: Where) -> Any:
    must = [Filter.by_property(name).equal(value) for name, value in (where.texts or {}).items()]
    must += [Filter.by_property("tags").contains_all([tag]) for tag in where.tags]
    duration = Filter.by_property("duration_seconds")
    must += [duration.greater_or_equal(where.min_s)] if where.min_s is not None else []
    must += [duration.less_or_equal(where.max_s)] if where.max_s is not None else []
    return Filter.all_of(must) if must else None
