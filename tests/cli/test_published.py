"""`fssbench published`: which rows are found, and that each is shown with its source."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from fssbench.checkpoints.registry import _shipped
from fssbench.cli.published import app
from fssbench.errors import FSSBenchError, MissingError, UsageError
from fssbench.publications.listing import COLUMNS
from fssbench.publications.load import publications
from fssbench.publications.status import implementation_of, released_weights


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, arguments)


def found(*arguments: str) -> list[dict[str, Any]]:
    answer = run("list", *arguments, "--format", "json")
    assert answer.exit_code == 0, answer.exception
    records: list[dict[str, Any]] = json.loads(answer.stdout)
    return records


def test_all_printed_rows_are_listed_in_every_format() -> None:
    assert len(found()) == 698
    assert len(list(csv.DictReader(io.StringIO(run("list", "--format", "csv").stdout)))) == 698
    assert len(run("list", "--format", "markdown").stdout.splitlines()) == 2 + 698
    lines = run("list").stdout.splitlines()
    assert lines[0].split()[:3] == ["id", "method", "venue"]
    assert sum(":" in line.split("  ")[0] for line in lines[1:-2]) == 698
    assert "698 of 698 printed rows" in lines[-2]


def test_a_record_has_every_column_and_null_where_nothing_was_printed() -> None:
    record = next(r for r in found("--method", "hsnet") if r["id"] == "vat-readme:29")
    assert tuple(record) == COLUMNS
    assert [record[f"fold{fold}"] for fold in range(4)] == [67.3, 72.3, 62.0, 63.1]
    assert (record["mean"], record["fb_iou"], record["er_mean"]) == (66.2, 77.6, None)
    assert (record["source_place"], record["confidence"]) == (
        "Seokju-Cho/Volumetric-Aggregation-Transformer@5534a15",
        "printed",
    )


@pytest.mark.parametrize(
    ("option", "value", "column", "values"),
    [
        ("--method", "HSNet,as*", "method", {"hsnet", "asnet", "asnet-w", "asnet-hm", "asgnet"}),
        ("--dataset", "pascal5i", "dataset", {"pascal5i"}),
        ("--dataset", "coco20i_to_*", "dataset", {"coco20i_to_pascal5i", "coco20i_to_suim"}),
        ("--backbone", "resnet*", "backbone", {"resnet50", "resnet101"}),
        ("--shots", "5", "shot", {5}),
        ("--ways", "2", "way", {2}),
        ("--task", "fscs,cross-domain", "task", {"fscs", "cross-domain"}),
        ("--source", "*-paper", "source", {"ifsl-paper", "ntrenet-paper", "mmt-paper"}),
        ("--venue", "cvpr 2022", "venue", {"CVPR 2022"}),
    ],
)
def test_a_filter_keeps_all_rows_that_fit_and_no_other(option: str, value: str, column: str, values: set[Any]) -> None:
    kept = found(option, value)
    assert {record[column] for record in kept} == values
    assert len(kept) == sum(record[column] in values for record in found())


def test_variants_come_after_a_colon_and_with_the_plain_name() -> None:
    variants = {record["variant"] for record in found("--method", "ntrenet:*")}
    assert "+BGEM" in variants
    assert "" not in variants
    assert {record["variant"] for record in found("--method", "ntrenet")} == {*variants, ""}


def test_published_only_are_the_methods_that_do_not_run_here() -> None:
    status = {record["method"]: record["status"] for record in found()}
    assert {method for method, its in status.items() if its == "weights"} == {
        "hsnet", "asnet", "asnet-hm", "panet", "pfenet", "bam", "asgnet", "mlc", "mmnet", "cyctr", "dcama", "ppnet",
        "repri", "rpmm", "sccan", "scl", "ssp", "gfsam", "matcher", "persam", "seggpt", "hdmnet", "vat", "fptrans",
    }  # fmt: skip
    assert set(status.values()) == {"weights", "no weights", "published-only"}
    only = {method for method, its in status.items() if its == "published-only"}
    assert only == {method for method in status if implementation_of(method) is None}
    assert {"sagnn", "dan"} < only
    assert not {"ntrenet", "canet", "hsnet"} & only
    assert "published-only: not implemented here" in run("show", "sagnn").stdout
    assert "no weights: implemented here, but no released weights" in run("show", "ntrenet").stdout


BACKBONES = {record.id for record in _shipped() if record.kind == "backbone"}


def test_released_weights_are_those_of_the_registry() -> None:
    of_registry: dict[str, list[str]] = {}
    for record in _shipped():
        if record.kind == "method" and record.url:
            key = "asnet-w" if record.method == "asnet" and record.weak else record.method
            of_registry.setdefault(key, []).append(record.id)
    released = released_weights()
    of_methods = {name: ids for name, ids in released.items() if not set(ids) <= BACKBONES}
    assert of_methods == of_registry
    # Methods without training: the networks of their default backbone.
    assert {name: released[name] for name in ("gfsam", "persam")} == {
        "gfsam": ["dinov2-vitl14", "sam-vith"],
        "persam": ["sam-vith"],
    }
    assert "prototype" not in released


@pytest.mark.parametrize(
    ("method", "said"),
    [
        ("ntrenet:*", {"pfenet: photos padded to 473"}),
        ("ppnet:*", {"panet: 5 runs of 1000 episodes at 417x417"}),
        ("sccan:hsnet resize", {"sccan-squashed: SCCAN's evaluation"}),
        ("dcama", {"dcama: HSNet's 1000 episodes, photos squashed to 384x384"}),
        (
            "hsnet:*",
            {
                "not known: the SCCAN README evaluated the method again",
                "not known: the HM poster (ECCV 2022) evaluated the method again",
                "not known for this number; other numbers of the method are by hsnet",
            },
        ),
        ("scl", {"not known: that of the MMT paper (CVPR 2022), whose code is not released"}),
        ("cwt", {"not known: no released code of the method was read"}),
    ],
)
def test_how_a_number_was_evaluated_or_why_that_is_not_known(method: str, said: set[str]) -> None:
    shown = " ".join(run("show", method).stdout.split())
    protocols = [text.split(" confidence ")[0] for text in shown.split(" protocol ")[1:]]
    assert {start for start in said for text in protocols if text.startswith(start)} == said
    assert all(any(text.startswith(start) for start in said) for text in protocols), protocols


def test_no_method_whose_release_was_read_is_told_to_have_none() -> None:
    read = {record["method"] for record in found() if record["protocol"]}
    for method in sorted(read):
        assert "no released code of the method was read" not in " ".join(run("show", method).stdout.split()), method


def test_a_row_is_shown_with_all_that_is_known_of_it() -> None:
    shown = " ".join(run("show", "ifsl-readme:26").stdout.split())
    for said in (
        "ASNet (CVPR 2022) paper Integrative Few-Shot Learning for Classification and Segmentation",
        "code dahyun-kang/ifsl",
        "rows 1 ifsl-readme:26 ASNet, PASCAL-5i, fss, 1-way 5-shot, ResNet101",
        "source iFSL README, fs-s/README.md",
        "official repository: dahyun-kang/ifsl@d0b0c0d",
        "protocol ifsl-fss: 1000 fixed episodes",
        "confidence printed",
    ):
        assert said in shown


def test_a_method_is_shown_with_every_row_notes_of_wrong_means_included() -> None:
    shown = run("show", "asnet").stdout
    ids = [record["id"] for record in found("--method", "asnet")]
    assert all(f"\n{identifier}  " in shown for identifier in ids)
    assert f"rows        {len(ids)}" in shown
    assert "not the mean of the printed folds" in " ".join(shown.split())
    assert max(map(len, run("show", "*").stdout.splitlines())) <= 100


def test_methods_and_ids_may_be_mixed_and_no_row_comes_twice() -> None:
    answer = run("show", "vat-readme:29,cyctr", "vat-readme:29", "--source", "cyctr-readme", "--format", "json")
    ids = [record["id"] for record in json.loads(answer.stdout)]
    assert ids[0] == "vat-readme:29"
    assert len(ids) == len(set(ids)) == 1 + sum(row.source == "cyctr-readme" for row in publications().rows)


@pytest.mark.parametrize(
    ("arguments", "kind", "says"),
    [
        (["show", "hsnot"], UsageError, "unknown method 'hsnot'; did you mean hsnet"),
        (["show", "vat-readme:51"], UsageError, "vat-readme has rows vat-readme:1 to vat-readme:50"),
        (["show", "vat-redme:1"], UsageError, "unknown source 'vat-redme'; did you mean vat-readme"),
        (["list", "--dataset", "pascal"], UsageError, "did you mean pascal5i"),
        (["list", "--backbone", "resnet18"], UsageError, "did you mean resnet101 or resnet50"),
        (["list", "--task", "fsss"], UsageError, "did you mean fss"),
        (["list", "--source", "hm"], UsageError, "unknown source 'hm'"),
        (["list", "--venue", "CVPR 2032"], UsageError, "cvpr 2023?"),
        (["list", "--shots", "x"], UsageError, "--shots takes counts"),
        (["list", "--method", "canet", "--shots", "9"], MissingError, "no row was printed with methods canet, shots 9"),
    ],
)
def test_mistakes_name_what_is_near_and_exit_with_2(arguments: list[str], kind: type, says: str) -> None:
    answer = run(*arguments)
    assert isinstance(answer.exception, kind)
    assert says in str(answer.exception)
    assert isinstance(answer.exception, FSSBenchError)
    assert answer.exception.exit_code == 2
    assert answer.exception.remedy
    assert answer.stdout == ""


def test_bibtex_is_written_for_all_methods_or_some(tmp_path: Path) -> None:
    assert run("bibtex", "--method", "hsnet").stdout.startswith("@inproceedings{hsnet2021,\n")
    assert run("bibtex", "--out", str(tmp_path / "fss.bib")).exit_code == 0
    assert (tmp_path / "fss.bib").read_text().count("\n@") > 20
    assert isinstance(run("bibtex", "--method", "hsnot").exception, UsageError)
