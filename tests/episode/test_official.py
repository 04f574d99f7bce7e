"""The lists that the released code draws, entry for entry and by the hash over all 1,000."""

from __future__ import annotations

import gzip
import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from fssbench.episode import Episode, EpisodeList, episodes
from fssbench.episode.verify import official
from tests.episode.stub import ListsOnly

PROTOCOLS = {"hsnet": "hsnet", "fs-s": "ifsl-fss", "fscs": "ifsl-fscs"}
CASES = [
    *(f"{family}-pascal-fold{f}-{k}shot" for family in ("hsnet", "fs-s") for f in range(4) for k in (1, 5)),
    *(f"fscs-pascal-fold{f}-{n}way-1shot" for f in range(4) for n in (1, 2)),
    *(f"hsnet-coco-fold0-{k}shot" for k in (1, 5)),
]


@cache
def pascal(splits: Path, fold: int) -> ListsOnly:
    lines = (splits / f"pascal/val/fold{fold}.txt").read_text().split()
    return ListsOnly("pascal5i", [(line[:-4], int(line[-2:])) for line in lines])


@cache
def coco(splits: Path, fold: int) -> ListsOnly:
    with gzip.open(splits / "coco/val.json.gz") as file:
        ids = json.load(file)
    pairs = [(f"val2014/COCO_val2014_{i:012d}.jpg", k + 1) for k in range(fold, 80, 4) for i in ids[str(k)]]
    return ListsOnly("coco20i", pairs)


def as_released(episode: Episode, task: str) -> dict[str, object]:
    if task == "fscs":
        supports = [list(names) for names in episode.supports]
        head = {"query": episode.query, "classes": list(episode.classes), "support": supports}
        return {**head, "query_entry_class": episode.query_class}
    return {"query": episode.query, "support": list(episode.supports[0]), "class": episode.classes[0]}


def draw(shared: Path, case: str) -> tuple[EpisodeList, dict[str, Any]]:
    expected = json.loads((shared / f"reference/episodes/{case}.json").read_text())
    fold = expected["fold"]
    dataset = (pascal if "-pascal-" in case else coco)(shared / "reference/splits", fold)
    protocol = PROTOCOLS[case.partition("-pascal")[0].partition("-coco")[0]]
    return episodes(dataset, fold, expected["way"], expected["shot"], protocol), expected


def test_every_official_list_is_among_the_cases(shared: Path) -> None:
    assert sorted(CASES) == sorted(path.stem for path in (shared / "reference/episodes").glob("*.json"))


@pytest.mark.parametrize("case", CASES)
def test_official_list(shared: Path, case: str) -> None:
    drawn, expected = draw(shared, case)
    records = [as_released(episode, case[:4]) for episode in drawn]
    assert records[:200] == expected["episodes"]
    text = "\n".join(json.dumps(record, separators=(",", ":")) for record in records)
    assert hashlib.sha256(text.encode()).hexdigest() == expected["sha256_of_all"]
    assert official(drawn) is True


@pytest.mark.parametrize("shot", [1, 5])
@pytest.mark.parametrize("fold", range(4))
def test_the_lists_of_rpmm_are_those_that_its_release_draws(shared: Path, fold: int, shot: int) -> None:
    assert official(episodes(pascal(shared / "reference/splits", fold), fold, 1, shot, "rpmm")) is True


@pytest.mark.parametrize("protocol", ["hsnet", "ifsl-fss", "ifsl-fscs"])
@pytest.mark.parametrize("fold", range(4))
def test_the_known_hashes_of_coco(shared: Path, protocol: str, fold: int) -> None:
    drawn = episodes(coco(shared / "reference/splits", fold), fold, 1, 1, protocol)
    assert official(drawn) is True


def test_another_order_of_the_lists_is_not_the_releases(shared: Path) -> None:
    lists = coco(shared / "reference/splits", 0)
    by_name = ListsOnly("coco20i", sorted(lists.pairs, key=lambda pair: (pair[1], pair[0])))
    assert official(episodes(by_name, shot=1)) is False
    assert official(episodes(by_name, shot=1, count=10)) is None
    assert official(episodes(by_name, shot=1, seed=1)) is None
