"""Whether this machine gives the vectors that the package was released with.

The example sounds are embedded here and compared with golden vectors made at release. What may differ between
machines is the order of additions in the network and in the decoder: about 1e-7 in cosine, never 1e-6.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from soundalike.embed import Model
from soundalike.errors import ModelError
from soundalike.folders import find_sounds
from soundalike.models.cards import folder_of
from soundalike.types import F32, Embedding

EXAMPLES = Path(__file__).parent / "examples"
GOLDEN = "golden.npz"
TOLERANCE = 1e-6  # in cosine


@dataclass(frozen=True, slots=True)
class Check:
    """One example sound, here and at release."""

    name: str
    cosine: float  # to the golden vector
    repeatable: bool  # a second run gave the same bits

    @property
    def passed(self) -> bool:
        """Whether this example is right."""
        return self.repeatable and self.cosine >= 1.0 - TOLERANCE


def run_selftest(model: Model) -> list[Check]:
    """Embed every example twice and compare with the golden vectors of the model's pipeline.

    Raises
    ------
    ModelError
        if there are no golden vectors for this pipeline
    """
    names, golden = read_golden(model)
    first, second = embed_examples(model), embed_examples(model, workers=1)
    return [
        _check(name, vector, first.get(name), second.get(name))
        for name, vector in zip(names, golden, strict=True)
    ]


def _check(name: str, golden: F32, first: F32 | None, second: F32 | None) -> Check:
    if first is None or second is None:  # an example that cannot be read here
        return Check(name, 0.0, False)
    return Check(name, cosine(golden, first), np.array_equal(first, second))


def embed_examples(model: Model, workers: int | None = None) -> dict[str, F32]:
    """Vectors of the example sounds by name."""
    names = {sound.path: str(sound.name) for sound in find_sounds([EXAMPLES])}
    results = model.embed_files(names, workers)
    return {names[done.path]: done.vector for done in results if isinstance(done, Embedding)}


def read_golden(model: Model) -> tuple[list[str], F32]:
    """Names and vectors made at release."""
    path = folder_of(model.card) / GOLDEN
    if not path.exists():
        raise ModelError(f"There are no golden vectors for the model {model.card.name}.")
    with np.load(path, allow_pickle=False) as golden:
        if str(golden["pipeline"]) != model.pipeline:
            made = f"of pipeline {golden['pipeline']}, this is {model.pipeline}"
            raise ModelError(f"The golden vectors are {made}.")
        return [str(name) for name in golden["names"]], golden["vectors"]


def write_golden(model: Model) -> None:
    """Make the golden vectors: for a release, after the model has changed."""
    vectors = embed_examples(model)
    names = sorted(vectors)
    stack = np.stack([vectors[name] for name in names])
    path = folder_of(model.card) / GOLDEN
    np.savez_compressed(path, names=names, vectors=stack, pipeline=model.pipeline)


def cosine(a: F32, b: F32) -> float:
    """Cosine of two unit vectors, in double precision."""
    return float(a.astype(np.float64) @ b.astype(np.float64))
