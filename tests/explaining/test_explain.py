"""`fssbench explain`: a planted change of each kind is found; its worth is the difference that is measured directly."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import pytest

from fssbench.comparison import compare
from fssbench.errors import UsageError
from fssbench.explaining.causes import causes_of
from fssbench.explaining.explain import explain
from fssbench.explaining.render import as_text
from fssbench.explaining.rescoring import Rescorer, predictions_of
from fssbench.explaining.sides import Question
from fssbench.results import Results, load_run
from tests.cli.conftest import fssbench
from tests.explaining.planted import CHANGES, Planted, explained, finding, miou

__all__ = ["fssbench"]

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    return Planted(tmp_path_factory.mktemp("planted"))


@pytest.mark.parametrize("change", CHANGES)
def test_one_planted_change_is_named_and_worth_the_whole_difference(planted: Planted, change: str) -> None:
    a, b = planted.run(), planted.run(change)
    found = explained(a, b)
    assert [one.cause.key for one in found.findings] == [change]
    effect = found.findings[0].from_a
    assert effect.how == "only difference"
    assert effect.worth is not None
    assert effect.worth.points == pytest.approx(miou(b) - miou(a), abs=1e-9)
    assert effect.worth.points != 0
    assert found.left("a") == found.left("b") == 0
    assert "the whole difference" in as_text(found, 80)
    if change == "input":  # where `compare` can pair, the interval is its own
        whole = compare([a, b], draws=200).duels[0].differences[0]
        assert (effect.worth.interval.low, effect.worth.interval.high) == pytest.approx(
            (whole.interval.low, whole.interval.high)
        )


def test_choices_that_act_together_are_changed_alone_from_either_run(planted: Planted) -> None:
    """The worth of each is that of a run with this choice alone; what is left is what only both do."""
    a, b = planted.run(), planted.run("scored", "ignore")
    found = explained(a, b, planted.again("two"))
    for key, other in (("scored", "ignore"), ("ignore", "scored")):
        one = finding(found, key)
        assert one.from_a.how == one.from_b.how == "run again"
        assert one.from_a.worth is not None
        assert one.from_b.worth is not None
        assert one.from_a.worth.points == pytest.approx(miou(planted.run(key)) - miou(a), abs=1e-9)
        assert one.from_b.worth.points == pytest.approx(miou(b) - miou(planted.run(other)), abs=1e-9)
    parts = [miou(planted.run(key)) - miou(a) for key in ("scored", "ignore")]
    assert found.left("a") == pytest.approx(miou(b) - miou(a) - sum(parts), abs=1e-9)
    assert found.left("a") == pytest.approx(-found.left("b"), abs=1e-9)
    assert found.tested
    # Kept runs are not evaluated again, and say in tables that nobody printed their like.
    before = (planted.folder / "two" / "a-scored" / "rows.jsonl").stat().st_mtime_ns
    assert explained(a, b, planted.again("two")) == found
    assert (planted.folder / "two" / "a-scored" / "rows.jsonl").stat().st_mtime_ns == before
    kept = load_run(planted.folder / "two" / "a-scored").run.protocol
    assert kept.own is not None
    assert (kept.score_at, kept.ignore) == ("input", "leave-out")


@pytest.mark.slow
@pytest.mark.parametrize("pair", list(combinations(CHANGES, 2)))
def test_every_two_planted_changes(planted: Planted, pair: tuple[str, str]) -> None:
    a, b = planted.run(), planted.run(*pair)
    found = explained(a, b, planted.again("-".join(pair)))
    assert [one.cause.key for one in found.findings] == list(pair)
    for key, other in (pair, pair[::-1]):
        one = finding(found, key)
        assert one.from_a.worth is not None
        assert one.from_b.worth is not None
        assert one.from_a.worth.points == pytest.approx(miou(planted.run(key)) - miou(a), abs=1e-9)
        assert one.from_b.worth.points == pytest.approx(miou(b) - miou(planted.run(other)), abs=1e-9)


def test_the_first_episodes_alone(planted: Planted) -> None:
    a, b = planted.run(), planted.run("scored", "ignore")
    found = explained(a, b, planted.again("limited", 3), limit=3)
    assert "3 episodes" in found.title
    alone = planted.run("ignore").frame
    first = replace(planted.run("ignore"), frame=alone[alone["episode"] < 3])
    base = replace(a, frame=a.frame[a.frame["episode"] < 3])
    worth = finding(found, "ignore").from_a.worth
    assert worth is not None
    assert worth.points == pytest.approx(miou(first) - miou(base), abs=1e-9)


@pytest.mark.slow
def test_weights_and_the_method_come_as_one_choice(planted: Planted) -> None:
    network = {"method": "prototype", "backbone": "small"}
    a, b = planted.run(**network), planted.run("ignore", random_weights=True, **network)
    found = explained(a, b, planted.again("weights"))
    assert [one.cause.key for one in found.findings] == ["ignore", "weights"]
    worth = finding(found, "weights").from_a.worth
    assert worth is not None
    assert worth.points == pytest.approx(miou(planted.run(random_weights=True, **network)) - miou(a), abs=1e-9)
    assert worth.points != 0
    other = explained(a, planted.run("ignore"))
    assert [one.cause.key for one in other.findings] == ["ignore", "method"]
    assert "has random weights" in " ".join(found.notes)


RULES = '''
import torch.nn.functional as F
from fssbench.methods.base.method import Prediction
from fssbench.methods.hsnet import HSNet
class Votes(HSNet):
    def __init__(self, backbone, way=1, shot=1):
        super().__init__(backbone, "fss", way, shot, channels=(4, 4, 4))
class Any(Votes):
    """Foreground wherever one support says so."""
    def merge(self, logits, size):
        scores = F.interpolate(logits[:, 0], size, mode="bilinear", align_corners=True)
        labels = (scores[:, 1] > scores[:, 0]).any(dim=0).byte()
        return Prediction(scores.mean(dim=0), labels, labels.any().view(1))
'''


@pytest.mark.slow
def test_the_rule_for_k_shots_is_exchanged_alone(planted: Planted) -> None:
    file = planted.folder / "rules.py"
    file.write_text(RULES)
    network = {"backbone": "small", "random_weights": True, "shots": 3}
    a = planted.run(method=f"{file}:Votes", **network)
    only = planted.run(method=f"{file}:Any", **network)
    b = planted.run("ignore", method=f"{file}:Any", **network)
    found = explained(a, b, planted.again("rules"))
    assert [one.cause.key for one in found.findings] == ["ignore", "shots"]
    worth = finding(found, "shots").from_a.worth
    assert worth is not None
    assert worth.points == pytest.approx(miou(only) - miou(a), abs=1e-9)
    assert worth.points != 0
    # Without running again no code of a run is imported: it is the method that differs.
    assert [one.cause.key for one in explained(a, only).findings] == ["method"]


def test_saved_predictions_are_counted_again(planted: Planted) -> None:
    a, b = planted.run(save=True, limit=6), planted.run("scored", "ignore")
    kept = planted.folder / "run-copy-mask-limit6-predictions"
    rescorer = Rescorer(a, kept, a.frame)
    found = explained(a, b, rescorers=(rescorer, None))
    exact, near = finding(found, "ignore"), finding(found, "scored")
    assert (exact.from_a.how, near.from_a.how, exact.from_b.how) == ("predictions", "predictions resized", "not tested")
    assert exact.from_a.worth is not None
    assert exact.from_a.worth.points == pytest.approx(miou(planted.run("ignore")) - miou(a), abs=1e-9)
    assert near.from_a.worth is not None
    text = as_text(found, 80)
    assert "an approximation" in " ".join(text.split())
    assert "try: fssbench explain" in text
    # With the run at hand the approximation gives way.
    again = explained(a, b, planted.again("exact"), rescorers=(rescorer, None))
    assert finding(again, "scored").from_a.how == "run again"
    assert finding(again, "ignore").from_a.how == "predictions"
    with pytest.raises(Exception, match="are not those of"):
        Rescorer(planted.run("input"), kept, planted.run("input").frame)
    assert predictions_of(a) is None


def test_episodes_that_are_in_both_lists_need_no_run(planted: Planted) -> None:
    whole = planted.run()
    part = planted.run(limit=4)
    found = explained(whole, part)
    assert [one.cause.key for one in found.findings] == ["episodes"]
    assert found.common is not None
    assert (found.common[0].points, found.common[1]) == (0, 4)
    several = explained(whole, planted.run("ignore", limit=4))
    assert finding(several, "episodes").from_a.how == "rows"
    worth = finding(several, "episodes").from_a.worth
    assert worth is not None
    assert worth.points == pytest.approx(miou(part) - miou(whole), abs=1e-9)
    assert finding(several, "episodes").from_b.how == "not tested"


def copied(results: Results, folder: Path) -> Path:
    assert results.folder is not None
    shutil.copytree(results.folder, folder)
    return folder


def test_the_same_run_is_equal_and_numerics_are_counted(planted: Planted, tmp_path: Path) -> None:
    a = planted.run()
    same = load_run(copied(a, tmp_path / "same"))
    assert "the two runs are equal" in as_text(explained(a, same), 200)
    rows = (tmp_path / "same" / "rows.jsonl").read_text().splitlines()
    changed = json.loads(rows[2])
    changed["intersection"][0] -= 3
    (tmp_path / "same" / "rows.jsonl").write_text("\n".join([*rows[:2], json.dumps(changed), *rows[3:]]) + "\n")
    text = as_text(explained(a, load_run(tmp_path / "same")), 200)
    assert "1 of 6 rows differ, by 3 pixels at most: the numerics" in text


def test_other_versions_are_tested_by_running_here(planted: Planted, tmp_path: Path) -> None:
    a, b = copied(planted.run(), tmp_path / "old"), planted.run("ignore")
    record = json.loads((a / "run.json").read_text())
    record["starts"][-1]["environment"]["packages"]["torch"] = "1.0"
    (a / "run.json").write_text(json.dumps(record))
    old = load_run(a)
    assert [one.cause.key for one in explained(old, b).findings] == ["ignore", "versions"]
    found = explained(old, b, planted.again("versions"))
    versions = finding(found, "versions")
    assert versions.from_a.unchanged
    assert versions.from_b.how == "not tested"
    assert "computed elsewhere: torch 1.0" in versions.from_b.reason
    assert "torch 1.0" in versions.cause.a


def test_photos_that_were_replaced_are_a_choice(planted: Planted) -> None:
    a = planted.run()
    frames = [a.frame.assign(photos=[(digest, "same") for _ in range(len(a.frame))]) for digest in ("one", "other")]
    (cause,) = causes_of(a, a, *frames)
    assert cause.key == "photos"
    assert "files" in cause.a


def test_precision_and_form_are_choices(planted: Planted) -> None:
    a = planted.run()
    other = replace(a, run=replace(a.run, precision="bfloat16", plain=True))
    assert [cause.key for cause in causes_of(a, other, a.frame, a.frame)] == ["precision", "form"]


def test_what_can_not_be_run_again_is_said_and_left(planted: Planted) -> None:
    a, b = planted.run(), planted.run("scored", "ignore")
    memory = replace(b.run.folds[0].weights, kind="memory", sha256="0" * 64)
    other = replace(b, run=replace(b.run, folds=(replace(b.run.folds[0], weights=memory),)))
    found = explained(a, other, planted.again("memory"))
    assert finding(found, "scored").from_a.how == "run again"
    assert "its weights were those of a Python program" in finding(found, "scored").from_b.reason
    assert not found.tested
    assert "What is left includes what was not tested" in " ".join(as_text(found, 80).split())


def test_runs_of_other_questions_are_refused(planted: Planted) -> None:
    a = planted.run()
    elsewhere = replace(a, run=replace(a.run, dataset=replace(a.run.dataset, name="pascal5i")))
    fold = replace(a, run=replace(a.run, folds=(replace(a.run.folds[0], fold=1),)))
    unfinished = replace(a, frame=a.frame.iloc[:2])
    shard = replace(a, run=replace(a.run, shard=(1, 2)))
    for other, what in (
        (elsewhere, "the data set is shapes20i"),
        (fold, "no fold in common"),
        (unfinished, "unfinished: 4 episodes are missing"),
        (shard, "is shard 1/2"),
    ):
        with pytest.raises(UsageError, match=what):
            explain(Question(a, other))


@pytest.mark.parametrize("width", [60, 80, 120])
def test_sentences_fit_a_terminal(planted: Planted, width: int) -> None:
    # A folder's name is never broken: a command has to be copied.
    lines = as_text(explained(planted.run(), planted.run("scored", "ignore")), width).splitlines()
    assert all(len(line) <= width or str(planted.folder) in line for line in lines)


def test_the_command(planted: Planted, fssbench: Run) -> None:
    a, b = planted.run(), planted.run("scored", "ignore")
    folders = (str(a.folder), str(b.folder))
    code, out, err = fssbench("explain", *folders, "--rerun", "--limit", "3", "--json", "--quiet")
    found = json.loads(out)
    assert (code, err) == (0, "")
    assert [one["cause"]["key"] for one in found["findings"]] == ["scored", "ignore"]
    assert set(found["left"]) == {"from_a", "from_b"}
    assert all(one["from_a"]["how"] == "run again" for one in found["findings"])
    code, out, _ = fssbench("explain", *folders)
    assert code == 0
    assert "not tested, as neither rows nor saved predictions can tell" in out


@pytest.mark.parametrize(
    "arguments",
    [
        ("{a}",),
        ("{a}", "{a}"),
        ("{a}", "{b}", "{a}"),
        ("{a}", "nowhere"),
        ("{a}", "{b}", "--out", "kept"),
        ("{a}", "{b}", "--published", "ifsl-readme:1"),
        ("{a}", "--published", "hsnet"),
        ("{a}", "--published", "ifsl-readme:1"),
        ("{a}", "{b}", "--predictions-a", "nowhere"),
    ],
)
def test_missing_input_ends_in_two(planted: Planted, fssbench: Run, arguments: tuple[str, ...]) -> None:
    folders = {"a": str(planted.run().folder), "b": str(planted.run("ignore").folder)}
    code, out, err = fssbench("explain", *(one.format(**folders) for one in arguments))
    assert (code, out) == (2, "")
    assert "try: " in err
