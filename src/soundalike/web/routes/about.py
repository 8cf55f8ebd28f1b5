"""The library and its model: status, failures, facets, models; and the session."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException, Request, Response

from soundalike import __version__
from soundalike.aspects import ASPECTS
from soundalike.library.calibration import calibration_of
from soundalike.library.records import status_record
from soundalike.models.cards import CARDS, ModelCard, card_of, is_here
from soundalike.readable import shown
from soundalike.web import answers
from soundalike.web.asked import Token
from soundalike.web.desk import TheDesk
from soundalike.web.found import as_json
from soundalike.web.guard import Keys

router = APIRouter(tags=["library"])


@router.post("/session", responses=answers.of(answers.Done))
def begin_session(asked: Token, request: Request, response: Response) -> dict[str, bool]:
    """Get a cookie for the token of the printed address."""
    keys: Keys = request.app.state.keys
    if not keys.fits(asked.token):
        raise HTTPException(401, "this is not the token of this start: open the address that was printed last")
    response.headers["set-cookie"] = keys.set_cookie()
    return {"ok": True}


@router.get("/status", responses=answers.of(answers.Status))
def status(desk: TheDesk) -> Response:
    """What is in the library, and which model it has."""
    now = desk.library.status()
    card = card_of(now.model)
    return as_json({
        **status_record(now), "library": shown(now.path.name), "model": _model(card),
        "n_failures": now.n_failed, "duration_seconds": now.sound_s, "updating": desk.jobs.running_id(),
        "aspects": list(ASPECTS), "calibrated": calibration_of(now.model) is not None, "version": __version__,
    })  # fmt: skip


@router.get("/failures", responses=answers.of(list[answers.Failure]))
def failures(desk: TheDesk) -> Response:
    """List the sounds that have no embedding, and why."""
    return as_json([
        {"path": shown(one.path), "name": shown(one.path.name), "code": one.code, "reason": one.reason}
        for one in desk.library.failures()
    ])  # fmt: skip


@router.get("/facets", responses=answers.of(answers.Facets))
def facets(desk: TheDesk) -> Response:
    """What filters can be set to, and how many sounds each has."""
    found = desk.facets()
    return as_json({
        "folders": [{"path": shown(path), "name": shown(path.name), "n": n} for path, n in found.folders],
        "formats": [{"name": name, "n": n} for name, n in found.formats],
        "tags": {
            name: [{"value": value, "n": n} for value, n in values] for name, values in found.tags.items() if values
        },
        "durations": {"min": found.shortest_s, "max": found.longest_s},
    })  # fmt: skip


@router.get("/models", responses=answers.of(list[answers.ListedModel]))
def models(desk: TheDesk) -> Response:
    """List the models."""
    in_use = desk.library.status().model
    return as_json([
        {**_model(card), "n_bytes": card.n_bytes, "installed": is_here(card),
         "in_use": card.name == in_use}
        for card in map(card_of, CARDS)
    ])  # fmt: skip


def _model(card: ModelCard) -> dict[str, object]:
    return {
        "name": card.name, "summary": card.summary, "licence": card.licence, "dim": card.dim,
        "has_text": card.text is not None, "limits": card.limits, "trained_on": card.trained_on,
    }  # fmt: skip
