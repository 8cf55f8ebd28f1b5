"""A stand-in for a Weaviate server: the REST calls of its schema, and the gRPC calls that its client makes for data.

Messages are the client's own (its package carries Weaviate's protocol); answers are exact, from a dict.
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
import numpy as np
from weaviate.proto.v1 import (
    aggregate_pb2,
    base_pb2,
    batch_delete_pb2,
    batch_pb2,
    health_weaviate_pb2,
    search_get_pb2,
    weaviate_pb2_grpc,
)

from memory_store import exact_score
from soundalike.types import F32
from store_servers import Answer, serving

VERSION = "1.32.0"
Objects = dict[str, tuple[dict[str, Any], F32]]  # by id: properties and vector
Operator = base_pb2.Filters.Operator
METRICS = {"cosine": "cosine", "l2-squared": "euclidean", "dot": "dot"}
INVERTED = {  # what a server states for a collection that was made without such wishes
    "bm25": {"b": 0.75, "k1": 1.2}, "cleanupIntervalSeconds": 60,
    "stopwords": {"preset": "en", "additions": None, "removals": None},
}  # fmt: skip
HNSW = {
    "cleanupIntervalSeconds": 300, "dynamicEfFactor": 8, "dynamicEfMax": 500, "dynamicEfMin": 100,
    "flatSearchCutoff": 40_000, "skip": False, "vectorCacheMaxObjects": 10**12, "filterStrategy": "sweeping",
    "multivector": {"enabled": False},
}  # fmt: skip


class Weaviate(weaviate_pb2_grpc.WeaviateServicer):  # type: ignore[misc]  # not installed where types are checked
    """Collections and their objects."""

    def __init__(self) -> None:
        self.schema: dict[str, dict[str, Any]] = {}
        self.objects: dict[str, Objects] = {}

    def rest(self, method: str, parts: list[str], query: dict[str, list[str]], body: Any) -> Answer:
        """Answer a REST call."""
        match (method, parts):
            case ("GET", ["v1", "meta"]):
                return 200, {"hostname": "http://[::]:8080", "modules": {}, "version": VERSION}
            case ("GET", ["v1", ".well-known", "openid-configuration"]):
                return 404, None
            case ("GET", ["v1", ".well-known", _]):
                return 200, None
            case ("POST", ["v1", "schema"]):
                if body["class"] in self.schema:
                    return 422, {"error": [{"message": f"class name {body['class']} already exists"}]}
                self.schema[body["class"]] = stated(body)
                self.objects[body["class"]] = {}
                return 200, self.schema[body["class"]]
            case ("GET", ["v1", "schema", name]):
                return (200, self.schema[name]) if name in self.schema else (404, None)
        raise AssertionError(f"an unknown call: {method} {parts}")

    def BatchObjects(self, request: Any, context: Any) -> Any:
        for one in request.objects:
            (vector,) = one.vectors or [one]  # a vector without a name is the default one
            self.objects[one.collection][one.uuid] = properties_of(one), floats(vector.vector_bytes)
        return batch_pb2.BatchObjectsReply(took=0.0)

    def BatchDelete(self, request: Any, context: Any) -> Any:
        kept = self.objects[request.collection]
        chosen = [key for key, (fields, _) in kept.items() if passes(request.filters, key, fields)]
        for key in chosen:
            del kept[key]
        return batch_delete_pb2.BatchDeleteReply(matches=len(chosen), successful=len(chosen))

    def Aggregate(self, request: Any, context: Any) -> Any:
        single = aggregate_pb2.AggregateReply.Single(objects_count=len(self._chosen(request)))
        return aggregate_pb2.AggregateReply(single_result=single)

    def Search(self, request: Any, context: Any) -> Any:
        chosen = self._chosen(request)
        distances: dict[str, float] = {}
        if request.HasField("near_vector"):
            distances = self._distances(request, chosen)
            chosen = sorted(chosen, key=lambda key: distances[key])
        elif request.after or not request.HasField("filters"):
            chosen = sorted(key for key in chosen if key > request.after)
        kept = self.objects[request.collection]
        results = [result(request, key, *kept[key], distances.get(key)) for key in chosen[: request.limit or 100]]
        return search_get_pb2.SearchReply(took=0.0, results=results)

    def _chosen(self, request: Any) -> list[str]:
        asked = request.filters if request.HasField("filters") else None
        kept = self.objects[request.collection].items()
        return [key for key, (fields, _) in kept if asked is None or passes(asked, key, fields)]

    def _distances(self, request: Any, chosen: list[str]) -> dict[str, float]:
        (vector,) = request.near_vector.vectors or [request.near_vector]
        index = self.schema[request.collection]["vectorConfig"]["default"]["vectorIndexConfig"]
        metric, asked = METRICS[index["distance"]], floats(vector.vector_bytes)
        scores = {key: exact_score(self.objects[request.collection][key][1], asked, metric) for key in chosen}
        turned: Callable[[float], float] = {
            "cosine": lambda score: 1 - score, "euclidean": lambda score: score**2, "dot": lambda score: -score,
        }[metric]  # fmt: skip
        return {key: turned(score) for key, score in scores.items()}


def stated(asked: dict[str, Any]) -> dict[str, Any]:
    """Give a collection as a server states it: what was asked for, and the defaults."""
    (vector,) = asked["vectorConfig"].values()
    properties = [{"indexFilterable": True, "indexSearchable": False, **one} for one in asked["properties"]]
    return asked | {
        "properties": properties, "invertedIndexConfig": INVERTED, "multiTenancyConfig": {"enabled": False},
        "replicationConfig": {"factor": 1, "asyncEnabled": False, "deletionStrategy": "NoAutomatedResolution"},
        "shardingConfig": {
            "virtualPerPhysical": 128, "desiredCount": 1, "actualCount": 1, "desiredVirtualCount": 128,
            "actualVirtualCount": 128, "key": "_id", "strategy": "hash", "function": "murmur3",
        },
        "vectorConfig": {"default": vector | {"vectorIndexConfig": HNSW | vector["vectorIndexConfig"]}},
    }  # fmt: skip


def properties_of(one: Any) -> dict[str, Any]:
    """Read the properties of an object that arrives."""
    fields: dict[str, Any] = dict(one.properties.non_ref_properties.items())
    fields |= {part.prop_name: list(part.values) for part in one.properties.text_array_properties}
    return fields | {name: [] for name in one.properties.empty_list_props}


def passes(asked: Any, key: str, fields: dict[str, Any]) -> bool:
    """Evaluate a filter, as far as the documentation of these operators goes."""
    if asked.operator == Operator.OPERATOR_AND:
        return all(passes(part, key, fields) for part in asked.filters)
    if asked.operator == Operator.OPERATOR_OR:
        return any(passes(part, key, fields) for part in asked.filters)
    name = asked.target.property
    found: Any = key if name == "_id" else fields.get(name)
    if found is None:
        return False
    many = list(asked.value_text_array.values)
    rules: dict[int, Callable[[], bool]] = {
        Operator.OPERATOR_EQUAL: lambda: bool(found == asked.value_text),
        Operator.OPERATOR_GREATER_THAN_EQUAL: lambda: bool(found >= number(asked)),
        Operator.OPERATOR_LESS_THAN_EQUAL: lambda: bool(found <= number(asked)),
        Operator.OPERATOR_CONTAINS_ANY: lambda: bool(set(many) & set(listed(found))),
        Operator.OPERATOR_CONTAINS_ALL: lambda: set(many) <= set(listed(found)),
    }
    return rules[asked.operator]()


def number(asked: Any) -> float:
    return float(getattr(asked, asked.WhichOneof("test_value")))


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def floats(data: bytes) -> F32:
    return np.frombuffer(data, "<f4").astype(np.float32)


def result(request: Any, key: str, fields: dict[str, Any], vector: F32, distance: float | None) -> Any:
    """One object as it is asked for."""
    found = search_get_pb2.SearchResult()
    found.metadata.id, found.metadata.id_as_bytes = key, uuid.UUID(key).bytes
    if distance is not None:
        found.metadata.distance, found.metadata.distance_present = distance, True
    if request.metadata.vector or request.metadata.vectors:
        data = struct.pack(f"<{vector.size}f", *vector)
        found.metadata.vectors.append(base_pb2.Vectors(name="default", vector_bytes=data))
    wanted = request.properties
    every = wanted.return_all_nonref_properties or not request.HasField("properties")  # none named: all
    for name, value in fields.items():
        if every or name in wanted.non_ref_properties:
            put(found.properties.non_ref_props.fields[name], value)
    return found


def put(place: Any, value: Any) -> None:
    """Write a property: a number, a text, or a list of texts."""
    if isinstance(value, list):
        place.list_value.text_values.values.extend(value)
        place.list_value.text_values.SetInParent()
    elif isinstance(value, str):
        place.text_value = value
    else:
        place.number_value = value


def health() -> Any:
    """Answer that the gRPC side is up."""
    answer = health_weaviate_pb2.WeaviateHealthCheckResponse
    check = grpc.unary_unary_rpc_method_handler(
        lambda request, context: answer(status=1), response_serializer=answer.SerializeToString
    )
    return grpc.method_handlers_generic_handler("grpc.health.v1.Health", {"Check": check})


@contextmanager
def weaviate_server() -> Iterator[tuple[str, int]]:
    """Serve both protocols; yield host and port of REST, and the port of gRPC."""
    kept = Weaviate()
    with ThreadPoolExecutor(4) as threads, serving(kept.rest) as host:
        server = grpc.server(threads)
        weaviate_pb2_grpc.add_WeaviateServicer_to_server(kept, server)
        server.add_generic_rpc_handlers((health(),))
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            yield host, port
        finally:
            server.stop(None).wait()
