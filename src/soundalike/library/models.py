"""Which model a library has, and that no other comes near it."""

from __future__ import annotations

from soundalike.errors import PipelineMismatch
from soundalike.library.values import Embedder, Space
from soundalike.models.cards import card_of


def load(name: str, device: str, space: Space | None = None) -> Embedder:
    """Load a model; the one of a space, with its level rule, if one is given.

    Raises
    ------
    PipelineMismatch
        if this version of the model makes other vectors
    """
    from soundalike.embed import load_model

    model = load_model(name, device, space.level if space else None)
    if space:
        insist(space, model)
    return model


def insist(space: Space, model: str | Embedder) -> None:
    """Check that a library is of this model.

    Raises
    ------
    PipelineMismatch
        if it is not
    """
    if isinstance(model, str):
        card = card_of(model)
        name, pipeline = card.name, card.pipeline
        if name == space.model:
            pipeline = card.with_level(space.level).pipeline
    else:
        name, pipeline = model.card.name, model.pipeline
    if pipeline != space.pipeline:
        what = f"this library (to move it: soundalike rebuild --model {name})"
        raise PipelineMismatch(what, f"{pipeline} (model {name})", str(space))
