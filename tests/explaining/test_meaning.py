"""What a number is of: releases as data, and what differs between two of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from fssbench.errors import UsageError
from fssbench.explaining.meaning import NOT_STATED, common_dataset, differing, known_names, meaning_of, stated_text
from fssbench.methods.catalogue import list_methods
from fssbench.protocols.releases import DERIVED, NAMED, TOPICS, release_of_method, release_of_protocol, releases
from fssbench.protocols.rules import list_protocols, protocol
from fssbench.publications.load import publications
from tests.cli.conftest import fssbench

__all__ = ["fssbench"]

Run = Callable[..., tuple[int, str, str]]


def test_each_release_states_its_facts_once_and_with_a_source() -> None:
    known = publications().methods
    for name, release in releases().items():
        assert set(release.facts) <= set(TOPICS), name
        assert len(release.commit) == 7
        assert "/" in release.repository
        assert set(release.methods) <= set(known), name
        if release.protocol:
            # protocols.toml has them: no second copy
            assert release.protocol in list_protocols(), name
            assert not set(DERIVED) & set(release.facts), name
        else:
            assert set(DERIVED) <= set(release.facts), name
        assert not release.method or release.method in list_methods(), name
        for topic, fact in release.facts.items():
            assert fact.file.rstrip(",") == fact.file != "", (name, topic)
            assert any(fact.on(dataset) for dataset in NAMED), (name, topic)


def test_every_name_has_a_meaning_and_each_choice_its_source() -> None:
    for name in known_names():
        found = meaning_of(name, common_dataset([name]))
        assert {"episodes", "input", "scored", "ignore"} <= set(found.choices) or not found.runnable, name
        assert all(one.text and one.source for one in found.choices.values())


def test_what_differs_between_two_protocols() -> None:
    hsnet, pfenet = meaning_of("hsnet", "coco20i"), meaning_of("pfenet", "coco20i")
    differs, same = differing([hsnet, pfenet])
    assert {"episodes", "input", "resize", "scored", "shots", "generator"} <= set(differs)
    assert {"ignore", "folds", "training"} <= set(same)
    rules = protocol("pfenet").on("coco20i")
    assert stated_text(pfenet, "episodes") == f"{rules.episodes:,}"
    assert stated_text(pfenet, "input") == f"{rules.input[0]} x {rules.input[1]}"
    assert differing([hsnet, hsnet])[0] == []


def test_an_option_of_a_protocol_is_another_choice() -> None:
    differs, _ = differing([meaning_of("hsnet", "pascal5i"), meaning_of("hsnet@original", "pascal5i")])
    assert differs == ["scored"]


def test_a_release_without_a_protocol_is_marked_and_says_what_is_not_stated() -> None:
    found = meaning_of("sansa", "coco20i")
    assert not found.runnable
    assert "sampler" not in found.choices
    assert stated_text(replace(found, choices={}), "input") == NOT_STATED
    with pytest.raises(UsageError, match="sansa is not known on pascal5i"):
        meaning_of("sansa", "pascal5i")
    with pytest.raises(UsageError, match=r"unknown protocol or release .nothing-like-it."):
        meaning_of("nothing-like-it", "coco20i")


def test_releases_are_found_by_protocol_and_by_method() -> None:
    pfenet, bam, mmnet = release_of_protocol("pfenet@input"), release_of_method("bam"), release_of_method("mmnet")
    assert pfenet is not None
    assert pfenet.name == "pfenet"
    assert bam is not None
    assert bam.protocol == "bam"
    assert mmnet is not None
    assert mmnet.protocol == "pfenet"
    assert release_of_method("cwt") is None
    assert release_of_protocol("shapes") is None


def test_the_data_set_is_one_that_all_are_known_on() -> None:
    assert common_dataset(["hsnet", "bam"]) == "coco20i"
    assert common_dataset(["hsnet", "canet"]) == "pascal5i"
    assert common_dataset(["shapes"]) == "shapes20i"
    with pytest.raises(UsageError, match="no data set on which suim and canet are all known"):
        common_dataset(["suim", "canet"])


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_terminal_reads_what_differs_first(fssbench: Run, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    code, out, _ = fssbench("list", "protocols", "hsnet", "pfenet", "sansa")
    assert code == 0
    assert max(map(len, out.splitlines())) <= width
    assert "sansa (not runnable here)" in " ".join(out.split())
    first, second = out.index("What differs on COCO-20i:"), out.index("The same on COCO-20i:")
    assert first < out.index("input size") < second < out.index("classes of a fold")


def test_json_has_each_choice_with_its_source(fssbench: Run, tmp_path: Path) -> None:
    code, out, _ = fssbench("list", "protocols", "hsnet", "sansa", "--dataset", "coco20i", "--json")
    found = json.loads(out)
    assert code == 0
    assert found["dataset"] == "coco20i"
    assert [one["runnable"] for one in found["protocols"]] == [True, False]
    values = {one["topic"]: one["values"] for one in found["differs"]}
    assert values["input"]["sansa"] == {"text": "640 x 640", "source": "ClaudiaCuttano/SANSA@3377265, datasets/coco.py"}
    assert {one["topic"] for one in found["same"]} >= {"folds"}


@pytest.mark.parametrize(
    "arguments",
    [
        ("list", "protocols", "hsnet", "hsnet"),
        ("list", "protocols", "hsnet", "nope"),
        ("list", "protocols", "--dataset", "coco20i"),
        ("list", "datasets", "coco20i"),
        ("list", "protocols", "sansa", "--dataset", "pascal5i"),
    ],
)
def test_what_can_not_be_compared_is_refused(fssbench: Run, arguments: tuple[str, ...]) -> None:
    code, out, err = fssbench(*arguments)
    assert (code, out) == (2, "")
    assert "try: " in err
