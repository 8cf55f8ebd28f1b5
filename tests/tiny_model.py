"""A model for tests: deterministic vectors from the content of a file, no network."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from soundalike.aspects import SIZE, VERSION
from soundalike.embed import pool_vectors
from soundalike.models.cards import POCKET
from soundalike.types import F32, Embedding, Failure

DIM = 16


class TinyModel:
    """Reads files of text: each line is a segment of one second; ``bad`` cannot be embedded.

    Equal lines have equal vectors, and a line has the vector of the same words: ``embed_text``.
    """

    def __init__(self, name: str = "tiny", dim: int = DIM) -> None:
        self.card = replace(POCKET, name=name, dim=dim)
        self.pipeline = hashlib.sha256(f"{name} {dim}".encode()).hexdigest()[:16]
        self.n_embedded = 0

    def embed_file(self, path: str | Path) -> Embedding:
        data = Path(path).read_bytes()
        lines = data.decode(errors="replace").splitlines()
        vectors = np.stack([self._vector(line) for line in lines])
        starts = np.arange(len(lines), dtype=np.float64)
        self.n_embedded += 1
        return Embedding(
            Path(path), pool_vectors(vectors), vectors, np.stack([starts, starts + 1], axis=1),
            float(len(lines)),
            44_100, 1 + len(lines) % 2, hashlib.sha256(data).hexdigest(), self.card.name, self.pipeline,
        )  # fmt: skip

    def embed_files(
        self, paths: Iterable[str | Path], workers: int | None = None, *, aspects: bool = False
    ) -> Iterator[Embedding | Failure]:
        for path in paths:
            try:
                data = Path(path).read_text(errors="replace")
            except FileNotFoundError:
                yield Failure(Path(path), "missing", "there is no such file")
                continue
            if data.startswith("bad"):
                yield Failure(Path(path), "not_audio", "no sound format is recognized in it")
            else:
                result = self.embed_file(path)
                yield replace(result, aspects=aspects_of(Path(path))) if aspects else result

    def embed_text(self, lines: Sequence[str]) -> F32:
        return np.stack([self._vector(line) for line in lines])

    def _vector(self, line: str) -> F32:
        seed = int.from_bytes(hashlib.sha256(line.encode()).digest()[:8], "big")
        vector = np.random.default_rng(seed).normal(size=self.card.dim)
        return (vector / np.linalg.norm(vector)).astype(np.float32)


def aspects_of(path: Path) -> F32 | None:
    """Made-up aspects of a file of text; one in ten has none."""
    rng = np.random.default_rng(list(path.read_bytes()))
    row = np.concatenate([[VERSION], rng.uniform(0, 1, SIZE - 1)])
    return None if rng.uniform() < 0.1 else row.astype(np.float32)
