"""Chroma, through its official client: a server, or a folder inside this process."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any
from urllib.parse import urlsplit

import chromadb
import httpx
import numpy as np
from chromadb.config import Settings
from chromadb.errors import NotFoundError

from soundalike.push.contract import Hit, Metric, Row, Shape, Store, Where
from soundalike.push.secrets import secret
from soundalike.push.target import Target
from soundalike.types import F32

_SPACES: dict[Metric, str] = {"cosine": "cosine", "euclidean": "l2", "dot": "ip"}
_EF = 200  # Chroma has no exact search: so many candidates are looked at, for queries and while building
_PAGE = 500


class Chroma(Store):
    """A collection of Chroma."""

    passing = (httpx.TransportError,)

    def __init__(self, target: Target) -> None:
        self.name, self._collection = str(target), target.collection
        settings = Settings(anonymized_telemetry=False)
        if not target.remote:
            self._client = chromadb.PersistentClient(target.place, settings=settings)
            return
        url = urlsplit(target.place)
        token = secret("chroma")
        self._client = chromadb.HttpClient(
            host=url.hostname or "localhost", port=url.port or 8000, ssl=url.scheme == "https",
            headers={"x-chroma-token": token} if token else {}, settings=settings,
        )  # fmt: skip

    def _open(self) -> Any:
        return self._client.get_collection(self._collection, embedding_function=None)

    def shape(self) -> Shape | None:  # noqa: D102
        try:
            opened = self._open()
        except NotFoundError:
            return None
        space = opened.configuration["hnsw"]["space"]
        metric = next(metric for metric, name in _SPACES.items() if name == space)
        return Shape(int((opened.metadata or {}).get("dim", 0)), metric)

    def create(self, shape: Shape) -> None:  # noqa: D102
        index: Any = {"space": _SPACES[shape.metric], "ef_construction": _EF, "ef_search": _EF}
        self._client.create_collection(
            self._collection, embedding_function=None, configuration={"hnsw": index}, metadata={"dim": shape.dim}
        )

    def upsert(self, rows: Sequence[Row]) -> None:  # noqa: D102
        fields = [{name: value for name, value in row.fields.items() if value != []} for row in rows]
        self._open().upsert(
            ids=[row.id for row in rows], embeddings=np.stack([row.vector for row in rows]), metadatas=fields
        )

    def query(self, vector: F32, n: int, where: Where) -> list[Hit]:  # noqa: D102
        opened = self._open()
        found = opened.query(
            query_embeddings=[vector], n_results=n, where=_filter(where), include=["metadatas", "distances"]
        )
        metric = opened.configuration["hnsw"]["space"]
        rows = zip(found["ids"][0], found["distances"][0], found["metadatas"][0], strict=True)
        return [Hit(key, _score(distance, metric), dict(fields)) for key, distance, fields in rows]

    def digests(self, ids: Sequence[str]) -> dict[str, str]:  # noqa: D102
        found = self._open().get(ids=list(ids), include=["metadatas"])
        return {key: fields["digest"] for key, fields in zip(found["ids"], found["metadatas"], strict=True)}

    def read(self) -> Generator[Row, None, None]:  # noqa: D102
        opened, start = self._open(), 0
        while True:
            page = opened.get(limit=_PAGE, offset=start, include=["metadatas", "embeddings"])
            for key, vector, fields in zip(page["ids"], page["embeddings"], page["metadatas"], strict=True):
                yield Row(key, np.asarray(vector, np.float32), dict(fields or {}))
            start += len(page["ids"])
            if len(page["ids"]) < _PAGE:
                return

    def delete(self, ids: Sequence[str]) -> None:  # noqa: D102
        self._open().delete(ids=list(ids))

    def count(self, where: Where) -> int:  # noqa: D102
        opened = self._open()
        return len(opened.get(where=_filter(where), include=[])["ids"]) if where else int(opened.count())

    def close(self) -> None:  # noqa: D102
        self._client.close()


def _score(distance: float, space: str) -> float:
    return float(np.sqrt(max(distance, 0.0))) if space == "l2" else 1.0 - distance


def _filter(where: Where) -> dict[str, Any] | None:
    must: list[dict[str, Any]] = [{name: value} for name, value in (where.texts or {}).items()]
    must += [{"tags": {"$contains": tag}} for tag in where.tags]
    if where.min_s is not None:
        must.append({"duration_seconds": {"$gte": where.min_s}})
    if where.max_s is not None:
        must.append({"duration_seconds": {"$lte": where.max_s}})
    return {"$and": must} if len(must) > 1 else must[0] if must else None
