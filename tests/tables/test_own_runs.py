"""One's own runs decide which tables there are, are called as their user says, and are ranked among comparable rows."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from fssbench.errors import MissingError, UsageError
from fssbench.tables import Comparison, Style, compare
from fssbench.tables.table import Row, Table
from tests.tables.runs import limited, run_of, write_run


def ask(runs: Path, *, style: Style | None = None, **rest: object) -> list[Table]:
    request = Comparison(**{"runs": runs, "layout": None, **rest})  # type: ignore[arg-type]
    return compare(request, style=style or Style())


def rows(table: Table) -> dict[str, Row]:
    return {row.label: row for group in table.groups for row in group.rows}


def notes(table: Table) -> list[str]:
    return [note.text for note in table.footnotes]


def best(row: Row) -> list[str]:
    return [cell.emphasis for cell in row.cells]


def test_runs_decide_data_set_shots_and_task(tmp_path: Path) -> None:
    write_run(tmp_path / "a", run_of("mynet", dataset="pascal5i", protocol="hsnet", shot=5))
    write_run(tmp_path / "b", run_of("asnet", backbone="small", task="fscs", protocol="shapes-fscs"))
    fss, fscs = ask(tmp_path)
    assert (fss.title, [block.title for block in fss.blocks]) == ("PASCAL-5i, 1-way", ["5-shot", ""])
    assert {"HSNet", "mynet"} < set(rows(fss))
    assert fscs.title == "shapes20i, classification and segmentation, 1-way 1-shot"
    assert set(rows(fscs)) == {"ASNet"}
    # What is named goes before what the runs say.
    (table,) = ask(tmp_path, datasets=("coco20i",))
    assert [block.title for block in table.blocks] == ["1-shot", "5-shot", ""]
    (table,) = ask(tmp_path, datasets=("pascal5i",), shots=(1, 5))
    assert [block.title for block in table.blocks] == ["1-shot", "5-shot", ""]


def test_without_runs_the_tables_of_the_papers_are_shown(tmp_path: Path) -> None:
    assert [table.title for table in ask(tmp_path)] == ["PASCAL-5i, 1-way", "COCO-20i, 1-way"]


def test_own_methods_come_last_in_their_group_as_they_are_called(tmp_path: Path) -> None:
    own = run_of("mynet", dataset="pascal5i", protocol="hsnet")
    write_run(tmp_path / "own", own, iou=0.9)
    write_run(tmp_path / "hsnet", run_of(dataset="pascal5i", protocol="hsnet"), iou=0.5)
    write_run(tmp_path / "vit", replace(own, label="Mine on ViT", label_backbone="ViT-B/16"), iou=0.8)
    write_run(tmp_path / "joined", replace(own, label="Joined", label_backbone="ResNet-50"), iou=0.7)
    (table,) = ask(tmp_path, backbones=("resnet50",), labels=("mynet=MyNet (ours)",), source="measured")
    # The label of the table goes before that of the record.
    assert set(rows(table)) == {"HSNet", "MyNet (ours)"}
    (table,) = ask(tmp_path, backbones=("resnet50",), labels=(f"{tmp_path / 'own'}=MyNet (ours)",))
    groups = {group.title: [row.label for row in group.rows] for group in table.groups}
    assert groups["ResNet50"][-2:] == ["Joined", "MyNet (ours)"]
    assert groups["ViT-B/16"] == ["Mine on ViT"]
    resnet = [row for group in table.groups if group.title == "ResNet50" for row in group.rows]
    measured = [row.label for row in resnet if row.entries[0].origin == "measured"]
    assert measured == ["HSNet", "Joined", "MyNet (ours)"], "a registered method keeps its title, and its place"
    assert resnet[[row.label for row in resnet].index("HSNet") + 1].entries[0].origin == "measured"


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        (("Mine",), "--label 'Mine' is for one method; there are runs of first, second"),
        (("third=Mine",), "there is no run and no method third"),
        (("first=",), "is no name"),
    ],
)
def test_a_label_that_may_be_for_several_rows_is_refused(tmp_path: Path, labels: tuple[str, ...], says: str) -> None:
    write_run(tmp_path / "a", run_of("first"))
    write_run(tmp_path / "b", run_of("second"))
    with pytest.raises(UsageError) as caught:
        ask(tmp_path, labels=labels)
    assert says in str(caught.value)
    assert "--label" in str(caught.value.remedy)


def test_a_label_is_for_a_run_by_the_name_of_its_folder(tmp_path: Path) -> None:
    write_run(tmp_path / "a", run_of("mynet", backbone="small"))
    write_run(tmp_path / "b", run_of("mynet", backbone="small"), iou=0.8)
    (table,) = ask(tmp_path, labels=("b=Better",))
    assert {"Better", "mynet"} <= set(rows(table))
    with pytest.raises(UsageError, match="--label 'c=Better': there is no run and no method c") as caught:
        ask(tmp_path, labels=("c=Better",))
    assert caught.value.remedy == "--label mynet='c=Better' where = is part of the name"


def test_a_label_may_have_an_equals_sign(tmp_path: Path) -> None:
    write_run(tmp_path / "a", run_of("first"))
    (table,) = ask(tmp_path, labels=("MyNet, k=5",))
    assert set(rows(table)) == {"MyNet, k=5"}


def test_only_comparable_rows_are_ranked(tmp_path: Path) -> None:
    write_run(tmp_path / "a", run_of("hsnet", episodes=60), iou=0.5)
    write_run(tmp_path / "b", run_of("asnet", episodes=60), iou=0.4)
    write_run(tmp_path / "few", limited(run_of("pfenet", episodes=60), 5), iou=0.9)
    write_run(tmp_path / "data", run_of("bam", episodes=60, data="other"), iou=0.8)
    write_run(tmp_path / "own", run_of("mynet", episodes=60), iou=0.6)
    (table,) = ask(tmp_path)
    found = rows(table)
    assert best(found["mynet"])[:5] == ["best"] * 5
    assert best(found["HSNet"])[:5] == ["second"] * 5
    for label in ("PFENet", "BAM"):
        assert not any(best(found[label]))
    assert "not comparable with the other measured rows: other number of episodes" in notes(table)
    assert "not comparable with the other measured rows: other data" in notes(table)


def test_where_no_two_rows_are_comparable_none_is_ranked(tmp_path: Path) -> None:
    write_run(tmp_path / "a", run_of("hsnet", episodes=60), iou=0.5)
    write_run(tmp_path / "b", run_of("asnet", episodes=5), iou=0.9)
    (table,) = ask(tmp_path)
    assert not table.ranked


def test_rows_that_are_not_shown_make_nobody_the_odd_one_out(tmp_path: Path) -> None:
    for number in range(3):
        write_run(tmp_path / f"other{number}", run_of("pfenet", episodes=60, lists=f"{number}"))
    pair = [
        write_run(tmp_path / name, run_of(name, episodes=5), iou=iou) for name, iou in (("hsnet", 0.4), ("bam", 0.3))
    ]
    (table,) = ask(tmp_path, folders=tuple(pair))
    assert set(rows(table)) == {"HSNet", "BAM"}
    assert not any("not comparable" in text for text in notes(table))
    assert best(rows(table)["HSNet"])[0] == "best"


def test_a_floor_is_never_the_best(tmp_path: Path) -> None:
    for name, iou in (("all-foreground", 0.2), ("copy-mask", 0.3)):
        write_run(tmp_path / name, run_of(name, backbone=None), iou=iou)
    for name, iou in (("prototype", 0.9), ("hsnet", 0.5), ("asnet", 0.4)):
        write_run(tmp_path / name, run_of(name, backbone="small"), iou=iou)
    (table,) = ask(tmp_path)
    assert not any(map(any, (best(rows(table)[name]) for name in ("all-foreground", "copy-mask", "prototype"))))
    assert best(rows(table)["HSNet"])[0] == "best"


def test_two_photo_folders_are_two_tables_under_their_names(tmp_path: Path) -> None:
    def own(name: str, fingerprint: str, root: str | None = None, title: str | None = None) -> None:
        run = run_of("prototype", dataset="folder", protocol="hsnet", folds=(0, 1))
        data = replace(run.dataset, title=title, fingerprint=fingerprint, fold_count=2)
        start = replace(run.starts[0], environment=replace(run.starts[0].environment, root=root))
        write_run(tmp_path / name, replace(run, dataset=data, starts=(start,)))

    own("a", "a" * 64, root="/photos/reef")
    own("b", "b" * 64, root="/photos/leaves")
    own("c", "c" * 64, title="Moths")
    own("d", "d" * 64, title="Moths")
    titles = [table.title for table in ask(tmp_path)]
    assert titles == [
        "own data in reef, 1-way",
        "own data in leaves, 1-way",
        "Moths (data cccccccc), 1-way",
        "Moths (data dddddddd), 1-way",
    ]
    assert [len(table.blocks[0].columns) for table in ask(tmp_path)] == [4] * 4, "two folds, mean and FB-IoU"
    assert len(ask(tmp_path, datasets=("moths",))) == 2


def test_a_run_that_is_not_shown_is_named_with_the_reason(tmp_path: Path) -> None:
    small = write_run(tmp_path / "small", run_of("mynet", backbone="small", shot=5))
    other = write_run(tmp_path / "other", run_of("hsnet", dataset="pascal5i", protocol="hsnet", task="fscs"))
    reasons: dict[Path, str] = {}

    def shown(**rest: object) -> dict[Path, str]:
        reasons.clear()
        request = Comparison(**{"folders": (small, other), "layout": None, **rest})  # type: ignore[arg-type]
        with suppress(MissingError):
            compare(request, not_shown=reasons.__setitem__)
        return dict(reasons)

    assert shown() == {}
    assert shown(backbones=("resnet50",)) == {small: "its backbone is small"}
    assert shown(shots=(1,)) == {small: "it is 5-shot"}
    assert shown(datasets=("shapes20i",)) == {other: "its data set is PASCAL-5i"}
    assert shown(layout="fss") == {other: "its task is that of --layout fscs"}
    assert shown(ways=(2,)) == {small: "it is 1-way", other: "it is 1-way"}
    assert shown(folders=(small,), runs=tmp_path, methods=("hsnet",), shots=(5,)) == {other: "it is 1-shot"}


def test_a_pair_of_data_sets_is_known_before_its_first_run(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="on shapes20i_to_shapes20i-underwater"):
        ask(tmp_path, datasets=("shapes20i_to_shapes20i-underwater",))
    with pytest.raises(UsageError, match="unknown data set"):
        ask(tmp_path, datasets=("shapes20i_to_shapes",))


def test_a_mean_over_a_part_of_the_folds_has_no_printed_counterpart(tmp_path: Path) -> None:
    write_run(tmp_path / "a", run_of(folds=(0, 2), dataset="pascal5i", protocol="hsnet"), iou=0.5)
    (table,) = ask(tmp_path, source="measured")
    (row,) = rows(table).values()
    (minus,) = [line for line in row.under if line.label == "minus printed"]
    assert [bool(cell.text) for cell in minus.cells[:6]] == [True, False, True, False, False, False]
    assert row.cells[4].mark == row.cells[5].mark != ""
    assert "mean over folds 0, 2 alone, of 4 folds" in notes(table)


def test_means_over_the_same_part_are_ranked_and_not_against_whole_ones(tmp_path: Path) -> None:
    write_run(tmp_path / "a", run_of("hsnet", folds=(0,)), iou=0.5)
    write_run(tmp_path / "b", run_of("asnet", folds=(0,)), iou=0.4)
    (table,) = ask(tmp_path)
    assert [best(row)[4] for row in rows(table).values()] == ["best", "second"]
    write_run(tmp_path / "c", run_of("bam"), iou=0.1)
    write_run(tmp_path / "d", run_of("pfenet"), iou=0.2)
    (table,) = ask(tmp_path)
    found = {label: best(row)[4] for label, row in rows(table).items()}
    assert found == {"HSNet": "", "ASNet": "", "BAM": "second", "PFENet": "best"}


def test_options_stand_in_a_footnote_on_request_or_where_they_tell_rows_apart(tmp_path: Path) -> None:
    run = run_of("hsnet", backbone="small")
    narrow = replace(run, method=replace(run.method, options={"channels": (8, 16, 16)}))
    write_run(tmp_path / "a", narrow)
    (table,) = ask(tmp_path)
    assert not any("channels" in text or "list order" in text for text in notes(table))
    (table,) = ask(tmp_path, style=Style(details=True))
    assert {"channels = (8, 16, 16)", "list order own"} < set(notes(table))
    wide = replace(run, method=replace(run.method, options={"channels": (16, 32, 32)}))
    write_run(tmp_path / "b", wide)
    (table,) = ask(tmp_path)
    assert {"channels = (8, 16, 16)", "channels = (16, 32, 32)"} < set(notes(table))


@pytest.mark.parametrize(
    ("methods", "folders", "order"),
    [
        (("hsnet", "asnet"), (), ("HSNet", "ASNet")),
        (("asnet,hsnet",), (), ("ASNet", "HSNet")),
        (("asnet",), ("b",), ("HSNet", "ASNet")),
        (("ASNet",), ("a",), ("ASNet",)),
        ((), ("b", "a"), ("HSNet", "ASNet")),
    ],
)
def test_measured_rows_stand_in_the_order_in_which_they_are_named(
    methods: tuple[str, ...], folders: tuple[str, ...], order: tuple[str, ...], tmp_path: Path
) -> None:
    write_run(tmp_path / "a", run_of("asnet", backbone="small"))
    write_run(tmp_path / "b", run_of("hsnet", backbone="small"))
    named = tuple(tmp_path / folder for folder in folders)
    request = {"methods": methods, "folders": named, "order": (*named, *methods), "datasets": ("shapes20i",)}
    (table,) = ask(tmp_path, style=Style(order="given"), **request)
    assert tuple(rows(table)) == order
    (other,) = ask(tmp_path, style=Style(order="given"), methods=("asnet",), folders=(tmp_path / "b",))
    assert tuple(rows(other)) == ("ASNet", "HSNet"), "methods come first where nothing says otherwise"
