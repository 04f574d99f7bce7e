"""A run against a printed row: what its evaluation is known to have been, and what differs."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from fssbench.errors import UsageError
from fssbench.explaining import printed
from fssbench.explaining.printed import explain_printed, release_of_row
from fssbench.explaining.render_printed import as_text
from fssbench.protocols.releases import releases
from fssbench.publications.load import publications
from fssbench.publications.rows import PrintedRow
from fssbench.publications.search import all_rows
from fssbench.results import load_run
from tests.cli.conftest import fssbench
from tests.tables.runs import run_of, write_run

__all__ = ["fssbench"]

Run = Callable[..., tuple[int, str, str]]


def id_of(**wanted: object) -> str:
    """The id of the first printed result with these fields."""
    found = all_rows(publications())
    return next(
        one.id
        for one in found
        if one.row.role == "result" and all(getattr(one.row, name) == value for name, value in wanted.items())
    )


def test_what_differs_from_the_release_of_a_row_is_named(tmp_path: Path) -> None:
    results = load_run(write_run(tmp_path / "run", run_of(dataset="pascal5i", protocol="hsnet")))
    row = id_of(method="hsnet", dataset="pascal5i", task="fss", shot=1, backbone="resnet50")
    found = explain_printed(results, row)
    assert (found.release, found.protocol) == ("hsnet", "hsnet")
    assert {"episodes", "input", "scored"} <= set(found.differs)
    assert {"resize", "ignore", "queries", "shots"} <= set(found.same)
    assert "training" in found.unknown
    assert found.setting["weights"][1] == "those of its authors"
    text = " ".join(as_text(found, 80).split())
    assert "input size: 192 x 192 here, 400 x 400 there" in text
    assert f"--published {row} --rerun" in text
    assert found.numbers[0].here == pytest.approx(50.0)


def test_a_row_of_a_release_that_is_not_runnable_here(
    tmp_path: Path, fssbench: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    # No release with printed rows is without a protocol here.
    monkeypatch.setattr(printed, "release_of_row", lambda row: (releases()["sansa"], ""))
    run = write_run(tmp_path / "run", run_of(dataset="coco20i", protocol="bam", method="bam"))
    row = id_of(method="fptrans", dataset="coco20i", shot=1, source="fptrans-readme")
    code, out, _ = fssbench("explain", str(run), "--published", row)
    assert code == 0
    assert "SANSA; ClaudiaCuttano/SANSA@3377265" in out
    assert "not runnable here" in out
    assert "method: bam here, fptrans there" in out
    code, _, err = fssbench("explain", str(run), "--published", row, "--rerun")
    assert (code, "no protocol here repeats its evaluation" in err) == (2, True)
    code, out, _ = fssbench("explain", str(run), "--published", row, "--json")
    assert json.loads(out)["printed"]["choices"]["input"]["text"] == "640 x 640"


def test_a_row_of_another_question_is_refused(tmp_path: Path) -> None:
    results = load_run(write_run(tmp_path / "run", run_of(dataset="pascal5i", protocol="hsnet")))
    for wanted, what in (
        ({"dataset": "coco20i", "shot": 1}, "data set coco20i"),
        ({"dataset": "pascal5i", "shot": 5}, "shots 5"),
    ):
        with pytest.raises(UsageError, match=what):
            explain_printed(results, id_of(method="hsnet", task="fss", **wanted))
    with pytest.raises(UsageError, match="not the id of a printed row"):
        explain_printed(results, "hsnet")


def test_the_evaluation_of_a_row_is_never_guessed() -> None:
    row = next(one.row for one in all_rows(publications()) if one.row.method == "hsnet" and one.row.protocol == "hsnet")
    release, _ = release_of_row(row)
    assert release is not None
    assert release.name == "hsnet"
    release, _ = release_of_row(replace(row, protocol="ifsl-fscs"))
    assert release is not None
    assert release.protocol == "ifsl-fscs"
    assert release_of_row(replace(row, protocol=""))[0] is None
    release, why = release_of_row(replace(row, method="sccan", protocol="sccan-squashed"))
    assert (release, "only this is known: SCCAN's evaluation" in why) == (None, True)
    own, _ = release_of_row(replace(row, method="ntrenet", protocol="pfenet"))
    assert own is not None
    assert own.name == "ntrenet"
    # SSP's README prints both its own evaluation and HSNet's.
    names = [release_of_row(replace(row, method="ssp", protocol=name))[0] for name in ("mlc", "hsnet")]
    assert [one.name for one in names if one is not None] == ["ssp", "hsnet"]
    assert release_of_row(replace(row, method="hdmnet", protocol="", source="hmnet-page"))[0] is None


def test_running_again_by_the_protocol_of_the_release(
    elsewhere: None, fssbench: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = publications()
    row = PrintedRow(
        *("hsnet", "", "result", "ifsl-readme", "table 1", "shapes20i", "fss", "hsnet", 1, 1, ""),
        *({"fold0": "50.0"}, "printed", ""),
    )
    more = replace(known, rows=(*known.rows, row))
    monkeypatch.setattr(printed, "publications", lambda: more)
    last = next(one.id for one in all_rows(more) if one.row is row)
    run = ("--method", "copy-mask", "--dataset", "shapes20i", "--fold", "0", "--limit", "3", "--out", "run", "--quiet")
    assert fssbench("eval", *run)[0] == 0
    code, out, err = fssbench("explain", "run", "--published", last, "--rerun", "--limit", "3", "--json", "--quiet")
    assert (code, err) == (0, "")
    again = json.loads(out)["again"]
    assert {"input", "scored"} <= {one["cause"]["key"] for one in again["findings"]}
    assert again["tested"]
    code, out, _ = fssbench("explain", "run", "--published", last, "--rerun", "--limit", "3", "--quiet")
    assert "are not explained by the evaluation" in out
