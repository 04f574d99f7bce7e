"""`fssbench new method` and `fssbench validate`: a file to begin with, and what a method of one's own has to do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fssbench.methods.own.validate import CHECKS, subjects

BASE = """
import torch
import torch.nn.functional as F
from torch import nn


class Good(nn.Module):
    task = "fss"

    def __init__(self):
        super().__init__()
        self.net = nn.Conv2d(3, 4, 7, 8, 3)

    def encode(self, image):
        return self.net(image)

    def condition(self, features, mask):
        inside = F.interpolate((mask == 1).to(features.dtype)[:, None], features.shape[-2:], mode="area")
        return (features * inside).sum((2, 3)) / inside.sum((2, 3)).clamp(min=1e-6)

    def predict(self, query, supports, size):
        one = torch.stack(supports[0]).mean(0)
        near = F.cosine_similarity(query, one[..., None, None])
        return torch.cat([0.1 - near, near])


class WrongShape(Good):
    def predict(self, query, supports, size):
        return torch.zeros(5, 8, 8)


class OddSizes(Good):
    def encode(self, image):
        b, c, h, w = image.shape
        return self.net(image.view(b, c, h // 2, 2, w // 2, 2).mean((3, 5)))


class Random(Good):
    def predict(self, query, supports, size):
        return super().predict(query, supports, size) + torch.rand(2, 1, 1)


class Remembers(Good):
    def predict(self, query, supports, size):
        last, self.last = getattr(self, "last", 0), query.mean()
        return super().predict(query, supports, size) + torch.tensor([0.0, float(last)])[:, None, None]


class MixesBatch(Good):
    def encode(self, image):
        return self.net(image - image.mean(0))


class WritesInPlace(Good):
    def condition(self, features, mask):
        return super().condition(features, mask)

    def predict(self, query, supports, size):
        query.mul_(0.5)
        return super().predict(query, supports, size)


class Divides(Good):
    def condition(self, features, mask):
        inside = F.interpolate((mask == 1).to(features.dtype)[:, None], features.shape[-2:], mode="area")
        return (features * inside).sum((2, 3)) / inside.sum((2, 3))


class NearestMask(Good):
    def condition(self, features, mask):
        inside = F.interpolate((mask == 1).to(features.dtype)[:, None], features.shape[-2:], mode="nearest")
        if (mask == 1).any() and not inside.any():
            raise ValueError("no pixel of the mask is left")
        return super().condition(features, mask)


class Single(Good):
    def encode(self, image):
        return F.conv2d(image, self.net.weight.float(), stride=8)


class Unregistered(Good):
    def __init__(self):
        super().__init__()
        self.hidden = [nn.Conv2d(4, 4, 1)]

    def encode(self, image):
        return self.hidden[0](self.net(image))


class Ordered(Good):
    def predict(self, query, supports, size):
        return super().predict(query, [supports[0][:1]], size)
"""
VIOLATIONS = {
    "WrongShape": ("shapes, dtypes", "returned a tensor torch.float32 of shape (5, 8, 8)"),
    "OddSizes": ("images of odd sizes", "images of 193 x 193"),
    "Random": ("the same episode", "draw nothing at random"),
    "Remembers": ("nothing is kept", "keep nothing between episodes"),
    "MixesBatch": ("an image of a batch", "encode gives other values for an image in a batch"),
    "WritesInPlace": ("inputs, features", "changes the features of the query"),
    "Divides": ("empty, whole", "not finite"),
    "NearestMask": ("empty, whole", "no pixel of the mask is left"),
    "Single": ("float32 predicts", "RuntimeError"),
    "Unregistered": ("the state dict", "register parameters"),
    "Ordered": ("the order of the shots", "average over them"),
}


@pytest.fixture(autouse=True)
def file(elsewhere: None) -> None:
    Path("my.py").write_text(BASE)


@pytest.mark.parametrize("name", VIOLATIONS)
def test_each_violation_has_its_line(name: str) -> None:
    check, words = VIOLATIONS[name]
    (subject,) = subjects(f"./my.py:{name}")
    found = next(called for title, called in CHECKS.items() if title.startswith(check))
    from fssbench.methods.own.validate import _run

    assert words in _run(found, subject)
    (good,) = subjects("./my.py:Good")
    assert _run(found, good) == ""


def test_validate_says_a_line_for_each_check(fssbench: Any) -> None:
    code, out, _ = fssbench("validate", "./my.py:Good")
    assert (code, out.count("ok  ")) == (0, len(CHECKS))
    code, out, err = fssbench("validate", "./my.py:Ordered")
    assert (code, out.count("FAIL"), "Traceback" in err) == (1, 1, False)
    code, out, _ = fssbench("validate", "./my.py:WrongShape")
    assert (out.count("of shape (5, 8, 8)"), out.count("FAIL"), out.count(": as above")) == (1, 8, 7)
    assert fssbench("validate", "hsnett")[0] == 2
    assert fssbench("validate", "./none.py:Good")[0] == 2


def test_a_new_method_works_as_written(fssbench: Any) -> None:
    code, out, _ = fssbench("new", "method", "mynet")
    assert code == 0
    assert "wrote mynet.py" in out
    assert len(Path("mynet.py").read_text().splitlines()) <= 60
    passed = subprocess.run([sys.executable, "-m", "pytest", "-q", "test_mynet.py"], capture_output=True, text=True)
    assert passed.returncode == 0, passed.stdout
    code, _, err = fssbench("new", "method", "mynet")
    assert (code, "mynet.py is there already" in err) == (2, True)
    assert fssbench("new", "method", "mynet", "--overwrite")[0] == 0
    for name in ("my-net", "class", "../x", ""):
        assert fssbench("new", "method", name)[0] == 2
    asked = ["--method", "./mynet.py:Mynet", "--dataset", "shapes20i", "--fold", "0"]
    assert fssbench("eval", *asked, "--random-weights", "--limit", "2", "--quiet", "--out", "run")[0] == 0
