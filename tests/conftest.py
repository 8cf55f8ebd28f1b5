"""What all tests share: seeded properties, the bundled model, and a model that costs nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import settings

from soundalike.embed import Model, load_model
from soundalike.encoder import Encoder, unit
from soundalike.level import normalize_level
from soundalike.models.cards import POCKET, ModelCard
from soundalike.types import F32

settings.register_profile("seeded", max_examples=30, deadline=None, derandomize=True, database=None)
settings.load_profile("seeded")


class BandEncoder(Encoder):
    """The energy of eight bands in place of a network: enough to tell one sound from another."""

    def __init__(self, card: ModelCard) -> None:
        self.card = card
        self.device = "cpu"

    def encode_segment(self, samples: F32) -> F32:
        levelled = normalize_level(samples, self.card.level, self.card.sample_rate)
        spectrum = np.abs(np.fft.rfft(levelled))
        return unit(np.array([band.sum() for band in np.array_split(spectrum, self.card.dim)]))


def band_model(name: str = "bands") -> Model:
    """Make a model with the flow of the pocket model and no network."""
    model = Model.__new__(Model)
    model.card = replace(POCKET, name=name, dim=8, n_parameters=len(name))
    model.encoder = BandEncoder(model.card)
    return model


@pytest.fixture
def bands() -> Model:
    return band_model()


@pytest.fixture(scope="session")
def pocket() -> Model:
    return load_model()
