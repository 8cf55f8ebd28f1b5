"""A spectrogram as a bare picture: no letters, no axes, for a page to lay over a waveform."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from soundalike import audio
from soundalike.canvas import Canvas
from soundalike.features.analysis import RANGE_DB, Thinned, to_db
from soundalike.features.picture import DARK_TO_BRIGHT, colored
from soundalike.features.spectral import N_MELS, SAMPLE_RATE, batches, mel_and_chroma, power_spectrum

WIDTH = 800  # pixels at most, one column each; the height is `N_MELS`


def draw_spectrogram(path: Path) -> bytes:
    """Draw the mel spectrogram of a sound file of any length, low sounds below, as PNG of 128 rows.

    Raises
    ------
    SoundError
        as `soundalike.audio.read`
    """
    kept = Thinned(WIDTH, average=True)
    with audio.read(path, SAMPLE_RATE) as sound:
        for batch in batches(sound):
            kept.add(mel_and_chroma(power_spectrum(batch.frames))[0])
    mel_db = to_db(kept.rows)
    canvas = Canvas(len(mel_db), N_MELS, (0, 0, 0))
    canvas.paste(0, 0, colored(np.ascontiguousarray((mel_db - mel_db.max()).T[::-1]) / RANGE_DB + 1, DARK_TO_BRIGHT))
    return canvas.png()
