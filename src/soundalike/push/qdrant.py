"""Qdrant, through its official client: a server, or a folder inside this process."""

from __future__ import annotations

import warnings
from collections.abc import Generator, Sequence
from typing import Any

import numpy as np
from qdrant_client import QdrantClient, models
from qdrant_client.http.exceptions import ResponseHandlingException

from soundalike.push.contract import NUMBERS, TEXTS, Hit, Metric, Row, Shape, Store, Where
from soundalike.push.secrets import secret
from soundalike.push.target import Target
from soundalike.types import F32

_DISTANCES: dict[Metric, models.Distance] = {
    "cosine": models.Distance.COSINE,
    "euclidean": models.Distance.EUCLID,
    "dot": models.Distance.DOT,
}


class Qdrant(Store):
    """A collection of Qdrant. Cosine collections keep vectors scaled to length 1."""

    passing = (ResponseHandlingException,)  # no answer

    def __init__(self, target: Target) -> None:
        self.name, self._collection, self._remote = str(target), target.collection, target.remote
        if target.remote:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message="Api key is used with an insecure connection")
                self._client = QdrantClient(
                    url=target.place, api_key=secret("qdrant"), timeout=60, check_compatibility=False
                )
        else:
            self._client = QdrantClient(path=target.place)

    def shape(self) -> Shape | None:  # noqa: D102
        if not self._client.collection_exists(self._collection):
            return None
        params: Any = self._client.get_collection(self._collection).config.params.vectors
        metric = next(metric for metric, distance in _DISTANCES.items() if distance == params.distance)
        return Shape(params.size, metric)

    def create(self, shape: Shape) -> None:  # noqa: D102
        config = models.VectorParams(size=shape.dim, distance=_DISTANCES[shape.metric])
        if not self._client.collection_exists(self._collection):  # an earlier try may have been cut after this
            self._client.create_collection(self._collection, vectors_config=config)  # HNSW is the server's default
        if not self._remote:
            return  # no index of fields in a folder
        schemas = dict.fromkeys(("tags", *TEXTS[:-1]), models.PayloadSchemaType.KEYWORD)
        for name, schema in (schemas | dict.fromkeys(NUMBERS[:1], models.PayloadSchemaType.FLOAT)).items():
            self._client.create_payload_index(self._collection, name, schema)

    def upsert(self, rows: Sequence[Row]) -> None:  # noqa: D102
        points = [models.PointStruct(id=row.id, vector=row.vector.tolist(), payload=row.fields) for row in rows]
        self._client.upsert(self._collection, points, wait=True)

    def query(self, vector: F32, n: int, where: Where) -> list[Hit]:  # noqa: D102
        found = self._client.query_points(
            self._collection, query=vector.tolist(), limit=n, query_filter=_filter(where), with_payload=True
        )
        return [Hit(str(point.id), point.score, point.payload or {}) for point in found.points]

    def digests(self, ids: Sequence[str]) -> dict[str, str]:  # noqa: D102
        found = self._client.retrieve(self._collection, list(ids), with_payload=["digest"])
        return {str(point.id): (point.payload or {}).get("digest", "") for point in found}

    def read(self) -> Generator[Row, None, None]:  # noqa: D102
        after: Any = None
        while True:
            points, after = self._client.scroll(self._collection, limit=500, offset=after, with_vectors=True)
            for point in points:
                yield Row(str(point.id), np.asarray(point.vector, np.float32), point.payload or {})
            if after is None:
                return

    def delete(self, ids: Sequence[str]) -> None:  # noqa: D102
        self._client.delete(self._collection, models.PointIdsList(points=list(ids)), wait=True)

    def count(self, where: Where) -> int:  # noqa: D102
        return int(self._client.count(self._collection, count_filter=_filter(where), exact=True).count)

    def close(self) -> None:  # noqa: D102
        self._client.close()


def _filter(where: Where) -> models.Filter | None:
    if not where:
        return None
    texts = [*(where.texts or {}).items(), *(("tags", tag) for tag in where.tags)]
    must: list[Any] = [
        models.FieldCondition(key=key, match=models.MatchValue(value=value)) for key, value in texts
    ]
    if where.min_s is not None or where.max_s is not None:
        limits = models.Range(gte=where.min_s, lte=where.max_s)
        must.append(models.FieldCondition(key="duration_seconds", range=limits))
    return models.Filter(must=must)
