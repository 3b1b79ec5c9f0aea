"""Colours of inlined charts on light and on dark paper, with the contrast that WCAG asks of them."""

from __future__ import annotations

import re
from colorsys import hls_to_rgb, rgb_to_hls

#: The paper of a page, light and dark; `page.css` has the same two.
LIGHT, DARK = "#ffffff", "#14171a"

#: The contrast with the paper that WCAG 2.2 asks of text, level AA. Graphics need 3.
TEXT_CONTRAST = 4.5

#: The exponent of opacities on dark paper: 0.13 becomes 0.36, and 0.45 becomes 0.67.
_DENSER = 0.5

_HEX = re.compile(r"#([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})")

#: How many shades are tried from black to white; what counts as a grey; and the contrast of black ink on dark paper.
_STEPS, _GREY, _MOST = 200, 0.1, 12.0


def _channels(colour: str) -> tuple[float, float, float]:
    match = _HEX.fullmatch(colour)
    if match is None:
        raise ValueError(f"{colour} is no colour of six hexadecimal digits")
    red, green, blue = (int(each, 16) / 255 for each in match.groups())
    return red, green, blue


def _luminance(colour: str) -> float:
    """Relative luminance, as WCAG defines it."""
    red, green, blue = (
        value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in _channels(colour)
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two colours, from 1 to 21, as WCAG defines it."""
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def on_dark(colour: str) -> str:
    """The colour that stands on dark paper where this one stands on light paper.

    A grey has the same contrast with either. Any other colour keeps its hue, and gets lighter until it can be read as text.
    """
    hue, lightness, saturation = rgb_to_hls(*_channels(colour))
    grey = saturation < _GREY or lightness in (0.0, 1.0)
    wanted, first = (min(contrast(colour, LIGHT), _MOST), 0.0) if grey else (TEXT_CONTRAST, lightness)
    for step in range(round(first * _STEPS), _STEPS + 1):
        turned = _hex(hue, step / _STEPS, saturation)
        if contrast(turned, DARK) >= wanted and _luminance(turned) >= _luminance(DARK):
            return turned
    return LIGHT


def opacity_on_dark(opacity: float) -> float:
    """The opacity on dark paper of what has this one on light paper: on dark paper, thin and faint colours are hardly seen."""
    return float(opacity**_DENSER)


def _hex(hue: float, lightness: float, saturation: float) -> str:
    return "#" + "".join(f"{round(255 * each):02x}" for each in hls_to_rgb(hue, lightness, saturation))
