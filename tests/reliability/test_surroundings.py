"""A run has the same rows whatever surrounds the process: hash seed, locale, time zone, folder, order of files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fssbench import cli

# What Python does before anything else in the process: listings in another order, numbers as the locale writes them.
BEFORE = """
import locale, os, random
generator = random.Random(7)
listed, scanned = os.listdir, os.scandir
class Mixed:
    def __init__(self, found):
        self.found, self.names = found, None
    def __enter__(self):
        return self
    def __exit__(self, *_):
        self.found.close()
    def __iter__(self):
        return self
    def __next__(self):
        if self.names is None:
            self.names = list(self.found)
            generator.shuffle(self.names)
        if not self.names:
            raise StopIteration
        return self.names.pop()
    def close(self):
        self.found.close()
def mixed(path="."):
    names = sorted(listed(path), reverse=True)
    generator.shuffle(names)
    return names
os.listdir = mixed
os.scandir = lambda path=".": Mixed(scanned(path))
for name in ("de_DE.UTF-8", "tr_TR.UTF-8", ""):
    try:
        locale.setlocale(locale.LC_ALL, name)
        break
    except locale.Error:
        pass
"""
SURROUNDINGS = {
    "c": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONHASHSEED": "1", "TZ": "Pacific/Apia"},
    "tr": {"LC_ALL": "tr_TR.UTF-8", "LANG": "de_DE.UTF-8", "PYTHONHASHSEED": "4242", "TZ": "America/St_Johns"},
}


def photos(root: Path) -> None:
    """Twelve photos of two classes, whose names are no ASCII."""
    for name in ("images", "masks"):
        (root / name).mkdir(parents=True)
    generator = np.random.default_rng(0)
    for number in range(12):
        label = np.zeros((32, 32), dtype=np.uint8)
        label[8:20, 4 : 10 + number] = 1 + number % 2
        Image.fromarray(label).save(root / "masks" / f"P{number:02d}i.png")
        pixels = generator.integers(0, 255, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / "images" / f"P{number:02d}i.jpg")
    (root / "dataset.toml").write_text('[classes]\n1 = "café"\n2 = "İstanbul ı"\n', encoding="utf-8")


def words(root: Path, out: Path) -> list[str]:
    asked = ["eval", "--method", "copy-mask", "--dataset", "folder", "--root", str(root), "--fold", "0", "--shots", "1"]
    return [*asked, "--episodes", "8", "--quiet", "--out", str(out)]


def found_in(folder: Path) -> tuple[object, ...]:
    """The rows without their times, the numbers, the list and the hashes of a run."""
    rows = [json.loads(line) for line in (folder / "rows.jsonl").read_text(encoding="utf-8").splitlines()]
    record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    return (
        sorted((row["fold"], row["episode"], json.dumps(row | {"seconds": 0})) for row in rows),
        (folder / "summary.json").read_bytes(),
        (folder / "episodes-fold0.json").read_bytes(),
        (record["dataset"], record["folds"], record["protocol"]),
    )


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, tuple[object, ...]]:
    folder = tmp_path_factory.mktemp("here")
    photos(folder / "data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["fssbench", *words(folder / "data", folder / "run")])
        with pytest.raises(SystemExit) as stop:
            cli.main()
    assert not stop.value.code
    return folder / "data", found_in(folder / "run")


@pytest.mark.slow
@pytest.mark.parametrize("name", SURROUNDINGS)
def test_a_run_is_the_same_wherever_it_is_started(
    name: str, expected: tuple[Path, tuple[object, ...]], tmp_path: Path
) -> None:
    root, there = expected
    (tmp_path / "before").mkdir()
    (tmp_path / "before" / "sitecustomize.py").write_text(BEFORE)
    top = Path(__file__).parents[2]
    environment = {
        **os.environ,
        **SURROUNDINGS[name],
        "PYTHONPATH": os.pathsep.join([str(tmp_path / "before"), str(top)]),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-m", "fssbench", *words(root, tmp_path / "run")]
    done = subprocess.run(command, check=False, cwd=tmp_path, env=environment, capture_output=True)
    assert done.returncode == 0, done.stderr.decode(errors="replace")[-2000:]
    assert found_in(tmp_path / "run") == there
