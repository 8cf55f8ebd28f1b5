"""A stand-in for a Qdrant server: the documented REST calls, answered by Qdrant's own engine inside this process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import qdrant_edge as edge

from store_servers import Answer

DISTANCES = {"Cosine": edge.Distance.Cosine, "Euclid": edge.Distance.Euclid, "Dot": edge.Distance.Dot}
DONE = {"operation_id": 0, "status": "completed"}
CONFIG = {  # what a server states of a collection that was made without such wishes
    "hnsw_config": {"m": 16, "ef_construct": 100, "full_scan_threshold": 10_000, "max_indexing_threads": 0},
    "optimizer_config": {
        "deleted_threshold": 0.2, "vacuum_min_vector_number": 1000, "default_segment_number": 0,
        "flush_interval_sec": 5,
    },
    "wal_config": {"wal_capacity_mb": 32, "wal_segments_ahead": 0},
}  # fmt: skip


class Qdrant:
    """Collections, each a shard of the engine in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._shards: dict[str, Any] = {}
        self._vectors: dict[str, dict[str, Any]] = {}

    def handle(self, method: str, parts: list[str], query: dict[str, list[str]], body: Any) -> Answer:
        """Answer a REST call."""
        assert parts[0] == "collections"
        name, rest = parts[1], parts[2:]
        if (method, rest) == ("GET", ["exists"]):
            return said({"exists": name in self._shards})
        if (method, rest) == ("PUT", []):
            if name in self._shards:
                return 409, {"status": {"error": f"Wrong input: Collection `{name}` already exists!"}}
            return said(self._make(name, body["vectors"]))
        if name not in self._shards:
            return 404, {"status": {"error": f"Not found: Collection `{name}` doesn't exist!"}}
        if (method, rest) == ("GET", []):
            return said(self._info(name))
        return said(act(self._shards[name], method, rest, body))

    def _make(self, name: str, vectors: dict[str, Any]) -> bool:
        place = self._folder / name
        place.mkdir(parents=True)
        params = edge.EdgeVectorParams(size=vectors["size"], distance=DISTANCES[vectors["distance"]])
        self._shards[name] = edge.EdgeShard.create(str(place), edge.EdgeConfig(vectors=params))
        self._vectors[name] = vectors
        return True

    def _info(self, name: str) -> dict[str, Any]:
        n_points = self._shards[name].count(edge.CountRequest())
        return {
            "status": "green", "optimizer_status": "ok", "points_count": n_points, "segments_count": 1,
            "config": CONFIG | {"params": {"vectors": self._vectors[name]}}, "payload_schema": {},
        }  # fmt: skip


def said(result: Any) -> Answer:
    return 200, {"result": result, "status": "ok", "time": 0.0}


def act(shard: Any, method: str, rest: list[str], body: Any) -> Any:
    """Do one call on the points of a collection."""
    match (method, rest):
        case ("PUT", ["index"]):
            kind = {"keyword": edge.PayloadSchemaType.Keyword, "float": edge.PayloadSchemaType.Float}
            shard.update(edge.UpdateOperation.create_field_index(body["field_name"], kind[body["field_schema"]]))
            return DONE
        case ("PUT", ["points"]):
            points = [edge.Point(p["id"], p["vector"], p["payload"]) for p in body["points"]]
            shard.update(edge.UpdateOperation.upsert_points(points))
            return DONE
        case ("POST", ["points"]):
            return [record(one) for one in shard.retrieve(body["ids"], True, False)]
        case ("POST", ["points", "delete"]):
            shard.update(edge.UpdateOperation.delete_points(body["points"]))
            return DONE
        case ("POST", ["points", "count"]):
            return {"count": shard.count(edge.CountRequest(exact=True, filter=chosen(body.get("filter"))))}
        case ("POST", ["points", "scroll"]):
            asked = edge.ScrollRequest(
                offset=body.get("offset"), limit=body["limit"], with_payload=True, with_vector=body["with_vector"]
            )
            found, after = shard.scroll(asked)
            return {"points": [record(one) for one in found], "next_page_offset": after and str(after)}
        case ("POST", ["points", "query"]):
            asked = edge.SearchRequest(
                query=edge.Query.Nearest(body["query"]["nearest"]), limit=body["limit"], with_payload=True,
                filter=chosen(body.get("filter")),
            )  # fmt: skip
            return {"points": [record(one) | {"score": one.score, "version": 0} for one in shard.search(asked)]}
    raise AssertionError(f"an unknown call: {method} {rest}")


def record(one: Any) -> dict[str, Any]:
    return {"id": str(one.id), "payload": one.payload, "vector": one.vector}


def chosen(asked: dict[str, Any] | None) -> Any:
    """Turn the JSON of a filter into the engine's."""
    if not asked:
        return None
    must = []
    for rule in asked["must"]:
        match = edge.MatchValue(rule["match"]["value"]) if rule.get("match") else None
        limits = edge.RangeFloat(**{k: rule["range"].get(k) for k in ("gte", "lte")}) if rule.get("range") else None
        must.append(edge.FieldCondition(rule["key"], match=match, range=limits))
    return edge.Filter(must=must)
