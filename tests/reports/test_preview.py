"""Pictures in terminals: who can show them, and what is sent is the picture."""

from __future__ import annotations

import base64
import re
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from fssbench.reports.preview import encoded, way_of

TERMINALS = {
    "kitty": ({"TERM": "xterm-kitty"}, "kitty"),
    "ghostty": ({"TERM": "xterm-256color", "TERM_PROGRAM": "ghostty"}, "kitty"),
    "iTerm2": ({"TERM": "xterm-256color", "TERM_PROGRAM": "iTerm.app"}, "iterm2"),
    "iTerm2 over ssh": ({"TERM": "xterm-256color", "LC_TERMINAL": "iTerm2"}, "iterm2"),
    "foot": ({"TERM": "foot"}, "sixel"),
    "tmux in kitty": ({"TERM": "tmux-256color", "KITTY_WINDOW_ID": "1", "TMUX": "/tmp/tmux"}, "none"),  # noqa: S108
    "another": ({"TERM": "xterm-256color"}, "none"),
    "none": ({}, "none"),
}


@pytest.mark.parametrize(("environment", "way"), TERMINALS.values(), ids=TERMINALS.keys())
def test_a_terminal_is_known_by_what_it_says_of_itself(environment: dict[str, str], way: str) -> None:
    assert way_of(environment) == way


@pytest.fixture(scope="module")
def png() -> bytes:
    pixels = np.zeros((13, 40, 3), dtype=np.uint8)
    pixels[:, 20:] = (255, 0, 0)
    pixels[7:, :20] = np.random.default_rng(0).integers(0, 255, (6, 20, 1)) // 128 * 255
    written = BytesIO()
    Image.fromarray(pixels).save(written, "PNG")
    return written.getvalue() + b"\0" * 9000  # more than one part


def test_kitty_and_iterm2_get_the_file(png: bytes) -> None:
    parts = re.findall(r"\x1b_G([^;]*);([^\x1b]*)\x1b\\", encoded(png, "kitty"))
    assert [keys for keys, _ in parts] == ["a=T,f=100,m=1", "m=1", "m=0"] or parts[-1][0] == "m=0"
    assert all(keys.endswith("m=1") for keys, _ in parts[:-1])
    assert base64.b64decode("".join(data for _, data in parts)) == png
    sent = re.fullmatch(r"\x1b\]1337;File=inline=1;size=(\d+);preserveAspectRatio=1:(.*)\x07\n", encoded(png, "iterm2"))
    assert sent is not None
    assert (int(sent[1]), base64.b64decode(sent[2])) == (len(png), png)
    assert encoded(png, "none") == ""


def test_sixels_are_the_pixels(png: bytes) -> None:
    text = encoded(png, "sixel")
    body = text.removeprefix("\x1bPq").removesuffix("\x1b\\\n")
    size = re.match(r'"1;1;(\d+);(\d+)', body)
    assert size is not None
    shown = np.zeros((int(size[2]) + 6, int(size[1]), 3), dtype=int)
    colours = {int(n): (int(r), int(g), int(b)) for n, r, g, b in re.findall(r"#(\d+);2;(\d+);(\d+);(\d+)", body)}
    bands = re.sub(r"#\d+;2;\d+;\d+;\d+", "", body[size.end() :]).split("-")[:-1]
    for number, band in enumerate(bands):
        for line in band.split("$"):
            colour, codes = re.match(r"#(\d+)(.*)", line).groups()
            x = 0
            for count, code in re.findall(r"(?:!(\d+))?(.)", codes):
                for bit in range(6):
                    if (ord(code) - 63) >> bit & 1:
                        shown[6 * number + bit, x : x + int(count or 1)] = colours[int(colour)]
                x += int(count or 1)
            assert x == int(size[1])
    assert np.abs(shown[:13] - np.asarray(Image.open(BytesIO(png))).astype(int) * 100 // 255).max() <= 1
