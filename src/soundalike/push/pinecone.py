"""Pinecone, through its official client: a serverless index, or Pinecone Local."""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from typing import Any

import numpy as np
from pinecone import Pinecone as Client
from pinecone import RetryConfig, ServerlessSpec
from pinecone.errors import NotFoundError, PineconeConnectionError, PineconeTimeoutError

from soundalike.errors import StoreError
from soundalike.push.contract import WHOLE, Fields, Hit, Metric, Row, Shape, Store, Where
from soundalike.push.secrets import NAMES, secret
from soundalike.push.target import Target
from soundalike.types import F32

_METRICS: dict[Metric, str] = {"cosine": "cosine", "euclidean": "euclidean", "dot": "dotproduct"}


class Pinecone(Store):
    """A namespace of an index. Pinecone makes its index itself, and shows what is written after a moment.

    A new index is made in ``PINECONE_CLOUD`` (aws) and ``PINECONE_REGION`` (us-east-1).
    """

    passing = (PineconeConnectionError, PineconeTimeoutError)
    batch_rows = 100  # 2 MB a request, and fetches have their ids in the URL

    def __init__(self, target: Target) -> None:
        self.name, self._name, self._namespace = str(target), target.place, target.collection
        key = secret("pinecone")
        if key is None:
            raise StoreError(f"{target}: no key. Put it into the environment: {NAMES['pinecone']}")
        self._host = target.options.get("host")
        self._client = Client(api_key=key, host=self._host, retry_config=RetryConfig(max_retries=0))
        self._index: Any = None
        self._metric: Metric = "cosine"

    def shape(self) -> Shape | None:  # noqa: D102
        try:
            found = self._client.indexes.describe(self._name)
        except NotFoundError:
            return None
        host = found.host.removeprefix("https://")  # what Pinecone Local serves without TLS, the client still calls so
        scheme = "http" if (self._host or "").startswith("http://") else "https"
        self._index = self._client.index(host=f"{scheme}://{host}")
        self._metric = next(metric for metric, name in _METRICS.items() if name == found.metric)
        return Shape(int(found.dimension), self._metric)

    def create(self, shape: Shape) -> None:  # noqa: D102
        cloud = os.environ.get("PINECONE_CLOUD", "aws")
        region = os.environ.get("PINECONE_REGION", "us-east-1")
        self._client.indexes.create(
            name=self._name, dimension=shape.dim, metric=_METRICS[shape.metric],
            spec=ServerlessSpec(cloud=cloud, region=region),
        )  # fmt: skip
        self.shape()

    def upsert(self, rows: Sequence[Row]) -> None:  # noqa: D102
        vectors = [{"id": row.id, "values": row.vector.tolist(), "metadata": row.fields} for row in rows]
        self._index.upsert(vectors=vectors, namespace=self._namespace, show_progress=False)

    def query(self, vector: F32, n: int, where: Where) -> list[Hit]:  # noqa: D102
        found = self._index.query(
            vector=vector.tolist(), top_k=n, filter=_filter(where), include_metadata=True,
            namespace=self._namespace,
        )  # fmt: skip
        return [Hit(hit.id, self._score(hit.score), _fields(hit.metadata)) for hit in found.matches]

    def _score(self, score: float) -> float:
        return float(np.sqrt(max(score, 0.0))) if self._metric == "euclidean" else score  # it gives the square

    def digests(self, ids: Sequence[str]) -> dict[str, str]:  # noqa: D102
        found = self._index.fetch(ids=list(ids), namespace=self._namespace).vectors
        return {key: (vector.metadata or {}).get("digest", "") for key, vector in found.items()}

    def read(self) -> Generator[Row, None, None]:  # noqa: D102
        for page in self._index.list(namespace=self._namespace, limit=100):
            ids = [item if isinstance(item, str) else item.id for item in getattr(page, "vectors", page)]
            if not ids:
                continue
            found = self._index.fetch(ids=ids, namespace=self._namespace).vectors
            for key, vector in found.items():
                yield Row(key, np.asarray(vector.values, np.float32), _fields(vector.metadata))

    def delete(self, ids: Sequence[str]) -> None:  # noqa: D102
        self._index.delete(ids=list(ids), namespace=self._namespace)

    def count(self, where: Where) -> int:  # noqa: D102
        if not where:
            spaces = self._index.describe_index_stats().namespaces
            return int(spaces[self._namespace].vector_count) if self._namespace in spaces else 0
        anything = np.ones(int(self._index.describe_index_stats().dimension), np.float32)
        return len(self.query(anything, 10_000, where))  # the most that Pinecone gives

    def close(self) -> None:  # noqa: D102
        if self._index is not None:
            self._index.close()
        self._client.close()


def _fields(metadata: Any) -> Fields:
    fields = dict(metadata or {})
    return fields | {name: int(fields[name]) for name in WHOLE if name in fields}  # all its numbers are floats


def _filter(where: Where) -> dict[str, Any] | None:
    must: list[dict[str, Any]] = [{name: {"$eq": value}} for name, value in (where.texts or {}).items()]
    must += [{"tags": {"$in": [tag]}} for tag in where.tags]
    must += [{"duration_seconds": {"$gte": where.min_s}}] if where.min_s is not None else []
    must += [{"duration_seconds": {"$lte": where.max_s}}] if where.max_s is not None else []
    return {"$and": must} if must else None
