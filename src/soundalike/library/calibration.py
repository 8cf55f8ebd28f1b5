"""From a cosine to "how likely is this what was asked for", where a model's card can tell.

Without a calibration on the card there is no probability, and nothing is guessed.
"""

from __future__ import annotations

from soundalike.models.cards import CARDS, Calibration


def calibration_of(model: str) -> Calibration | None:
    """Look up the calibration of a model, by name."""
    card = CARDS.get(model)
    return card.calibration if card else None


def is_nothing(model: str, n_matches: int, best: float, words_only: bool) -> bool | None:
    """Say whether even the best match is none; None if the card cannot tell.

    Parameters
    ----------
    best : cosine of the best match
    words_only : cards know a limit for questions of words alone
    """
    if not n_matches:
        return True
    calibration = calibration_of(model)
    return best < calibration.nothing_below if calibration and words_only else None
