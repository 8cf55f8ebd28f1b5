"""Level normalisation, segment by segment.

Each segment is scaled by one factor that depends on nothing but that segment. So a copy of a sound at another
gain gives the same numbers, memory stays bounded, and the first ten minutes of a two-hour recording give the
same segments as an excerpt of ten minutes does, which a gain taken from the whole file could not promise.
"""

from __future__ import annotations

import numpy as np

from soundalike.types import F32, LevelRule

TARGET_RMS_DB = -20.0  # dBFS after "rms": the usual level of broadcast and of tagged training material
TARGET_LOUDNESS_DB = -20.0  # LUFS after "loudness"
RAISED_DB = -30.0  # dBFS: what "raised" brings quieter sounds to
TARGET_PEAK = 1.0  # after "peak"
SILENCE_PEAK = float(np.float32(3.2e-5))  # below one step of 16-bit sound: nothing but the last bit's noise
_CONSTANT_DB = -100.0  # a level this far below the peak is the rounding of a constant, which has none
_NOTHING = 1e-20  # power that stands for none at all


def is_silent(samples: F32) -> bool:
    """Whether no sample rises above one 16-bit step (-90 dBFS)."""
    return samples.size == 0 or float(peak_of(samples)) < SILENCE_PEAK


def peak_of(samples: F32) -> np.float32:
    """Largest magnitude of (n_samples,), at least one; not a number if one of them is not."""
    peak: np.float32 = np.maximum(samples.max(), -samples.min())  # np.abs would copy the sound
    return peak


def normalize_level(samples: F32, rule: LevelRule, sample_rate: int) -> F32:
    """Scale a segment to the level that a model expects.

    Parameters
    ----------
    samples : (n_samples,), mono
    rule : "none" leaves it, "peak" brings the largest sample to 1, "rms" the effective value (mean removed) to
        -20 dBFS, "loudness" the K-weighted power to -20 LUFS (ITU-R BS.1770-4 weighting, ungated), "raised" the
        effective value to -30 dBFS if it is lower (Resemblyzer's rule, which it applies to a whole file)
    sample_rate : Hz

    Returns
    -------
    (n_samples,) float32; silence, and under all rules but "peak" a constant, come back unchanged
    """
    if rule == "none" or is_silent(samples):
        return samples
    peak = float(peak_of(samples))
    if rule == "peak":
        return samples * np.float32(TARGET_PEAK / peak)
    if rule in ("rms", "raised"):
        level_db = 10 * float(np.log10(np.var(samples, dtype=np.float64) + _NOTHING))
        gain_db = TARGET_RMS_DB - level_db if rule == "rms" else max(RAISED_DB - level_db, 0.0)
    else:
        level_db = loudness_db(samples, sample_rate)
        gain_db = TARGET_LOUDNESS_DB - level_db
    if level_db < 20 * np.log10(peak) + _CONSTANT_DB:
        return samples
    return samples * np.float32(10 ** (gain_db / 20))


def loudness_db(samples: F32, sample_rate: int) -> float:
    """Loudness of a mono stretch in LUFS, ungated (ITU-R BS.1770-4, K-weighting of the power spectrum)."""
    from scipy import fft

    from soundalike.loudness import k_weighting

    spectrum = fft.rfft(samples)
    power = np.square(spectrum.real, dtype=np.float64) + np.square(spectrum.imag, dtype=np.float64)
    power[1 : (samples.size + 1) // 2] *= 2.0  # all but zero and, if there is one, the Nyquist frequency
    frequencies = fft.rfftfreq(samples.size, 1 / sample_rate)
    mean_square = float(np.sum(power * np.abs(k_weighting(frequencies)) ** 2)) / samples.size**2
    return -0.691 + 10 * float(np.log10(mean_square + _NOTHING))
