"""Hand-crafted features: what can be said of a sound without a learned model.

    features = measure_file("loop.wav")
    features.frames["mfcc"]     # (n_frames, 20)
    features.tempo.bpm, features.key, features.loudness.integrated_lufs

Definitions are the field's, with librosa 0.11 as the reference for all that librosa has and its defaults
throughout (22,050 Hz, frames of 2048 every 512); tests/golden/features holds its numbers. The code is ours,
on numpy and scipy.fft alone, because importing librosa takes longer than measuring a song, and because a
stream needs bounded memory.
"""

from soundalike.features.analysis import (
    COLUMNS,
    FRAME_RATE,
    Features,
    measure,
    measure_file,
)
from soundalike.features.rhythm import Tempo
from soundalike.features.spectral import HOP_LENGTH, N_FFT, SAMPLE_RATE
from soundalike.features.tonal import PITCH_CLASSES, Key

__all__ = [
    "COLUMNS",
    "FRAME_RATE",
    "HOP_LENGTH",
    "N_FFT",
    "PITCH_CLASSES",
    "SAMPLE_RATE",
    "Features",
    "Key",
    "Tempo",
    "measure",
    "measure_file",
]
