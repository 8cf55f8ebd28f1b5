"""The model that made what a collection holds, for questions to it."""

from __future__ import annotations

from typing import get_args

from soundalike.embed import Model, load_model
from soundalike.errors import PipelineMismatch, StoreError
from soundalike.models.cards import card_of
from soundalike.push.contract import Store
from soundalike.push.moving import Caller, existing_shape, first_fields
from soundalike.types import LevelRule


def model_of(store: Store, device: str = "auto") -> Model:
    """Load the model, with the level rule, that a collection was made with.

    Raises
    ------
    StoreError
        if the collection is absent or empty, or soundalike did not push it
    PipelineMismatch
        if this version of the model makes other vectors
    """
    existing_shape(store)
    fields = Caller(store)(lambda: first_fields(store))
    if fields is None:
        raise StoreError(f"{store.name}: the collection is empty")
    if "model" not in fields or "pipeline" not in fields:
        raise StoreError(f"{store.name}: its vectors were not pushed by soundalike: their model is not known")
    card = card_of(fields["model"])
    for level in (card.level, *get_args(LevelRule)):
        if card.with_level(level).pipeline == fields["pipeline"]:
            return load_model(card.name, device, level)
    raise PipelineMismatch(f"{store.name} and this version of {card.name}", card.pipeline, fields["pipeline"])
