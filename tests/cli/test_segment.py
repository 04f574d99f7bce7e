"""`fssbench segment`: what it writes and prints, and what it refuses before it begins."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

Run = Callable[..., tuple[int, str, str]]
PAGE = Path(__file__).resolve().parents[2] / "docs" / "segment.md"


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a support, its mask, and photos to segment; it is the current folder."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    (tmp_path / "more" / "deep").mkdir(parents=True)
    for name in ("a.jpg", "b.jpg", "more/c.png", "more/deep/d.JPG"):
        PillowImage.fromarray(rng.integers(0, 256, (40, 60, 3), dtype=np.uint8)).save(tmp_path / name)
    mask = np.zeros((40, 60), np.uint8)
    mask[10:30, 20:50] = 255
    PillowImage.fromarray(mask).save(tmp_path / "a.png")
    PillowImage.fromarray(np.zeros((40, 60), np.uint8)).save(tmp_path / "empty.png")
    return tmp_path


SUPPORT = ("segment", "--support", "a.jpg", "--mask", "a.png", "--method", "copy-mask", "--out", "masks")


def test_masks_overlays_and_lines(fssbench: Run, photos: Path) -> None:
    code, out, err = fssbench(*SUPPORT, "--class", "dog", "--overlay", "--query", "b.jpg", "more")
    assert code == 0, err
    lines = out.splitlines()
    assert lines[0] == "b.jpg: dog 25.0 %; masks/b.png"
    assert [line.split(":")[0] for line in lines] == ["b.jpg", "more/c.png", "more/deep/d.JPG"]
    assert err.strip() == "copy-mask"
    stored = np.array(PillowImage.open(photos / "masks" / "deep" / "d.png"))
    assert stored.shape == (40, 60)
    assert set(np.unique(stored)) == {0, 1}
    assert sorted(path.name for path in (photos / "masks").rglob("*.png")) == [
        "b-overlay.png",
        "b.png",
        "c-overlay.png",
        "c.png",
        "d-overlay.png",
        "d.png",
        "support1-overlay.png",
    ]


def test_json(fssbench: Run, photos: Path) -> None:
    code, out, err = fssbench(*SUPPORT, "--query", "b.jpg", "--json")
    assert (code, err) == (0, "")
    assert json.loads(out) == {
        "method": "copy-mask",
        "photos": [{"photo": "b.jpg", "mask": "masks/b.png", "shares": {"object": 0.25}, "absent": []}],
    }


def test_a_mask_is_a_mask_again(fssbench: Run, photos: Path) -> None:
    assert fssbench(*SUPPORT, "--query", "b.jpg")[0] == 0
    again = ("segment", "--support", "b.jpg", "--mask", "masks/b.png", "--method", "copy-mask", "--out", "again")
    code, out, _ = fssbench(*again, "--query", "a.jpg")
    assert (code, out) == (0, "a.jpg: object 25.0 %; again/a.png\n")


def test_an_absent_class(fssbench: Run, photos: Path) -> None:
    pair = ("segment", "--method", "copy-mask", "--out", "m", "--query", "b.jpg")
    supports = ("--support", "a.jpg", "--mask", "a.png", "--support", "a.jpg", "--mask", "a.png")
    code, out, err = fssbench(*pair, *supports, "--class", "dog", "--class", "cat")
    assert (code, out) == (0, "b.jpg: dog 25.0 %, cat absent; m/b.png\n"), err


def test_a_broken_photo_does_not_stop_the_others(fssbench: Run, photos: Path) -> None:
    (photos / "more" / "broken.jpg").write_bytes((photos / "b.jpg").read_bytes()[:-900])
    code, out, err = fssbench(*SUPPORT, "--query", "more")
    assert code == 2
    assert len(out.splitlines()) == 2
    assert "more/broken.jpg is truncated or broken" in err
    assert "1 of 3 photos were not segmented" in err
    assert not (photos / "masks" / "broken.png").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((*SUPPORT,), "no photo to segment was named"),
        ((*SUPPORT, "--query", "none.jpg"), "there is no file none.jpg"),
        ((*SUPPORT, "--query", "b.jpg", "--query", "b.jpg"), "would both be masks/b.png"),
        ((*SUPPORT, "--query", "a.png", "--out", "."), "would replace a.png, which is read"),
        ((*SUPPORT, "--query", "b.jpg", "--support", "a.jpg"), "each support has one mask: there are 2 and 1"),
        ((*SUPPORT, "--query", "b.jpg", "--class", "x", "--class", "y"), "1 supports and 2 classes"),
        (("segment", "--support", "a.jpg", "--mask", "empty.png", "--out", "m", "b.jpg"), "no pixel of empty.png"),
        (("segment", "--support", "none.jpg", "--mask", "a.png", "--out", "m", "b.jpg"), "there is no file none.jpg"),
        (
            ("segment", "--support", "a.jpg", "--mask", "points:1,1", "--method", "copy-mask", "--out", "m", "b.jpg"),
            "not points",
        ),
        ((*SUPPORT[:-2], "--out", "a.jpg", "--query", "b.jpg"), "a.jpg is a file, not a folder"),
        ((*SUPPORT, "--query", "b.jpg", "--method", "hsnet"), "hsnet is trained"),
        ((*SUPPORT, "--query", "b.jpg", "--size", "5"), "--size"),
        (("segment", "--support", "a.jpg", "--out", "m", "b.jpg"), "--mask"),
    ],
)
def test_what_is_refused(arguments: tuple[str, ...], message: str, fssbench: Run, photos: Path) -> None:
    before = sorted(photos.rglob("*"))
    code, out, err = fssbench(*arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert sorted(photos.rglob("*")) == before, "nothing is written"


def test_nothing_is_replaced_unasked(fssbench: Run, photos: Path) -> None:
    assert fssbench(*SUPPORT, "--query", "b.jpg")[0] == 0
    code, _, err = fssbench(*SUPPORT, "--query", "b.jpg")
    assert code == 2
    assert "masks/b.png is there already" in err
    assert fssbench(*SUPPORT, "--query", "b.jpg", "--overwrite")[0] == 0


def test_names_do_not_drive_the_terminal(fssbench: Run, photos: Path) -> None:
    code, out, _ = fssbench(*SUPPORT, "--query", "b.jpg", "--class", "do\x1b[31mg", "--overlay")
    assert code == 0
    assert "\x1b" not in out


def test_the_commands_of_the_page(fssbench: Run, photos: Path) -> None:
    """As the page has them, on photos of these names; without a method it is the best light backbone."""
    for name in ("dog", "dog2", "cat"):
        for suffix, source in ((".jpg", "a.jpg"), (".png", "a.png")):
            (photos / f"{name}{suffix}").write_bytes((photos / source).read_bytes())
    (photos / "holiday.jpg").write_bytes((photos / "b.jpg").read_bytes())
    (photos / "more").rename(photos / "photos")
    blocks = re.findall(r"```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    commands = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    assert len(commands) == 4
    for command in commands:
        words = shlex.split(command)
        assert words[0] == "fssbench"
        code, out, err = fssbench(*words[1:], "--size", "96")
        assert code == 0, err
        assert out
        expected = "hsnet with small" if "hsnet" in words else "with efficientnet-lite2, weights efficientnet-lite2"
        assert expected in err
    assert len(list((photos / "both").glob("**/*.png"))) == 2
