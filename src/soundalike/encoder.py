"""A loaded model: samples or words in, vectors out."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from soundalike.errors import ModelError
from soundalike.frontend import log_mel
from soundalike.level import normalize_level
from soundalike.models.cards import ModelCard, ModelFile, TextSpec, folder_of, is_here
from soundalike.runtime import Session, precision_of, read_checked
from soundalike.types import F32


class Encoder:
    """A model card with its networks.

    Segments and lines of text are run one at a time: on a CPU a batch gains nothing, and so no vector can
    depend on its neighbours. Safe to call from many threads.
    """

    def __init__(self, card: ModelCard, device: str = "auto") -> None:
        if not is_here(card):
            raise ModelError(
                f"{card.name} is not on this machine. To get it: soundalike models pull {card.name}"
            )
        self.card = card = card.with_precision(precision_of(device))
        self.device = device
        self._audio = self._session(card.graph)
        self._long = self._session(card.long_graph) if card.long_graph else self._audio

    def encode_segment(self, samples: F32) -> F32:
        """Vector of one segment.

        Parameters
        ----------
        samples : (n_samples,), mono, at the card's sample rate

        Returns
        -------
        (dim,), unit norm
        """
        graph = self._long if samples.size > self.card.long_s * self.card.sample_rate else self._audio
        return unit(graph.run(features_of(samples, self.card)[None])[0])

    def logits(self, samples: F32) -> F32:
        """What a speech recognizer makes of a stretch of sound.

        Parameters
        ----------
        samples : (n_samples,), mono, at the card's sample rate

        Returns
        -------
        (n_frames, n_characters)
        """
        logits: F32 = self._audio.run(features_of(samples, self.card)[None], output="logits")[0]
        return logits

    def encode_text(self, lines: Sequence[str]) -> F32:
        """Vectors of descriptions, in the space of the sounds.

        Returns
        -------
        (n, dim), unit norm each
        """
        if isinstance(lines, str):
            raise TypeError("encode_text takes a list of lines; for one line write [line]")
        vectors = np.empty((len(lines), self.card.dim), np.float32)
        for row, line in enumerate(lines):
            text = " ".join(line.split()).encode(errors="replace").decode()  # a stray byte is no harm
            text += _text_of(self.card).suffix
            ids = self._tokenizer.encode(text).ids
            vectors[row] = unit(self._text.run(np.array([ids], np.int64))[0])
        return vectors

    @cached_property
    def _text(self) -> Session:
        return self._session(_text_of(self.card).graph)

    def _session(self, file: ModelFile) -> Session:
        return Session(folder_of(self.card) / file.name, file.sha256, self.device)

    @cached_property
    def _tokenizer(self) -> Any:
        from tokenizers import Tokenizer

        text = _text_of(self.card)
        data = read_checked(folder_of(self.card) / text.tokenizer.name, text.tokenizer.sha256)
        tokenizer = Tokenizer.from_str(data.decode())
        tokenizer.no_padding()
        tokenizer.enable_truncation(text.max_tokens)
        return tokenizer


def features_of(samples: F32, card: ModelCard) -> F32:
    """What the network of a model gets for one segment: samples, (n_mels, n_frames), or (1, n_frames, n_mels)."""
    leveled = normalize_level(samples, card.level, card.sample_rate)
    margin = round(card.segments.margin_s * card.sample_rate)
    framed = np.pad(leveled, margin) if margin else leveled
    if card.frontend is None:
        return framed
    mel = log_mel(framed, card.frontend)
    return np.ascontiguousarray(mel.T)[None] if card.layout == "frames" else mel


def _text_of(card: ModelCard) -> TextSpec:
    if card.text is None:
        raise ModelError(f"The model {card.name} knows no words. Models that do: soundalike models list")
    return card.text


def unit(vector: np.ndarray[Any, Any]) -> F32:
    """Scale a vector ``(dim,)`` to length 1.

    Raises
    ------
    ModelError
        if it has no direction: not finite, or zero
    """
    norm = float(np.linalg.norm(vector.astype(np.float64)))
    if not np.isfinite(norm) or norm == 0.0:
        raise ModelError(f"The model gave a vector of length {norm}; its files may be damaged.")
    return (vector / norm).astype(np.float32)
