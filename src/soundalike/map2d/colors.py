"""Colors that can be told apart, for any number of groups, on dark and on light paper."""

from __future__ import annotations

import math

from soundalike.canvas import Color

_TURN = 0.61803398875  # golden section: the next hue is far from all before
_LIGHTNESS = {False: (0.58, 0.48, 0.66), True: (0.76, 0.66, 0.84)}  # by theme: dark or not
_CHROMA = 0.15


def palette(n: int, *, dark: bool) -> list[Color]:
    """Give ``n`` colors as (red, green, blue), 0 to 255: hues by the golden section, in three steps of lightness."""
    steps = _LIGHTNESS[dark]
    return [_rgb(steps[i % 3], _CHROMA, 2 * math.pi * (0.08 + i * _TURN)) for i in range(n)]


def _rgb(lightness: float, chroma: float, hue: float) -> Color:
    """Turn OKLCH into sRGB (Ottosson 2020, A perceptual color space for image processing)."""
    a, b = chroma * math.cos(hue), chroma * math.sin(hue)
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    middle = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    linear = (
        4.0767416621 * long - 3.3077115913 * middle + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * middle - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * middle + 1.7076147010 * short,
    )
    red, green, blue = (round(255 * _gamma(min(max(part, 0.0), 1.0))) for part in linear)
    return red, green, blue


def _gamma(part: float) -> float:
    return 12.92 * part if part <= 0.0031308 else 1.055 * part ** (1 / 2.4) - 0.055
