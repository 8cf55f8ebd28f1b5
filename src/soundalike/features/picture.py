"""A picture of a sound: log-mel spectrogram with onsets and pitch, chroma, loudness, on one axis of time."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from soundalike.canvas import U8, Canvas, Color
from soundalike.features.analysis import FRAME_RATE, RANGE_DB, Features
from soundalike.features.report import headline
from soundalike.features.spectral import N_MELS, SAMPLE_RATE
from soundalike.features.tonal import PITCH_CLASSES
from soundalike.frontend import hz_to_mel
from soundalike.types import F32, F64

WIDTH, HEIGHT = 1280, 880
LEFT, RIGHT = 84, 44  # margins beside the panels
MEL_TOP, MEL_HEIGHT = 106, 384
CHROMA_TOP, CHROMA_HEIGHT = 530, 156
LEVEL_TOP, LEVEL_HEIGHT = 726, 100
SPAN = WIDTH - LEFT - RIGHT

PAPER: Color = (252, 252, 250)
INK: Color = (38, 38, 52)
FAINT: Color = (128, 128, 140)
GRID: Color = (222, 222, 226)
ONSET: Color = (255, 255, 255)
PITCH: Color = (80, 240, 255)
LEVEL: Color = (96, 62, 150)
DARK_TO_BRIGHT = (  # from silence to the loudest: equal steps of lightness
    (0, 0, 6), (21, 14, 56), (59, 15, 111), (100, 26, 128), (140, 41, 129), (182, 54, 121),
    (222, 73, 104), (246, 110, 92), (254, 159, 109), (254, 207, 146), (252, 253, 191),
)  # fmt: skip
_PAPER_TO_INK = (PAPER, (210, 214, 236), (140, 148, 206), (80, 74, 160), (45, 28, 92))
_STEPS_S = (
    0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600,
)  # fmt: skip
_LOWEST_DB = -60
_PITCH_JUMP = 0.3  # octaves from frame to frame at which the line breaks


def draw(features: Features, title: str) -> bytes:
    """Draw what was measured, as a PNG file of 1280 x 880.

    Parameters
    ----------
    features : of one sound
    title : what to call it; letters beyond ASCII become hollow boxes
    """
    canvas = Canvas(WIDTH, HEIGHT, PAPER)
    duration_s = max(features.duration_s, 1 / FRAME_RATE)
    canvas.text(LEFT, 16, _shortened(title, 60), INK)
    canvas.text(LEFT, 42, headline(features), INK)
    for top, caption in (
        (MEL_TOP - 12, "mel spectrogram, onsets (ticks), pitch (line)"),
        (CHROMA_TOP, "chroma"),
        (LEVEL_TOP, "level in dB: RMS (area), momentary loudness (line)"),
    ):
        canvas.text(LEFT, top - 22, caption, FAINT)
    _draw_spectrogram(canvas, features, duration_s)
    _draw_chroma(canvas, features, duration_s)
    _draw_level(canvas, features, duration_s)
    _draw_times(canvas, duration_s)
    return canvas.png()


def _draw_spectrogram(canvas: Canvas, features: Features, duration_s: float) -> None:
    mel = _over_time(features.mel_db, features.mel_hop_s, duration_s)
    rows = np.linspace(N_MELS - 1, 0, MEL_HEIGHT)
    low = np.floor(rows).astype(np.int64)
    part = (rows - low)[:, None].astype(np.float32)
    tall = mel.T[low] * (1 - part) + mel.T[np.minimum(low + 1, N_MELS - 1)] * part
    top = float(features.mel_db.max())
    shade = (tall - top) / RANGE_DB + 1 if top > -99 else np.zeros_like(tall)
    canvas.paste(LEFT, MEL_TOP, colored(shade, DARK_TO_BRIGHT))
    for hertz, name in (
        (100, "100"),
        (500, "500"),
        (1000, "1 kHz"),
        (2000, "2 kHz"),
        (4000, "4 kHz"),
        (8000, "8 kHz"),
    ):
        _label(canvas, round(float(_row_of(np.array([hertz]))[0])), name)
    f0 = features.frames["f0_hz"]
    jump = np.abs(np.diff(np.log2(f0), append=np.nan)) > _PITCH_JUMP
    rows_f0 = _nearest(np.where(np.isnan(f0) | jump, np.nan, _row_of(f0)), features, duration_s)
    canvas.curve(LEFT, rows_f0, PITCH, width=2.5)
    for onset in features.onsets_s[features.onsets_s <= duration_s]:
        x = LEFT + min(int(onset / duration_s * SPAN), SPAN - 1)
        canvas.box(x, MEL_TOP, 1, MEL_HEIGHT, ONSET, 0.35)
        canvas.box(x - 1, MEL_TOP - 7, 3, 7, INK)


def _draw_chroma(canvas: Canvas, features: Features, duration_s: float) -> None:
    loud = features.frames["rms"] > features.frames["rms"].max() * 10 ** (_LOWEST_DB / 20)
    chroma = np.where(loud[:, None], features.frames["chroma"], 0.0)
    tall = np.repeat(_nearest(chroma, features, duration_s).T[::-1], CHROMA_HEIGHT // 12, axis=0)
    canvas.paste(LEFT, CHROMA_TOP, colored(tall, _PAPER_TO_INK))
    for number, name in enumerate(PITCH_CLASSES):
        if len(name) == 1 and name != "F":  # it would touch E
            _label(
                canvas, CHROMA_TOP + CHROMA_HEIGHT - CHROMA_HEIGHT // 12 * number - CHROMA_HEIGHT // 24, name
            )
    _frame(canvas, CHROMA_TOP, CHROMA_HEIGHT)


def _draw_level(canvas: Canvas, features: Features, duration_s: float) -> None:
    for level in (0, -20, -40, -60):
        y = _level_row(np.array(float(level)))
        canvas.box(LEFT, round(float(y)), SPAN, 1, GRID)
        _label(canvas, round(float(y)), str(level))
    with np.errstate(divide="ignore"):
        rms_db = 20 * np.log10(features.frames["rms"])
    rms = _level_row(_nearest(rms_db, features, duration_s))
    canvas.area(LEFT, rms, LEVEL_TOP + LEVEL_HEIGHT, LEVEL, 0.35)
    loudness = features.loudness
    if loudness.momentary_lufs.size > 1:
        places = (np.arange(SPAN) + 0.5) / SPAN * duration_s
        levels = np.interp(places, loudness.times_s, np.maximum(loudness.momentary_lufs, _LOWEST_DB))
        canvas.curve(LEFT, _level_row(levels), LEVEL)
    _frame(canvas, LEVEL_TOP, LEVEL_HEIGHT)


def _draw_times(canvas: Canvas, duration_s: float) -> None:
    step = next((step for step in _STEPS_S if duration_s / step <= 12), _STEPS_S[-1])
    while duration_s / step > 12:
        step *= 2
    bottom = LEVEL_TOP + LEVEL_HEIGHT
    for number in range(int(duration_s / step) + 1):
        x = LEFT + round(number * step / duration_s * SPAN)
        canvas.box(x, bottom, 1, 6, INK)
        canvas.text(x, bottom + 12, _clock(number * step, step), INK, align=0.5)


def _clock(seconds: float, step: float) -> str:
    """Write a place in time: 0.25 s below a minute, 3:07, 2:03:07."""
    if step < 1:
        return f"{seconds:.{len(f'{step:g}') - 2}f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}" if minutes else f"{rest} s"


def _label(canvas: Canvas, y: int, text: str) -> None:
    """Draw a mark on the left edge of a panel."""
    canvas.box(LEFT - 6, y, 6, 1, INK)
    canvas.text(LEFT - 12, y - 7, text, INK, align=1.0)


def _frame(canvas: Canvas, top: int, height: int) -> None:
    canvas.box(LEFT, top + height, SPAN, 1, FAINT)
    canvas.box(LEFT - 1, top, 1, height + 1, FAINT)


def _row_of(hertz: npt.NDArray[np.floating]) -> F64:
    """Row of a frequency in the spectrogram, by mel."""
    top = float(hz_to_mel(np.array([SAMPLE_RATE / 2]), "slaney")[0])
    bands = (
        hz_to_mel(np.nan_to_num(np.asarray(hertz, np.float64), nan=1.0), "slaney") / top * (N_MELS + 1) - 1
    )
    return MEL_TOP + (1 - bands / (N_MELS - 1)) * MEL_HEIGHT


def _level_row(level_db: npt.NDArray[np.floating]) -> F64:
    """Row of a level between `_LOWEST_DB` and 0 dB."""
    part = np.clip(level_db / _LOWEST_DB, 0, 1)
    out: F64 = LEVEL_TOP + part * LEVEL_HEIGHT
    return out


def _over_time(rows: F32, hop_s: float, duration_s: float) -> F32:
    """Rows (n, k) at equal steps of time, interpolated to the columns of a panel: (SPAN, k)."""
    places = np.clip((np.arange(SPAN) + 0.5) / SPAN * duration_s / hop_s, 0, len(rows) - 1)
    low = places.astype(np.int64)
    part = (places - low)[:, None].astype(np.float32)
    out: F32 = rows[low] * (1 - part) + rows[np.minimum(low + 1, len(rows) - 1)] * part
    return out


def _nearest(
    rows: npt.NDArray[np.floating], features: Features, duration_s: float
) -> npt.NDArray[np.floating]:
    """Of rows per frame, the one nearest to each column of a panel: (SPAN, ...)."""
    hop_s = features.times_s[1] if features.times_s.size > 1 else 1.0
    places = np.round((np.arange(SPAN) + 0.5) / SPAN * duration_s / hop_s).astype(np.int64)
    return rows[np.clip(places, 0, len(rows) - 1)]


def colored(shade: npt.NDArray[np.floating], colors: tuple[Color, ...]) -> U8:
    """Shades in [0, 1] to colors between the given ones, (height, width, 3)."""
    table = np.array(
        [
            np.interp(np.linspace(0, 1, 256), np.linspace(0, 1, len(colors)), c)
            for c in zip(*colors, strict=True)
        ]
    )
    out: U8 = np.round(table.T).astype(np.uint8)[(np.clip(shade, 0, 1) * 255).astype(np.uint8)]
    return out


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most // 2 - 2] + "..." + text[-(most // 2) :]
