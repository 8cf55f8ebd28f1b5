"""Labels: examples that people give, what a classifier makes of them, and what to label next."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, Response

from soundalike.web import answers
from soundalike.web.asked import Name
from soundalike.web.desk import TheDesk
from soundalike.web.found import as_json, page_sound
from soundalike.web.teaching import classifier_of, predictions_of, suggestions_of

router = APIRouter(tags=["labels"])
Most = Annotated[int, Query(ge=1, le=500)]


@router.get("/labels", responses=answers.of(list[answers.Label]))
def labels(desk: TheDesk) -> Response:
    """List the labels and their examples."""
    found = desk.marks.labels()
    return as_json([{"name": name, "n_examples": len(ids), "examples": ids} for name, ids in found.items()])


@router.put("/labels/{name:path}/examples/{sound_id}", responses=answers.of(answers.Done))
def add_example(name: Name, sound_id: int, desk: TheDesk) -> dict[str, bool]:
    """Make a sound an example of a label, and of no other."""
    desk.marks.set_example(name, desk.sound(sound_id), True)
    return {"ok": True}


@router.delete("/labels/{name:path}/examples/{sound_id}", responses=answers.of(answers.Done))
def drop_example(name: Name, sound_id: int, desk: TheDesk) -> dict[str, bool]:
    """Make a sound no example of a label."""
    desk.marks.set_example(name, desk.sound(sound_id), False)
    return {"ok": True}


@router.delete("/labels/{name:path}", responses=answers.of(answers.Done))
def drop_label(name: Name, desk: TheDesk) -> dict[str, bool]:
    """Forget a label."""
    if not desk.marks.drop_label(name):
        raise HTTPException(404, "there is no such label")
    return {"ok": True}


@router.get("/labels/predictions", responses=answers.of(list[answers.Prediction]))
def predictions(desk: TheDesk, label: Name | None = None, n: Most = 100) -> Response:
    """List the sounds that the classifier is surest of, examples left out."""
    favorites = desk.marks.favorites()
    return as_json([
        {"sound": page_sound(sound, favorites), "label": name, "probability": probability}
        for sound, name, probability in predictions_of(desk, label, n)
    ])  # fmt: skip


@router.get("/labels/suggestions", responses=answers.of(list[answers.Suggestion]))
def suggestions(desk: TheDesk, n: Most = 20) -> Response:
    """List the sounds whose labels would teach the most."""
    favorites = desk.marks.favorites()
    return as_json([
        {"sound": page_sound(one.sound, favorites), "doubt": one.doubt, "guess": one.guess}
        for one in suggestions_of(desk, n)
    ])  # fmt: skip


@router.get("/labels/classifier", responses=answers.content("application/json"))
def classifier(desk: TheDesk) -> Response:
    """Take the classifier away: the file that `soundalike classify --by` reads."""
    headers = {"content-disposition": 'attachment; filename="classifier.json"'}
    return Response(classifier_of(desk).to_json(), media_type="application/json", headers=headers)
