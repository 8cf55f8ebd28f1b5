"""Features as people and programs read them: a line, a summary, a JSON record, a NumPy file."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np

from soundalike.errors import ExportError
from soundalike.features.analysis import COLUMNS, Features
from soundalike.features.tonal import PITCH_CLASSES
from soundalike.types import F32

CLEAR_PULSE = 0.3  # below, a tempo is a guess
CLEAR_KEY = 0.6  # correlation below which a key is a guess
_SCALARS = (
    "duration_s", "loudness_lufs", "peak_db", "tempo_bpm", "tempo_strength", "tempo_alternative_bpm",
    "key_correlation", "key_margin", "voiced_ratio", "onsets_s",
)  # fmt: skip
STATISTICS = ("mean", "std", "p10", "median", "p90")


def summary(features: Features) -> dict[str, dict[str, Any]]:
    """Per name of `COLUMNS`, the `STATISTICS` over frames; None where no frame has a value."""
    return {name: _statistics(features.frames[name]) for name in COLUMNS}


def _statistics(values: F32) -> dict[str, Any]:
    values = values[np.isfinite(values).reshape(len(values), -1).all(axis=1)].astype(np.float64)
    if not len(values):
        return dict.fromkeys(STATISTICS)
    found = (values.mean(axis=0), values.std(axis=0), *np.percentile(values, [10, 50, 90], axis=0))
    return {name: np.asarray(value).tolist() for name, value in zip(STATISTICS, found, strict=True)}


def voiced_ratio(features: Features) -> float:
    """Part of the frames that have a pitch."""
    return float(np.isfinite(features.frames["f0_hz"]).mean())


def record(features: Features, *, per_frame: bool = False) -> dict[str, Any]:
    """Everything as plain values for JSON; with ``per_frame`` the frames too, as arrays."""
    tempo, key, loudness = features.tempo, features.key, features.loudness
    out: dict[str, Any] = {
        "duration_s": features.duration_s,
        "loudness_lufs": loudness.integrated_lufs,
        "peak_db": loudness.peak_db,
        "tempo_bpm": tempo and tempo.bpm,
        "tempo_strength": tempo and tempo.strength,
        "tempo_alternative_bpm": tempo and tempo.alternative_bpm,
        "key": key and str(key),
        "key_correlation": key and key.correlation,
        "key_margin": key and key.margin,
        "voiced_ratio": voiced_ratio(features),
        "onsets_s": features.onsets_s.tolist(),
        "summary": summary(features),
        "warnings": list(features.warnings),
    }
    if per_frame:
        frames = {name: np.ascontiguousarray(features.frames[name]) for name in COLUMNS}
        out["frames"] = {"time_s": features.times_s} | frames
    return out


def column_names() -> list[str]:
    """Names of the columns of `rows`: ``time_s``, ``mfcc_0``, ..., ``chroma_c_sharp``, ..."""
    chroma = [f"chroma_{name.lower().replace('#', '_sharp')}" for name in PITCH_CLASSES]
    names = {"mfcc": [f"mfcc_{number}" for number in range(COLUMNS["mfcc"])], "chroma": chroma}
    return ["time_s", *(column for name in COLUMNS for column in names.get(name, [name]))]


def rows(features: Features) -> np.ndarray:
    """All frames as one table (n_frames, n_columns), NaN where there is no pitch."""
    parts = [features.frames[name].reshape(features.times_s.size, -1) for name in COLUMNS]
    return np.concatenate([features.times_s[:, None], *parts], axis=1)


def write_npz(features: Features, path: Path) -> None:
    """Write frames, times and per-sound values as a NumPy archive; what is not known is NaN.

    Raises
    ------
    ExportError
        when the file cannot be written
    """
    known = record(features)
    scalars = {name: np.array(np.nan if known[name] is None else known[name]) for name in _SCALARS}
    arrays: dict[str, Any] = scalars | features.frames
    arrays |= {
        "times_s": features.times_s,
        "mel_db": features.mel_db,
        "mel_hop_s": np.array(features.mel_hop_s),
    }
    arrays |= {"key": np.array(known["key"] or ""), "momentary_lufs": features.loudness.momentary_lufs}
    content = io.BytesIO()
    np.savez(content, **arrays)
    write_bytes(content.getvalue(), path)


def write_bytes(content: bytes, path: Path) -> None:
    """Write a file.

    Raises
    ------
    ExportError
        when the system refuses
    """
    try:
        path.write_bytes(content)
    except OSError as error:
        raise ExportError(f"{path}: cannot be written: {error.strerror}") from error


def table(features: Features) -> list[str]:
    """Describe the sound in lines for reading: a few about all of it, then the statistics of its frames."""
    tempo, key, loudness = features.tempo, features.key, features.loudness
    lines = [headline(features)]
    if loudness.peak_db is not None:
        lines.append(f"peak {loudness.peak_db:.1f} dBFS")
    if tempo:
        sureness = _sureness(tempo.strength, CLEAR_PULSE)
        lines.append(f"tempo {tempo.bpm:.1f} BPM or {tempo.alternative_bpm:.1f}, {sureness}")
    if key:
        lines.append(f"key {key}, {_sureness(key.correlation, CLEAR_KEY)}")
    if features.onsets_s.size:
        first = ", ".join(f"{onset:.2f}" for onset in features.onsets_s[:12])
        lines.append(f"onsets {first}{', ...' if features.onsets_s.size > 12 else ''} s")
    lines += ["", f"{'':18}" + "".join(f"{name:>11}" for name in STATISTICS)]
    of_frames = summary(features)
    for name, values in of_frames.items():
        if COLUMNS[name] == 1:
            lines.append(
                f"{name:18}" + "".join(f"{_short(values[statistic]):>11}" for statistic in STATISTICS)
            )
    chroma = zip(PITCH_CLASSES, of_frames["chroma"]["mean"], strict=True)
    lines += ["", "chroma  " + "  ".join(f"{name} {value:.2f}" for name, value in chroma)]
    lines.append("mfcc    " + "  ".join(f"{value:.1f}" for value in of_frames["mfcc"]["mean"]))
    return lines


def _sureness(value: float, clear: float) -> str:
    return f"{'clear' if value >= clear else 'a guess'} ({value:.2f})"


def _short(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def headline(features: Features) -> str:
    """Describe the sound in one line; what is only a guess is left out."""
    tempo, key, loudness = features.tempo, features.key, features.loudness.integrated_lufs
    parts = [f"{features.duration_s:.2f} s", "silent" if loudness is None else f"{loudness:.1f} LUFS"]
    if tempo and tempo.strength >= CLEAR_PULSE:
        parts.append(f"{tempo.bpm:.0f} BPM")
    if voiced_ratio(features) >= 0.5:
        parts.append(note_name(float(np.nanmedian(features.frames["f0_hz"]))))
    if key and key.correlation >= CLEAR_KEY:
        parts.append(str(key))
    onsets = features.onsets_s.size
    return "   ".join([*parts, f"{onsets} onset{'' if onsets == 1 else 's'}"])


def note_name(hertz: float) -> str:
    """Name the nearest note and the way to it: ``A4 +12 cents``."""
    semitones = 69 + 12 * float(np.log2(hertz / 440))
    nearest = round(semitones)
    return f"{PITCH_CLASSES[nearest % 12]}{nearest // 12 - 1} {round(100 * (semitones - nearest)):+d} cents"
