"""Printed numbers that the user adds: checked cell by cell, marked in tables, and never in place of fssbench's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from fssbench.checking.against_published import against_published
from fssbench.errors import BrokenFileError, MissingError, UsageError
from fssbench.publications.load import publications
from fssbench.publications.own import add, is_own, own_file, remove, with_own
from fssbench.publications.own_rows import MAX_BYTES, checked
from fssbench.publications.search import all_rows
from fssbench.tables import Comparison, Style, compare, render
from fssbench.tables.printed import merit

HEAD = "method,source,location,dataset,way,shot,backbone,fold0,fold1,fold2,fold3,mean,variant"
MINE = "MyNet,My Paper (CVPR 2027),Table 1,PASCAL-5i,1,1,resnet50,66,71,62,61,65.0,"
HSNET = "HSNet,My Paper (CVPR 2027),Table 1,pascal5i,1,1,resnet50,99,99,99,99,99.0,"


@pytest.fixture(autouse=True)
def _settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings"))


def file_of(folder: Path, *lines: str, head: str = HEAD) -> Path:
    path = folder / "numbers.csv"
    path.write_text("\n".join([head, *lines]) + "\n", encoding="utf-8")
    return path


def table(*methods: str, **request: object) -> str:
    chosen = Comparison(methods=methods, datasets=("pascal5i",), shots=(1,), backbones=("resnet50",), **request)  # type: ignore[arg-type]
    return render(compare(chosen, style=Style(intervals=False)), "markdown")


def test_rows_are_shown_with_their_source_and_marked(tmp_path: Path) -> None:
    target, added, there = add(file_of(tmp_path, MINE))
    assert (target, added, there) == (own_file(), 1, 1)
    found = table("mynet", "hsnet")
    assert "added by you" in found
    assert "a number that you added" in found
    assert "| MyNet" in found
    assert "66.0" in found


def test_a_number_of_fssbench_keeps_its_place_and_a_footnote_names_the_other(tmp_path: Path) -> None:
    before = table("hsnet")
    add(file_of(tmp_path, HSNET))
    after = table("hsnet")
    assert "99.0" not in before
    assert [line for line in after.splitlines() if line.startswith("| HSNet")] != []
    assert all("99" not in line for line in after.splitlines() if line.startswith("| HSNet"))
    assert "mean 99.0 in the My Paper" in after
    assert "99.0" in table("hsnet", all_sources=True)


def test_nothing_is_held_against_what_the_user_adds(tmp_path: Path) -> None:
    add(file_of(tmp_path, HSNET))
    assert against_published.__defaults__ == (None, None)  # by default the numbers of fssbench alone
    assert not any(is_own(with_own(), row) for row in publications().rows)
    assert publications().rows == with_own().rows[: len(publications().rows)]
    assert min(merit(with_own(), row) for row in publications().rows) > max(
        merit(with_own(), row) for row in with_own().rows if is_own(with_own(), row)
    )


def test_rows_are_removed_by_their_ids(tmp_path: Path) -> None:
    add(file_of(tmp_path, MINE, HSNET))
    known = with_own()
    ids = {one.row.method: one.id for one in all_rows(known) if is_own(known, one.row)}
    assert ids == {"mynet": "own-my-paper-cvpr-2027:1", "hsnet": "own-my-paper-cvpr-2027:2"}
    with pytest.raises(UsageError, match="no row that you added"):
        remove([ids["mynet"], "bam-readme:1"])
    assert remove([ids["mynet"]])[1] == 1
    assert [row.method for row in with_own().rows if is_own(with_own(), row)] == ["hsnet"]
    assert remove(["own-my-paper-cvpr-2027:1"])[1] == 0
    assert not own_file().exists()
    assert with_own() is publications()


def test_all_faults_are_named_at_once_and_nothing_is_written(tmp_path: Path) -> None:
    add(file_of(tmp_path, HSNET))
    before = own_file().read_bytes()
    path = file_of(
        tmp_path,
        "hsnet,vat-readme,Table 1,pascal5i,1,1,resnet50,,,,,60.1,",
        "My:Net,P,,pascal5,0,1,res net,,,,,600,",
        "a,P,T,pascal5i,1,1,,,,,,,",
        "a,b",
        "a,P,T,pascal5i,1,1,,,,,,1,\x1b[31mred",
        "a,P,T,pascal5i,1,1,,,,,,1,=cmd|' /C calc'!A0",
        HSNET,
    )
    with pytest.raises(UsageError) as caught:
        add(path)
    lines = caught.value.message.splitlines()
    assert lines[0].endswith("has 12 faults, so nothing was added:")
    named = [line.strip().partition(": ")[0] for line in lines[1:-1]]
    assert named[:2] == ["line 2, column source", "line 3, column method"]
    assert set(named[2:8]) == {
        f"line 3, column {column}" for column in ("location", "way", "backbone", "mean", "dataset")
    } | {"line 4, no number"}
    assert named[8:] == ["line 5, 2 cells, not 13", "line 6, column variant", "line 7, column variant"]
    assert lines[-1].strip().startswith("line 8, the same result is in")
    assert "\x1b" not in caught.value.message
    assert own_file().read_bytes() == before


@pytest.mark.parametrize(
    ("head", "words"),
    [
        ("method;source", "unknown column"),
        ("method,source,location,dataset,mean,mean", "column mean: twice"),
        ("method,source,location,mean", "column dataset: missing"),
        ("method,source,location,dataset", "no column of numbers"),
        (HEAD, "no row"),
    ],
)
def test_a_wrong_head_is_named(tmp_path: Path, head: str, words: str) -> None:
    _, faults = checked(file_of(tmp_path, head=head))
    assert any(words in str(fault) for fault in faults), faults


def test_files_that_are_no_text_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingError):
        add(tmp_path / "none.csv")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BrokenFileError, match="can't read"):
        add(tmp_path / "bytes")
    (tmp_path / "large").write_bytes(b"x" * (MAX_BYTES + 1))
    with pytest.raises(BrokenFileError, match="larger"):
        add(tmp_path / "large")


def test_a_damaged_own_file_is_named_with_its_line(tmp_path: Path) -> None:
    add(file_of(tmp_path, HSNET))
    own_file().write_text(own_file().read_text().replace("99.0", "-1"))
    with pytest.raises(BrokenFileError, match=r"line 2, column mean"):
        with_own()


def test_what_a_source_says_is_harmless_in_every_format(tmp_path: Path) -> None:
    add(file_of(tmp_path, r"x<b>y,<script>alert(1)</script> \input{x} | [a](b),T,pascal5i,1,1,resnet50,,,,,65.0,+x"))
    tables = compare(Comparison(methods=("x<b>y:*",), datasets=("pascal5i",)))
    assert "<script>alert" not in render(tables, "html")
    assert "<script>alert" not in render(tables, "markdown")
    assert "\\input{" not in render(tables, "latex")
    assert ",+x" not in render(tables, "csv")
    assert "\x1b" not in render(tables, "terminal")
