"""Adding a method or a data set touches the places that CONTRIBUTING.md names, and no other."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fssbench
from fssbench.results import load_run
from tests.golden import formula

REPOSITORY = Path(__file__).resolve().parents[2]
TOYS = Path(__file__).parent

METHOD = """
[toy]
target = "fssbench.methods.toy:Toy"
title = "A toy"
venue = "Nowhere 2026"
source = "nobody/toy"
tasks = { fss = "fss" }
backbones = ["small"]
trainable = true
protocols = { fss = "shapes" }
"""

RECIPE = """
["toy/toy"]
source = "tests"
steps = 2
batch = 2
picture = [96, 96]
view = [96, 96]
backbone = "small"
optimiser = { kind = "adamw", learning_rate = 1e-2, schedule = "cosine" }
"""

DATASET = """
[toy]
target = "fssbench.datasets.toy.dataset:Toy"
title = "Toy-2i"
folds = 2
rendered = true
protocols = ["shapes"]
check = "fssbench.datasets.toy.dataset:check"
"""

METHOD_PLACES = {
    "fssbench/methods/toy.py",
    "fssbench/methods/methods.toml",
    "fssbench/training/recipes.toml",
    "tests/golden/cases/toy-small-1shot.json",
}
DATASET_PLACES = {
    "fssbench/datasets/toy/__init__.py",
    "fssbench/datasets/toy/dataset.py",
    "fssbench/datasets/datasets.toml",
}


def golden_case() -> dict[str, Any]:
    """What the toy must answer: twice the cosines of another implementation, `prototype`, for the formula's weights."""
    query, image, mask = formula.image(1, 96, 96), formula.image(11, 96, 96), formula.mask(21, 96, 96)
    method = fssbench.build("prototype", "small")
    shapes = {key: tuple(value.shape) for key, value in method.state_dict().items()}
    method.load_state_dict(formula.state(shapes, {}))
    answer = method.segment(query, image[None, None], mask[None, None], size=(80, 120))
    labels, scores = answer.labels.numpy(), 2 * answer.logits.double().numpy()
    flat = scores.flatten()
    places = np.random.Generator(np.random.PCG64(0)).integers(0, flat.size, size=256)[:96]
    packed = zlib.compress(labels.tobytes())
    support = {"image_seed": 11, "mask_seed": 21, "size": [96, 96], "inverted": False, "ignore_from_row": None}
    return {
        "build": {"method": "toy", "backbone": "small", "way": 1, "shot": 1},
        "release": "nobody/toy",
        "query": [1, 96, 96],
        "supports": [[support]],
        "size": [80, 120],
        "overrides": {"temperature": [2.0]},
        "tolerance": 1e-5,
        "differing_pixels": 0,
        "scores": {
            "shape": list(scores.shape),
            **{name: float(getattr(flat, name)()) for name in ("mean", "std", "min", "max")},
            "values": flat[places].tolist(),
        },
        "labels": {
            "packed": base64.b64encode(packed).decode(),
            "rule": "uint8",
            "crc32": zlib.crc32(labels.tobytes()),
        },
        "shots_apart": False,
        "present": None,
        "parameters": len(shapes) + 1,
    }


def files_of(tree: Path) -> dict[str, bytes]:
    """Return what is in a tree, but for what running leaves there."""
    found = (path for path in tree.rglob("*") if path.is_file() and path.suffix not in (".pyc", ".safetensors"))
    return {str(path.relative_to(tree)): path.read_bytes() for path in found}


def append(path: Path, text: str) -> None:
    path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository with both toys in it; what was touched is held before anything runs."""
    tree = tmp_path_factory.mktemp("added") / "tree"
    leave = shutil.ignore_patterns("__pycache__")
    shutil.copytree(REPOSITORY / "fssbench", tree / "fssbench", ignore=leave)
    shutil.copytree(REPOSITORY / "tests" / "golden", tree / "tests" / "golden", ignore=leave)
    for name in ("tests/__init__.py", "tests/conftest.py", "tests/methods/__init__.py", "checkpoints.toml"):
        (tree / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(REPOSITORY / name, tree / name)
    for name in ("test_conformance.py", "forms.py", "narrow.py"):
        shutil.copyfile(REPOSITORY / "tests/methods" / name, tree / "tests/methods" / name)
    shutil.copyfile(REPOSITORY / "pyproject.toml", tree / "pyproject.toml")
    (tree / "benchmarks").symlink_to(REPOSITORY / "benchmarks")
    before = files_of(tree)

    shutil.copyfile(TOYS / "toy_method.py", tree / "fssbench/methods/toy.py")
    append(tree / "fssbench/methods/methods.toml", METHOD)
    append(tree / "fssbench/training/recipes.toml", RECIPE)
    (tree / "tests/golden/cases/toy-small-1shot.json").write_text(json.dumps(golden_case()))
    after = files_of(tree)
    assert {name for name in after if after[name] != before.get(name)} == METHOD_PLACES

    (tree / "fssbench/datasets/toy").mkdir()
    (tree / "fssbench/datasets/toy/__init__.py").write_text('"""A toy."""\n')
    shutil.copyfile(TOYS / "toy_dataset.py", tree / "fssbench/datasets/toy/dataset.py")
    append(tree / "fssbench/datasets/datasets.toml", DATASET)
    both = files_of(tree)
    assert {name for name in both if both[name] != after.get(name)} == DATASET_PLACES
    return tree


def section(title: str) -> str:
    text = (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8")
    return text.partition(f"## {title}\n")[2].partition("\n## ")[0]


@pytest.mark.parametrize(
    ("title", "places"), [("How to add a method", METHOD_PLACES), ("How to add a data set", DATASET_PLACES)]
)
def test_contributing_names_these_places(title: str, places: set[str]) -> None:
    text = section(title)
    for place in places:
        folder, _, name = place.removeprefix("fssbench/").rpartition("/")
        written = f"{folder}/{name}" if name.endswith(".toml") else f"{folder.removesuffix('/toy')}"
        assert f"`{written}" in text, place


def run(tree: Path, *arguments: str) -> str:
    environment = os.environ | {"PYTHONPATH": str(tree), "COLUMNS": "200"}
    done = subprocess.run(
        [sys.executable, *arguments], check=False, capture_output=True, text=True, cwd=tree, env=environment
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


COMMANDS = [
    "list methods",
    "list datasets",
    "data where",
    "data check toy",
    "train --method toy --dataset toy --fold 0 --backbone-weights small.safetensors --out trained",
    "eval --method toy --dataset toy --fold 0 --checkpoint trained/weights.safetensors --episodes 4 --out run --quiet",
    "eval --method prototype --dataset toy --fold 0 --protocol shapes --random-weights --episodes 2 --out other -q",
    "eval --method toy --dataset shapes20i --fold 0 --random-weights --episodes 2 --out third --quiet",
    "table --source measured --runs run --dataset toy",
]


def test_a_toy_method_and_a_toy_data_set_do_all_that_others_do(tree: Path) -> None:
    weights = tree / "fssbench/checkpoints/weights/small-shapes20i-fold0.safetensors"
    shutil.copyfile(weights, tree / "small.safetensors")
    script = (
        "import sys\nfrom fssbench.cli import _run\n"
        f"for line in {COMMANDS!r}:\n"
        "    code = _run(line.split())\n"
        "    assert code == 0, (line, code)\n"
    )
    output = run(tree, "-c", script)
    assert "A toy" in output
    assert "toy is rendered: nothing can miss" in output
    assert "Toy-2i, 1-way" in output
    results = load_run(tree / "run")
    assert len(results.frame) == 4
    run_of = results.run
    assert (run_of.method.name, run_of.dataset.name, run_of.protocol.name) == ("toy", "toy", "shapes")


def test_the_toy_is_held_by_the_tests_of_all_methods(tree: Path) -> None:
    files = ["tests/golden/test_golden.py", "tests/methods/test_conformance.py"]
    output = run(tree, "-m", "pytest", "-q", "-p", "no:cacheprovider", *files, "-k", "toy")
    assert "passed" in output
