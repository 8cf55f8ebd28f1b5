"""Whatever is asked that the OpenAPI description allows, or nearly allows: an answer, and never a mistake of ours."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from starlette.testclient import TestClient

sys.path.insert(0, str(Path(__file__).parent))  # for pytest's importlib mode
from soundalike.embed import Model
from web_client import SOUNDS, client_of, library_of, open_desk

schemathesis = pytest.importorskip("schemathesis")
ENDLESS = "/api/events"
SLOW = {"/api/uploads": 5}  # a process each


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory, pocket: Model) -> Iterator[TestClient]:
    path = library_of(tmp_path_factory.mktemp("fuzz"), pocket)
    with pytest.MonkeyPatch.context() as patch, open_desk(path, pocket) as desk, client_of(desk) as opened:
        patch.setattr(desk.jobs, "start", lambda task: "j1")
        patch.setattr("soundalike.web.routes.sounds._show", lambda path: None)
        yield opened


@pytest.mark.slow
def test_no_question_is_a_mistake_of_ours(client: TestClient) -> None:
    description = client.get("/openapi.json").json()
    for operations in description["paths"].values():
        for parameter in (one for operation in operations.values() for one in operation.get("parameters", [])):
            if parameter["name"] == "sound_id":  # most are sounds that there are
                parameter["schema"] |= {"minimum": 0, "maximum": len(SOUNDS) + 2}
    n_operations, statuses = 0, Counter[int]()
    for result in schemathesis.openapi.from_dict(description).get_all_operations():
        operation = result.ok()
        if operation.path != ENDLESS:
            n_operations += 1
            for mode in schemathesis.GenerationMode:
                ask_all(client, operation, mode, statuses)
    assert n_operations > 30
    assert min(statuses[200], statuses[404], statuses[422]) > 50, statuses  # it gets as far as the routes


def ask_all(client: TestClient, operation: Any, mode: Any, statuses: Counter[int]) -> None:
    @settings(max_examples=SLOW.get(operation.path, 15), suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(generation_mode=mode))
    def run(case: Any) -> None:
        answer = send(client, case)
        statuses[answer.status_code] += 1
        assert answer.status_code != 500, (case, answer.text)
        if answer.status_code >= 400:
            assert answer.headers["content-type"] == "application/json"
            assert answer.json()["error"]

    with suppress(Unsatisfiable):  # some take nothing that could be wrong
        run()


def send(client: TestClient, case: Any) -> Any:
    """Send a case as it is: wrong values included."""
    sent = case.as_transport_kwargs(base_url=str(client.base_url))
    kept = {name: sent[name] for name in ("params", "json") if sent.get(name) is not None}
    if sent.get("data") is not None:
        kept["content"] = sent["data"]
    headers = {name: value for name, value in dict(sent.get("headers") or {}).items() if name.lower() != "user-agent"}
    headers.setdefault("content-type", case.media_type or "application/json")
    return client.request(case.method, sent["url"], headers=headers, **kept)
