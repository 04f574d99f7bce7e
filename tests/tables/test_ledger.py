"""The ledger in tables: marks, rows without a rank, --strict, and the formats."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import pytest

from fssbench.errors import MissingError
from fssbench.ledger.seen import LEVELS
from fssbench.publications.load import publications
from fssbench.publications.rows import PrintedRow
from fssbench.results.ledger import ledger_of
from fssbench.results.weights_record import Trained, Weights
from fssbench.tables import Comparison, Style, compare, render
from fssbench.tables.entry import Entry
from fssbench.tables.printed import merit
from fssbench.tables.table import Table
from tests.tables.runs import run_of

METHODS = ("hsnet", "bam", "seggpt", "seggpt:*", "gfsam", "repri", "mianet", "dpcn")


def shown(*methods: str, **request: object) -> Table:
    chosen = {"methods": methods, "datasets": ("pascal5i",), "shots": (1,), "source": "published"} | request
    (table,) = compare(Comparison(**chosen), style=Style(intervals=False))  # type: ignore[arg-type]
    return table


def results(table: Table) -> list[Entry]:
    return [entry for group in table.groups for row in group.rows for entry in row.entries]


def notes_of(table: Table, label: str) -> list[str]:
    texts = {note.mark: note.text for note in table.footnotes}
    rows = [row for group in table.groups for row in group.rows if row.label == label]
    return [texts[mark] for row in rows for mark in row.marks]


@pytest.fixture(scope="module")
def table() -> Table:
    return shown(*METHODS)


def test_rows_are_marked_by_what_sets_them_apart(table: Table) -> None:
    assert any("removed from its training, but not from its base" in text for text in notes_of(table, "BAM"))
    assert any("fitted to the support and query" in text for text in notes_of(table, "RePRI"))
    assert any("is given names of classes" in text for text in notes_of(table, "MIANet"))
    assert any("no source that was read says" in text for text in notes_of(table, "DPCN"))
    assert any("not trained on base classes" in text for text in notes_of(table, "GF-SAM"))
    assert not any("removed" in text or "fitted" in text for text in notes_of(table, "HSNet"))
    whole = " ".join(note.text for note in table.footnotes if not note.mark)
    assert "Where no letter says otherwise" in whole
    assert "ImageNet-1k (class tags), which names all test classes" in whole


def test_what_all_rows_have_in_common_is_not_marked() -> None:
    alike = shown("hsnet", "pfenet", backbones=("resnet50",))
    assert not any(remark.kind == "ledger" for entry in results(alike) for remark in entry.remarks)
    assert not any("Where no letter" in note.text for note in alike.footnotes)


def test_no_row_that_differs_is_ranked_without_a_mark(table: Table) -> None:
    for group in table.groups:
        ranked = [row for row in group.rows if any(cell.emphasis for cell in row.cells)]
        entries = [row.entries[0] for row in ranked]
        for fact in ("training", "novel_images", "adapts", "given"):
            if len({getattr(entry.facts, fact) for entry in entries}) > 1:
                unmarked = {
                    getattr(entry.facts, fact) for entry in entries if all(r.kind != "ledger" for r in entry.remarks)
                }
                assert len(unmarked) <= 1, (group.title, fact)


def test_what_has_seen_masks_of_the_test_classes_is_not_ranked(table: Table) -> None:
    assert {entry.label for entry in results(table) if not entry.competes} == {"SegGPT"}
    (crossed,) = compare(
        Comparison(methods=("repri",), datasets=("coco20i_to_pascal5i",), shots=(1,), source="published")
    )
    assert [entry.competes for entry in results(crossed)] == [False]
    assert any("trained on masks of car, cat" in note.text for note in crossed.footnotes)


def test_strict_keeps_what_has_not_seen_the_test_classes_and_names_the_rest() -> None:
    strict = shown(*METHODS, strict="masks")
    assert {entry.label for entry in results(strict)} == {"HSNet", "BAM", "RePRI", "MIANet"}
    assert all(entry.seen and entry.seen.masks == () for entry in results(strict))
    assert "SegGPT (all test classes)" in strict.left_out
    assert "not stated: DPCN, GF-SAM, HSNet (backbone not printed)" in strict.left_out
    assert strict.left_out in {note.text for note in strict.footnotes}
    assert not any("No number here of" in note.text and "gfsam" in note.text for note in strict.footnotes)


def test_where_nothing_is_left_the_rows_are_named() -> None:
    assert LEVELS == ("masks", "labels", "images")
    with pytest.raises(MissingError, match=r"no row is left: Left out by --strict, .*HSNet \(all test classes\)"):
        shown("hsnet", backbones=("resnet50",), strict="labels")


def test_csv_and_json_have_the_ledger(table: Table) -> None:
    lines = {line["name"]: line for line in csv.DictReader(io.StringIO(render([table], "csv")))}
    assert lines["BAM"]["novel_images"] == "removed in part"
    assert lines["DPCN"]["training"] == lines["DPCN"]["seen_masks"] == "not stated"
    assert lines["GF-SAM"]["pretraining"] == "lvd-142m, sa-1b"
    assert lines["RePRI"]["adapts"] == "support and query"
    found = json.loads(render([table], "json"))[0]["groups"]
    ledgers = {row["name"]: row["results"][0]["ledger"] for group in found for row in group["rows"]}
    assert ledgers["BAM"]["sources"]["novel_images"].startswith("chunbolang/BAM@c0f935c")
    assert ledgers["SegGPT"]["seen"]["masks"][:2] == ["aeroplane", "bicycle"]
    assert ledgers["DPCN"]["training"] is None


def test_a_sound_source_of_the_authors_is_never_passed_over_for_anothers() -> None:
    known = publications()
    groups: dict[tuple[object, ...], list[PrintedRow]] = {}
    for row in known.rows:
        result = (row.method, row.variant, row.dataset, row.task, row.backbone, row.way, row.shot)
        groups.setdefault(result, []).append(row)

    def is_sound_and_own(row: PrintedRow) -> bool:
        source = known.sources[row.source]
        return row.method in source.own and not source.superseded and row.confidence != "uncertain"

    best = {result: max(rows, key=lambda row: merit(known, row)) for result, rows in groups.items()}
    passed_over = [
        r for r, rows in groups.items() if any(map(is_sound_and_own, rows)) and not is_sound_and_own(best[r])
    ]
    assert passed_over == []
    assert sum(len(rows) > 1 for rows in groups.values()) > 50


def test_a_run_has_the_facts_of_its_weights() -> None:
    run = run_of(dataset="pascal5i")

    def with_weights(weights: Weights) -> tuple[object, ...]:
        facts, seen = ledger_of(replace(run, folds=tuple(replace(fold, weights=weights) for fold in run.folds)))
        return facts.training, facts.novel_images, facts.given, seen.masks

    assert with_weights(Weights("checkpoint", "0" * 64)) == (None, None, ("masks",), None)
    assert with_weights(Weights("random")) == ("none", "none", ("masks",), ())
    assert with_weights(Weights("predictions", "0" * 64)) == (None, None, None, None)
    released = Weights("checkpoint", "0" * 64, checkpoint="hsnet-resnet50-pascal5i-fold0")
    mine = Trained("pascal5i", 0, ("bird", "aeroplane"), "removed", "base classes")
    assert with_weights(replace(released, trained=mine))[:2] == ("base masks", "removed")
    assert "aeroplane" in str(with_weights(replace(released, trained=mine))[3])
    theirs = Trained("pascal5i", 0, None, released=True)
    assert with_weights(replace(released, trained=theirs)) == ("base masks", "kept", ("masks",), ())
