"""Stand-ins for servers that cannot run here: JSON over HTTP, and the documented calls of Pinecone."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np

from memory_store import exact_score

Answer = tuple[int, Any]  # HTTP status, JSON
Handle = Callable[[str, list[str], dict[str, list[str]], Any], Answer]
CUTS: list[int] = []  # a positive number: so many requests are still answered before one is cut off


@contextmanager
def serving(handle: Handle) -> Iterator[str]:
    """Serve JSON on a free port; yield host and port."""
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            url = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            parts = [unquote(part) for part in url.path.strip("/").split("/")]
            with lock:
                if CUTS and (left := CUTS.pop() - 1) >= 0:
                    if left == 0:
                        self.close_connection = True  # no answer: the network was cut
                        return
                    CUTS.append(left)
                try:
                    status, found = handle(self.command, parts, parse_qs(url.query), json.loads(body or b"null"))
                except Exception as error:  # as a server says it
                    status, found = 400, {"message": repr(error)}
            data = json.dumps(found).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_PUT = do_POST = do_DELETE = do_PATCH = answer

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def pinecone_calls(address: Callable[[], str]) -> Handle:
    """Answer the REST calls of Pinecone, the control plane and the data plane on one address."""
    indexes: dict[str, dict[str, Any]] = {}
    vectors: dict[str, dict[str, Any]] = {}  # by namespace: {id: vector}

    def handle(method: str, parts: list[str], query: dict[str, list[str]], body: Any) -> Answer:
        if parts[0] == "indexes":
            return control(method, parts[1:], body)
        space = (query.get("namespace") or [(body or {}).get("namespace") or ""])[0]
        return 200, data(parts, query, body or {}, vectors.setdefault(space, {}))

    def control(method: str, rest: list[str], body: Any) -> Answer:
        if method == "POST":
            indexes[body["name"]] = {
                **body, "host": address(), "status": {"ready": True, "state": "Ready"},
                "deletion_protection": "disabled",
            }  # fmt: skip
            return 201, indexes[body["name"]]
        if rest[0] not in indexes:
            return 404, {"error": {"code": "NOT_FOUND", "message": f"Resource {rest[0]} not found"}, "status": 404}
        return 200, indexes[rest[0]]

    def data(parts: list[str], query: dict[str, list[str]], body: Any, kept: dict[str, Any]) -> Any:
        shape = next(iter(indexes.values()))["schema"]["fields"]["_values"]
        metric = shape["metric"]
        match parts:
            case ["vectors", "upsert"]:
                kept.update({vector["id"]: vector for vector in body["vectors"]})
                return {"upsertedCount": len(body["vectors"])}
            case ["vectors", "fetch"]:
                return {"vectors": {key: kept[key] for key in query["ids"] if key in kept}}
            case ["vectors", "list"]:
                keys = sorted(kept)
                start = int((query.get("paginationToken") or ["0"])[0])
                end = start + int((query.get("limit") or ["100"])[0])
                page = {"vectors": [{"id": key} for key in keys[start:end]]}
                return page | ({"pagination": {"next": str(end)}} if end < len(keys) else {})
            case ["vectors", "delete"]:
                for key in body["ids"]:
                    kept.pop(key, None)
                return {}
            case ["describe_index_stats"]:
                spaces = {name: {"vectorCount": len(found)} for name, found in vectors.items()}
                return {"namespaces": spaces, "dimension": shape["dimension"], "totalVectorCount": len(kept)}
            case ["query"]:
                chosen = [v for v in kept.values() if chosen_by(body.get("filter"), v["metadata"])]
                scored = [(pinecone_score(v["values"], body["vector"], metric), v) for v in chosen]
                scored.sort(key=lambda pair: pair[0], reverse=metric != "euclidean")
                matches = [{"id": v["id"], "score": s, "metadata": v["metadata"]} for s, v in scored]
                return {"matches": matches[: body["topK"]]}
        raise AssertionError(f"an unknown call: {parts}")

    return handle


def pinecone_score(values: list[float], asked: list[float], metric: str) -> float:
    a, b = np.asarray(values, np.float32), np.asarray(asked, np.float32)
    score = exact_score(a, b, metric.removesuffix("product"))
    return score**2 if metric == "euclidean" else score


def chosen_by(asked: Any, fields: dict[str, Any]) -> bool:
    """Evaluate a filter of Pinecone's language, as far as the documentation of these operators goes."""
    if not asked:
        return True
    for name, rule in asked.items():
        if name == "$and":
            if not all(chosen_by(part, fields) for part in rule):
                return False
            continue
        ((operator, value),) = rule.items()
        found = fields.get(name)
        if found is None:
            return False
        rules: dict[str, Callable[[Any, Any], bool]] = {
            "$eq": lambda f, v: bool(f == v), "$gte": lambda f, v: bool(f >= v), "$lte": lambda f, v: bool(f <= v),
            "$in": lambda f, v: any(x in v for x in (f if isinstance(f, list) else [f])),
        }  # fmt: skip
        passed = rules[operator](found, value)
        if not passed:
            return False
    return True
