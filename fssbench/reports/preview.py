"""Pictures in a terminal that can show them: kitty's, iTerm2's and sixel's ways."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from io import BytesIO
from typing import Literal

import numpy as np
from PIL import Image as PillowImage

Way = Literal["kitty", "iterm2", "sixel", "none"]

_CHUNK = 4096
_SIXEL_WIDTH = 1000
_SIXEL_COLOURS = 256


def way_of(environment: Mapping[str, str] | None = None) -> Way:
    """Return how a terminal shows pictures, by what it says of itself; "none" if it can't, or nobody knows.

    Args:
        environment: The environment variables; default those of the process.
    """
    found = os.environ if environment is None else environment
    term, program = found.get("TERM", ""), found.get("TERM_PROGRAM", "")
    if found.get("TMUX") or term.startswith(("screen", "tmux")):
        return "none"  # it does not pass pictures on
    if "kitty" in term or found.get("KITTY_WINDOW_ID") or program == "ghostty" or "ghostty" in term:
        return "kitty"
    if program in ("iTerm.app", "WezTerm") or found.get("LC_TERMINAL") == "iTerm2":
        return "iterm2"
    if "sixel" in term or term in ("mlterm", "foot", "foot-extra", "yaft-256color") or program == "mintty":
        return "sixel"
    return "none"


def encoded(png: bytes, way: Way) -> str:
    """Return what a terminal shows a picture by; empty for "none".

    Args:
        png: The picture.
        way: From `way_of`.
    """
    if way == "kitty":
        return _kitty(png)
    if way == "iterm2":
        data = base64.b64encode(png).decode("ascii")
        return f"\x1b]1337;File=inline=1;size={len(png)};preserveAspectRatio=1:{data}\x07\n"
    return _sixel(png) if way == "sixel" else ""


def _kitty(png: bytes) -> str:
    data = base64.b64encode(png).decode("ascii")
    parts = [data[start : start + _CHUNK] for start in range(0, len(data), _CHUNK)]
    found = []
    for number, part in enumerate(parts):
        keys = ("a=T,f=100," if number == 0 else "") + f"m={int(number < len(parts) - 1)}"
        found.append(f"\x1b_G{keys};{part}\x1b\\")
    return "".join(found) + "\n"


def _sixel(png: bytes) -> str:
    """Return a picture as sixels: bands of six rows, in each a line of characters for each colour."""
    image = PillowImage.open(BytesIO(png)).convert("RGB")
    if image.width > _SIXEL_WIDTH:
        image = image.resize((_SIXEL_WIDTH, max(1, round(image.height * _SIXEL_WIDTH / image.width))))
    flat = image.quantize(_SIXEL_COLOURS)
    places = np.asarray(flat)
    palette = np.asarray(flat.getpalette(), dtype=np.int64).reshape(-1, 3) * 100 // 255
    height, width = places.shape
    parts = [f'\x1bPq"1;1;{width};{height}']
    parts += [f"#{number};2;{red};{green};{blue}" for number, (red, green, blue) in enumerate(palette.tolist())]
    for top in range(0, height, 6):
        band = places[top : top + 6]
        weights = (1 << np.arange(len(band)))[:, None]
        lines = [
            f"#{colour}" + _runs(((band == colour) * weights).sum(axis=0) + 63) for colour in np.unique(band).tolist()
        ]
        parts.append("$".join(lines) + "-")
    return "".join(parts) + "\x1b\\\n"


def _runs(codes: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> str:
    """Return characters, with a count in place of repetitions."""
    starts = np.flatnonzero(np.diff(codes, prepend=-1))
    lengths = np.diff(np.append(starts, len(codes)))
    return "".join(
        f"!{length}{chr(codes[start])}" if length > 3 else chr(codes[start]) * length
        for start, length in zip(starts.tolist(), lengths.tolist(), strict=True)
    )
