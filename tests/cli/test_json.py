"""--json on everything that lists: valid JSON alone on standard output, numbers as numbers, keys that stay."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.datasets.trees import label_map, own_tree

Run = Callable[..., tuple[int, str, str]]

KEYS = {
    "list methods": {"name", "title", "tasks", "backbones", "learnable", "weights", "note"},
    "list methods hsnet": {"name", "checkpoints", "printed", "measured"},
    "list datasets": {"dataset", "title", "folds", "folder", "rendered", "protocols"},
    "list protocols": {"protocol", "package", "title", "task", "ways", "episodes", "runs", "input", "error"},
    "list backbones": {"backbone", "methods"},
    "data list": {"name", "folder", "bytes", "holdings"},
    "data where": {"dataset", "found_by", "folder", "error"},
    "data check shapes20i": {"dataset", "root", "counts", "complete", "part", "faults"},
    "checkpoints list": {"id", "method", "variant", "backbone", "dataset", "fold", "shots", "sha256", "here"},
    "checkpoints show hsnet-small-shapes20i-fold0": {"id", "fold", "file", "here"},
    "checkpoints status --method hsnet": {"method", "backbone", "dataset", "ids", "command"},
    "published list --method hsnet": {"method", "dataset", "way", "shot", "mean"},
    "published show vat-readme:1": {"method", "dataset", "way", "shot", "mean"},
    "doctor": {"versions", "devices", "data", "caches", "checkpoints", "extras", "tables", "problems"},
    "episodes show --dataset shapes20i --protocol shapes --count 3": {"hash", "classes", "first"},
}

NUMBERS = {"fold", "folds", "episodes", "runs", "shot", "way", "bytes", "mean", "here", "class", "query_class"}
"""Keys whose values are numbers where they are not null (`here` of a checkpoint is true or false)."""


def values(found: object) -> Iterator[tuple[str, object]]:
    if isinstance(found, dict):
        yield from found.items()
        found = list(found.values())
    if isinstance(found, list):
        for one in found:
            yield from values(one)


LONG = "data check shapes20i"  # draws every mask


@pytest.mark.parametrize(
    ("command", "keys"),
    [pytest.param(*one, id=one[0], marks=pytest.mark.slow if one[0] == LONG else ()) for one in KEYS.items()],
)
def test_it_is_json_and_nothing_else(fssbench: Run, command: str, keys: set[str]) -> None:
    code, out, err = fssbench(*command.split(), "--json")
    assert code == 0, err
    found = json.loads(out)
    objects = found if isinstance(found, list) else [found]
    assert objects
    for one in objects:
        assert keys <= set(one)
        assert set(one) == set(objects[0]) or "status" in one, "the same keys in each"
    assert not [(key, value) for key, value in values(found) if key in NUMBERS and isinstance(value, str)]


def test_a_failed_check_is_json_too(fssbench: Run, tmp_path: Path) -> None:
    root = own_tree(tmp_path / "own", {"a": label_map((1, 0, 0, 9, 9))}, '[classes]\n1 = "cat\\u001b"\n')
    code, out, err = fssbench("data", "check", "folder", "--root", str(root), "--json")
    assert code == 2
    report = json.loads(out)
    assert report["complete"] is False
    assert report["faults"][0]["remedy"]
    assert out.replace("\n", "").isprintable()
    assert "can't be used yet" in err


def test_a_list_of_episodes_and_its_check(fssbench: Run, tmp_path: Path) -> None:
    file = str(tmp_path / "list.json")
    fssbench("episodes", "export", "--dataset", "shapes20i", "--protocol", "shapes", "--count", "4", "--out", file)
    code, out, _ = fssbench("episodes", "show", file, "--rows", "2", "--json")
    shown = json.loads(out)
    assert (code, len(shown["first"])) == (0, 2)
    assert sum(one["query_class"] for one in shown["classes"]) == 4
    code, out, _ = fssbench("episodes", "verify", file, "--json")
    assert (code, json.loads(out)[0]["state"]) == (0, "ok")
