"""`eval --references` and `--absent`: the run says so everywhere, and is never taken for one of the protocol's list."""

from __future__ import annotations

import io
import json
import sys
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from fssbench import cli
from fssbench.results import load_run
from tests.datasets.trees import label_map, own_tree

pytestmark = pytest.mark.usefixtures("elsewhere")
SHAPES = ("eval", "--dataset", "shapes20i", "--fold", "0", "--episodes", "12", "--quiet")
MADE = (*SHAPES, "--references", "3", "--absent", "0.25")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Path:
    """Runs of two floors on one list with references and absent queries, and what the command printed."""
    folder = tmp_path_factory.mktemp("made")
    command = ["fssbench", *MADE, "--method", "nothing,all-foreground", "--out", "runs"]
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(printed):
        patch.chdir(folder)
        patch.setenv("XDG_CACHE_HOME", str(cache))
        patch.setattr(sys, "argv", command)
        with pytest.raises(SystemExit) as stop:
            cli.main()
    assert not stop.value.code
    (folder / "printed.txt").write_text(printed.getvalue())
    return folder


def test_the_record_names_the_list_and_the_numbers_come_with_it(made: Path) -> None:
    printed = (made / "printed.txt").read_text()
    for text in ("references: 12 queries with 3 different supports", "absent queries: 9 of 36", "not to be compared"):
        assert text in printed
    run = json.loads((made / "runs/nothing/run.json").read_text())
    (fold,) = run["folds"]
    assert (fold["references"], fold["absent"], fold["episodes"], fold["run_length"]) == (3, 9, 36, 12)
    assert fold["drawn_by"] == "shapes, 25 % absent, 3 references"
    assert fold["base_hash"] != fold["episodes_hash"]
    summary = json.loads((made / "runs/all-foreground/summary.json").read_text())
    assert summary["absent"][0]["false_area"] == 100.0
    assert summary["absent"][0]["empty"] == 0.0
    assert summary["absent"][0]["miou"] == pytest.approx(summary["miou"])
    assert summary["absent"][0]["miou_present"] > summary["miou"]
    assert summary["references"]["folds"][0]["std"] == 0.0
    assert summary["references"]["variance"]["reference"] == 0.0
    assert any("absent queries" in note for note in summary["notes"])


def test_a_plain_run_says_nothing_of_it(fssbench, tmp_path: Path) -> None:
    code, out, _ = fssbench(*SHAPES, "--method", "nothing", "--out", "plain")
    assert code == 0
    assert "references" not in out
    run, rows = (tmp_path / "plain/run.json").read_text(), (tmp_path / "plain/rows.jsonl").read_text()
    assert '"references"' not in run
    assert '"base_hash"' not in run
    assert '"predicted"' not in rows


def test_stored_runs_are_shown_and_are_json(fssbench, made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(made)
    code, out, _ = fssbench("references", "runs/all-foreground", "--queries", "1")
    assert code == 0
    assert "0 % of the reference" in out
    assert out.count("best with") == 1
    code, out, _ = fssbench("references", "runs/nothing", "--json")
    (record,) = json.loads(out)
    assert (record["references"], len(record["queries"])) == (3, 9)
    code, out, _ = fssbench("absent", "runs/nothing", "runs/all-foreground")
    rows = [line.split() for line in out.splitlines() if line.startswith(("nothing", "all-foreground"))]
    assert [(row[0], row[4], row[7]) for row in rows] == [
        ("nothing", "100.0", "100.0"),
        ("all-foreground", "0.0", "0.0"),
    ]
    code, out, _ = fssbench("absent", "runs/nothing", "--json")
    assert json.loads(out)[0]["folds"][0]["empty"] == 100.0


def test_runs_without_such_a_list_are_refused(fssbench) -> None:
    assert fssbench(*SHAPES, "--method", "nothing", "--out", "plain")[0] == 0
    for command, text in (("references", "no references"), ("absent", "no absent queries")):
        code, _, err = fssbench(command, "plain")
        assert code == 2
        assert text in err


def test_tables_checks_and_baselines_do_not_take_it_for_the_protocols_list(
    fssbench, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(made)
    code, out, _ = fssbench("table", "--runs", "runs", "--dataset", "shapes20i", "--source", "measured")
    assert code == 0
    text = " ".join(out.split())
    assert "each query with 3 different supports, not the protocol's episodes, so it is not ranked" in text
    assert "9 of 36 queries hold no class of their episode, not the protocol's episodes, so it is not ranked" in text
    code, out, err = fssbench(
        "check", "runs/all-foreground", "--against", "baseline", "--update", "--baselines", "mine"
    )
    assert code == 2
    assert "is no baseline: it has other episodes than its protocol" in err


def test_it_is_continued_replayed_and_merged(fssbench, made: Path, tmp_path: Path) -> None:
    run = ("--method", "nothing", "--out", "whole")
    assert fssbench(*MADE, *run)[0] == 0
    rows = tmp_path / "whole/rows.jsonl"
    lines = rows.read_text().splitlines(keepends=True)
    rows.write_text("".join(lines[:20]))
    assert fssbench(*MADE, *run, "--resume")[0] == 0
    for other in ("--absent", "--references"):
        shorter = list(MADE)
        del shorter[shorter.index(other) : shorter.index(other) + 2]
        code, _, err = fssbench(*shorter, *run, "--resume")
        assert code == 2
        assert "can't be continued" in err
    for number in ("1/2", "2/2"):
        assert fssbench(*MADE, "--method", "nothing", "--out", "parts", "--shard", number)[0] == 0
    assert fssbench("merge", "parts")[0] == 0
    one, two, three = (
        load_run(folder).frame.drop(columns="seconds") for folder in ("whole", "parts", made / "runs/nothing")
    )
    assert one.equals(two)
    assert one.equals(three)
    code, out, _ = fssbench("eval", "--replay", "whole", "--quiet")
    assert code == 0
    assert "36 equal" in out
    code, _, err = fssbench("eval", "--replay", "whole", "--absent", "0.5")
    assert code == 2
    assert "--absent would change that" in err


def test_a_list_in_a_file_is_scored_from_predictions_and_lies_are_refused(fssbench, tmp_path: Path) -> None:
    from dataclasses import replace

    from fssbench.episode import read_episodes, write_episodes
    from fssbench.episode.episode import holds_none

    drawn = ("--dataset", "shapes20i", "--count", "8", "--absent", "0.25", "--references", "2", "--out", "list.json")
    code, out, _ = fssbench("episodes", "export", *drawn)
    assert code == 0
    assert "25 % absent, 2 references: not the protocol's own list" in out
    assert fssbench("episodes", "verify", "list.json", "--dataset", "shapes20i")[0] == 0
    listed = ("--dataset", "shapes20i", "--episodes", "list.json", "--quiet")
    saved = ("--save-predictions", "maps", "--out", "here")
    assert fssbench("eval", "--method", "all-foreground", *listed, *saved)[0] == 0
    assert fssbench("score", "--predictions", "maps", "--episodes", "list.json", "--out", "scored", "--quiet")[0] == 0
    here, scored = (load_run(tmp_path / name) for name in ("here", "scored"))
    assert here.frame["predicted"].tolist() == scored.frame["predicted"].tolist()
    assert (scored.run.references, scored.run.has_absent) == (2, True)
    for option in (("--absent", "0.5"), ("--references", "3"), ("--limit", "4")):
        code, _, err = fssbench("eval", "--method", "nothing", *listed, *option, "--out", "other")
        assert code == 2, option
    episodes = read_episodes(tmp_path / "list.json")
    place = next(n for n in range(4) if not holds_none(episodes[n]))
    lie = tuple(
        replace(one, query_class=next(c for c in range(1, 6) if c not in one.classes))
        if one.query == episodes[place].query
        else one
        for one in episodes
    )
    write_episodes(replace(episodes, episodes=lie), tmp_path / "lie.json")
    for command in (
        ("eval", "--method", "nothing", "--dataset", "shapes20i", "--episodes", "lie.json", "--out", "lied"),
        ("score", "--predictions", "maps", "--episodes", "lie.json", "--out", "lied"),
    ):
        code, _, err = fssbench(*command)
        assert code == 2
        assert "its label map does" in err
    assert not (tmp_path / "lied").exists()


def test_own_data_has_references_and_absent_queries(fssbench, tmp_path: Path) -> None:
    labels = {f"p{n}": label_map((1 + n % 2, 3, 3, 20 + n, 20), size=(40, 60)) for n in range(8)}
    own_tree(tmp_path / "own", labels, '[classes]\n1 = "leaf"\n2 = "stem"\n')
    own = ("eval", "--dataset", "folder", "--root", "own", "--fold", "0", "--episodes", "8", "--quiet")
    made = ("--references", "3", "--absent", "0.25", "--out", "run")
    assert fssbench(*own, "--method", "all-foreground", *made)[0] == 0
    assert load_run(tmp_path / "run").run.folds[0].references == 3
    code, _, err = fssbench(*own, "--method", "nothing", "--references", "4", "--out", "more")
    assert code == 2
    assert "--references 3" in err


def test_a_figure_of_the_references(fssbench, made: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(made)
    figure = tmp_path / "figure.svg"
    assert fssbench("plot", "runs/all-foreground", "runs/nothing", "--kind", "references", "--out", str(figure))[0] == 0
    assert "queries, by their mean" in figure.read_text()
