"""A relation in words: "MP3 128 kbit/s, +2.0 st, starts at 3.42 s"."""

from __future__ import annotations

from collections.abc import Mapping

from soundalike.duplicates.values import Kind, Recording, Relation


def in_words(first: Recording, second: Recording, relation: Relation) -> str:
    """Say what the second file is to the first."""
    return ", ".join(_part(kind, first, second, relation) for kind in relation.kinds)


def _part(kind: Kind, first: Recording, second: Recording, relation: Relation) -> str:
    of = relation.parameters
    match kind:
        case "identical":
            return "the same bytes"
        case "same samples":
            return f"the same samples ({_coding(first)} → {_coding(second)})"
        case "re-encoded":
            return f"{_coding(first)} → {_coding(second)}"
        case "gain":
            return f"{of['gain_db']:+.1f} dB"
        case "resampled":
            return f"{first.sample_rate} → {second.sample_rate} Hz"
        case "channels":
            return f"{_channels(first.channels)} → {_channels(second.channels)}"
        case "trimmed" | "padded" | "contained":
            return f"{kind}, {_place(relation.start_s)}"
        case "pitch":
            return f"pitch {of['semitones']:+.1f} st"
        case "tempo":
            return f"tempo ×{of['speed']:.3f}"
        case "speed":
            return f"speed ×{of['speed']:.3f} ({of['semitones']:+.1f} st)"
        case "filtered":
            return _filter(of)
        case "noise":
            return f"noise at {of['noise_db']:.0f} dB"
        case "reverb":
            return "reverb"
        case "edited":
            return "a small change"


def _place(start_s: float) -> str:
    return f"starts at {start_s:.2f} s" if start_s >= 0 else f"begins {-start_s:.2f} s earlier"


def _filter(of: Mapping[str, float]) -> str:
    cuts = [f"{name} {of[key]:.0f} Hz" for name, key in _CUTS.items() if key in of]
    return " and ".join(cuts) or "filtered"


_CUTS = {"low-pass": "low_pass_hz", "high-pass": "high_pass_hz"}


def _coding(one: Recording) -> str:
    return one.codec if one.is_lossless else f"{one.codec} {one.bit_rate / 1000:.0f} kbit/s"


def _channels(n: int) -> str:
    return {1: "mono", 2: "stereo"}.get(n, f"{n} channels")
