"""Push real vectors to every store: are the answers exact, and how many rows a second.

    python benchmarks/push.py SOURCE [--rows 2000] [--queries 50] [--out push.json]

SOURCE is a folder of embeddings. For each store: the top 20 of the queries are compared with the exact answer
(ties within 1e-6 count as equal), for each metric it offers, and under filters; vectors of another pipeline and of
another length must be refused; then the rows per second of `push` beside those of the client's own bulk call on the
same rows in the same process. Where the server is a stand-in of the tests, only answers count, and no rates are given.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from soundalike.errors import SoundalikeError
from soundalike.push import Where, ask, open_store, push, read_source
from soundalike.push.contract import Shape
from soundalike.push.sources import Source
from store_backends import Servers

N = 20
BACKENDS = ("qdrant-local", "chroma", "chroma-server", "milvus-lite", "lance", "pgvector")
STAND_INS = ("qdrant-server", "pinecone", "weaviate")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--queries", type=int, default=50)
    parser.add_argument("--stores", nargs="*", default=(*BACKENDS, *STAND_INS))
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    os.environ.setdefault("PINECONE_API_KEY", "a key for the stand-in")
    source = read_source(chosen.source)
    queries = np.stack([row.vector for row in source.rows[chosen.rows : chosen.rows + chosen.queries]])
    source = replace(source, rows=source.rows[: chosen.rows])
    print(f"{len(source.rows)} rows of {source.dim}, {len(queries)} other sounds as queries", flush=True)
    results = []
    with tempfile.TemporaryDirectory() as folder, closing(Servers(Path(folder))) as servers:
        for backend in chosen.stores:
            results.append(measure(backend, servers, source, queries))
            print(json.dumps(results[-1]), flush=True)
    if chosen.out:
        chosen.out.write_text(json.dumps(results, indent=1))


def measure(backend: str, servers: Servers, source: Source, queries: np.ndarray) -> dict[str, Any]:
    found: dict[str, Any] = {"store": backend}
    for metric in ("cosine", "euclidean", "dot"):
        with closing(open_store(servers.target(backend))) as store:
            started = time.perf_counter()
            push(source, store, metric)
            took_s = time.perf_counter() - started
            found[f"{metric}_exact"] = sum(same(ask(store, q, N), source, q, metric) for q in queries)
            if metric == "cosine":
                found["rows_per_s"] = round(len(source.rows) / took_s)
                started = time.perf_counter()
                again = push(source, store)
                found["again_rows_per_s"] = round(len(source.rows) / (time.perf_counter() - started))
                assert (again.n_written, store.count(Where())) == (0, len(source.rows))
                found["filtered_exact"] = filtered(store, source, queries)
                found["refused"] = refused(store, source)
    if backend in STAND_INS:
        return {name: value for name, value in found.items() if not name.endswith("per_s")}
    bulk_s = client_bulk(servers.target(backend), source)
    found["client_rows_per_s"] = round(len(source.rows) / bulk_s)
    found["ratio"] = round(found["rows_per_s"] / found["client_rows_per_s"], 2)
    return found


def filtered(store: Any, source: Source, queries: np.ndarray) -> int:
    """How many questions have the exact top 20 among the longer half of the sounds."""
    where = Where(min_s=float(np.median([row.fields["duration_seconds"] for row in source.rows])))
    part = replace(source, rows=[row for row in source.rows if row.fields["duration_seconds"] >= where.min_s])
    assert store.count(where) == len(part.rows)
    return sum(same(ask(store, query, N, where), part, query, "cosine") for query in queries)


def refused(store: Any, source: Source) -> int:
    """How many of two wrong pushes are refused: another pipeline, another length."""
    short = [replace(row, vector=row.vector[:8]) for row in source.rows]
    n_refused = 0
    for wrong in (replace(source, pipeline="another"), replace(source, rows=short)):
        try:
            push(wrong, store)
        except SoundalikeError:
            n_refused += 1
    return n_refused


def same(hits: list[Any], source: Source, query: np.ndarray, metric: str) -> bool:
    """Whether these are the exact nearest: each rank has the exact score, and each id its own."""
    vectors = np.stack([row.vector for row in source.rows]).astype(np.float64)
    q = query.astype(np.float64)
    scores = np.linalg.norm(vectors - q, axis=1) if metric == "euclidean" else vectors @ q
    best = np.sort(scores) if metric == "euclidean" else np.sort(scores)[::-1]
    score_of = dict(zip((row.id for row in source.rows), scores, strict=True))
    got = [score_of[hit.id] for hit in hits]
    return len({hit.id for hit in hits}) == N and bool(np.allclose(got, best[:N], atol=1e-6))


def client_bulk(target: str, source: Source) -> float:
    """Seconds that the client's own bulk call needs for the same rows, as its documentation shows it."""
    with closing(open_store(target)) as store:
        store.create(Shape(source.dim, "cosine"))
        started = time.perf_counter()
        BULK[type(store).__name__](store, source)
        return time.perf_counter() - started


def bulk_qdrant(store: Any, source: Source) -> None:
    from qdrant_client import models

    points = (models.PointStruct(id=r.id, vector=r.vector.tolist(), payload=r.fields) for r in source.rows)
    store._client.upload_points(store._collection, points, batch_size=500, wait=True)


def bulk_chroma(store: Any, source: Source) -> None:
    rows, opened = source.rows, store._open()
    for i in range(0, len(rows), 500):
        part = rows[i : i + 500]
        fields = [{k: v for k, v in r.fields.items() if v != []} for r in part]
        opened.add(ids=[r.id for r in part], embeddings=[r.vector for r in part], metadatas=fields)


def bulk_milvus(store: Any, source: Source) -> None:
    rows = source.rows
    for i in range(0, len(rows), 500):
        part = [{"id": r.id, "vector": r.vector.tolist(), **r.fields} for r in rows[i : i + 500]]
        store._client.insert(store._collection, part)
    store._client.flush(store._collection)


def bulk_lance(store: Any, source: Source) -> None:
    store._open().add([{"id": r.id, "vector": r.vector, **r.fields} for r in source.rows])


def bulk_postgres(store: Any, source: Source) -> None:
    from pgvector import Vector

    names = ("filename", "path", "duration_seconds", "model", "pipeline", "kind", "sha256", "digest", "tags")
    with store._connect().cursor() as cursor:
        columns = f"{store._table.as_string(None)} (id, vector, {', '.join(names)})"
        command = f"COPY {columns} FROM STDIN WITH (FORMAT BINARY)"
        with cursor.copy(command) as copy:
            copy.set_types(["uuid", "vector", "text", "text", "float8", *["text"] * 5, "text[]"])
            for r in source.rows:
                copy.write_row([uuid.UUID(r.id), Vector(r.vector), *(r.fields.get(name) for name in names)])


BULK: dict[str, Callable[[Any, Source], None]] = {
    "Qdrant": bulk_qdrant, "Chroma": bulk_chroma, "Milvus": bulk_milvus, "Lance": bulk_lance,
    "Postgres": bulk_postgres,
}  # fmt: skip

if __name__ == "__main__":
    main()
