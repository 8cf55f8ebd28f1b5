"""A picture of numpy pixels: boxes, curves, letters, and a PNG file out of it, with nothing but zlib."""

from __future__ import annotations

import struct
import zlib
from functools import lru_cache

import numpy as np
import numpy.typing as npt

Color = tuple[int, int, int]
U8 = npt.NDArray[np.uint8]

# Letters of 5 x 8 dots from "!" on: a word of hexadecimal digits each, two a column, the top dot is bit 0.
_LETTERS = """ 00005F0000 0007000700 147F147F14 242A7F2A12 2313086462 3649552250 0000070000
001C224100 0041221C00 14083E0814 08083E0808 0080600000 0808080808 0000606000 2010080402 3E5149453E
00427F4000 4261514946 2241494936 1814127F10 2745454539 3C4A494930 0171090503 3649494936 064949291E
0000363600 0080760000 0814224100 1414141414 0041221408 0201510906 3E415D551E 7E1111117E 7F49494936
3E41414122 417F41413E 7F49494941 7F09090901 3E4149493A 7F0808087F 00417F4100 2040413F01 7F08142241
7F40404040 7F020C027F 7F0408107F 3E4141413E 7F09090906 3E4151215E 7F09192946 2649494932 01017F0101
3F4040403F 0F3040300F 3F4038403F 6314081463 0304780403 6151494543 007F414100 0204081020 0041417F00
0402010204 8080808080 0001020000 2054545478 7F48444438 3844444428 384444487F 3854545418 00087E0902
18A4A4A47C 7F08040478 00447D4000 4080847D00 7F10284400 00417F4000 7C04180478 7C08040478 3844444438
FC24242418 18242424FC 7C08040408 4854545424 043F444020 3C4040207C 1C2040201C 3C4030403C 4428102844
1CA0A0A07C 4464544C44 0008364100 00007F0000 0041360800 0804081008
"""
LETTER_WIDTH, LETTER_HEIGHT = 6, 8  # dots, with the gap to the next letter


class Canvas:
    """Pixels (height, width, 3), from the upper left corner."""

    def __init__(self, width: int, height: int, color: Color) -> None:
        self.pixels: U8 = np.full((height, width, 3), color, np.uint8)

    def paste(self, x: int, y: int, pixels: U8) -> None:
        """Copy pixels (height, width, 3) to a place."""
        self.pixels[y : y + pixels.shape[0], x : x + pixels.shape[1]] = pixels

    def box(self, x: int, y: int, width: int, height: int, color: Color, opacity: float = 1.0) -> None:
        """Fill a rectangle."""
        self.mask(x, y, np.full((max(height, 0), max(width, 0)), opacity, np.float32), color)

    def mask(self, x: int, y: int, opacity: npt.NDArray[np.float32], color: Color) -> None:
        """Lay a color over a place, as opaque as (height, width) in [0, 1]; what lies outside is cut."""
        area = self.pixels[max(y, 0) : y + opacity.shape[0], max(x, 0) : x + opacity.shape[1]]
        cover = opacity[max(-y, 0) :, max(-x, 0) :][: area.shape[0], : area.shape[1], None]
        area[:] = np.round(area + (np.array(color, np.float32) - area) * cover).astype(np.uint8)

    def curve(self, x: int, heights: npt.NDArray[np.floating], color: Color, *, width: float = 2.0) -> None:
        """Draw a smooth line from column to column: row numbers (n,) in pixels; NaN leaves a gap."""
        after = np.append(heights[1:], np.nan)
        after = np.where(np.isnan(after), heights, after)
        top, bottom = np.minimum(heights, after) - width / 2, np.maximum(heights, after) + width / 2
        rows = np.arange(self.pixels.shape[0])[:, None]
        cover = np.clip(np.minimum(rows + 1, bottom) - np.maximum(rows, top), 0, 1)
        self.mask(x, 0, np.nan_to_num(cover).astype(np.float32), color)

    def area(
        self, x: int, heights: npt.NDArray[np.floating], base: int, color: Color, opacity: float = 1.0
    ) -> None:
        """Fill from a curve down to a row."""
        rows = np.arange(base)[:, None]
        self.mask(x, 0, (np.clip(rows + 1 - heights, 0, 1) * opacity).astype(np.float32), color)

    def text(self, x: int, y: int, text: str, color: Color, *, align: float = 0.0, scale: int = 2) -> None:
        """Write a line; ``align`` 0 begins at x, 0.5 is centred there, 1 ends there."""
        opacity = np.concatenate([_letter(letter, scale) for letter in text] or [_letter(" ", scale)], axis=1)
        self.mask(round(x - align * (opacity.shape[1] - scale)), y, opacity, color)

    def png(self) -> bytes:
        """Give the picture as a PNG file."""
        height, width = self.pixels.shape[:2]
        lines = np.zeros((height, 1 + 3 * width), np.uint8)  # each line begins with its filter: 0, none
        lines[:, 1:] = self.pixels.reshape(height, -1)
        header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
        chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(lines.tobytes(), 9)), (b"IEND", b""))
        return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


@lru_cache(maxsize=256)
def _letter(letter: str, scale: int) -> npt.NDArray[np.float32]:
    """Opacity of a letter, (height, width); one that has no glyph is a hollow box.

    Its dots are doubled twice with rounded corners (Eric Johnston's EPX), then brought down to ``scale``
    pixels a dot.
    """
    words = _LETTERS.split()
    number = ord(letter) - ord("!")
    word = words[number] if 0 <= number < len(words) else "0000000000" if letter == " " else "7F4141417F"
    columns = np.frombuffer(bytes.fromhex(word + "00"), np.uint8)
    dots = (columns >> np.arange(LETTER_HEIGHT, dtype=np.uint8)[:, None]) & 1 == 1
    fine = _double(_double(_double(dots)))
    shrink = 8 // scale
    cells = fine.reshape(LETTER_HEIGHT * scale, shrink, LETTER_WIDTH * scale, shrink)
    out: npt.NDArray[np.float32] = cells.mean(axis=(1, 3)).astype(np.float32)
    return out


def _double(dots: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Twice the dots in both directions, stairs smoothed."""
    around = np.pad(dots, 1)
    up, down, left, right = around[:-2, 1:-1], around[2:, 1:-1], around[1:-1, :-2], around[1:-1, 2:]
    out = np.repeat(np.repeat(dots, 2, axis=0), 2, axis=1)
    for row, column, a, b, c, d in (
        (0, 0, left, up, down, right), (0, 1, up, right, left, down),
        (1, 0, down, left, right, up), (1, 1, right, down, up, left),
    ):  # fmt: skip
        out[row::2, column::2] = np.where((a == b) & (a != c) & (b != d), a, dots)
    return out
