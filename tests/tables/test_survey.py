"""The tables of the survey, printed again by `fssbench table`, hold the cells that were compiled from its slides."""

from __future__ import annotations

import csv
import json
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from fssbench.publications.rows import ER_FOLDS, FOLDS
from fssbench.tables import Comparison, compare, render
from fssbench.tables.ablation import Ablation, ablation
from fssbench.tables.entry import rounded

# Column of the compiled files and head of the re-printed table.
_HEADS = {**{fold: f"fold-{n}" for n, fold in enumerate(FOLDS)}, "mean": "mean"}
FSS = {**{column: f"{{shot}} {head}" for column, head in _HEADS.items()}, "fb_iou": "{shot} FB-IoU"}
FSCS = {column: f"mIoU {head}" for column, head in _HEADS.items()} | {
    er: f"exact ratio {head}" for er, head in zip((*ER_FOLDS, "er_mean"), _HEADS.values(), strict=True)
}

TABLES = {
    "seed_ifsl_fscs_pascal5i": ("iFSL paper (CVPR 2022)", "fscs", 10),
    "seed_ifsl_fscs_coco20i": ("iFSL paper (CVPR 2022)", "fscs", 8),
    "seed_ifsl_fscs_ablation": ("iFSL paper (CVPR 2022)", "fscs", 4),
    "seed_ifsl_fss_pascal5i": ("iFSL paper (CVPR 2022)", "fss", 18),
    "seed_ifsl_fss_coco20i": ("iFSL paper (CVPR 2022)", "fss", 14),
    "seed_ntrenet_pascal5i": ("NTRENet paper (CVPR 2022)", "fss", 8),
    "seed_ntrenet_coco20i": ("NTRENet paper (CVPR 2022)", "fss", 23),
    "seed_ntrenet_ablation": ("NTRENet paper (CVPR 2022)", "fss", 4),
    "seed_mmt_suim": ("MMT paper (CVPR 2022)", "fss", 8),
    "seed_mmt_coco2pascal_5shot": ("MMT paper (CVPR 2022)", "fss", 10),
    "seed_mmt_ablation": ("MMT paper (CVPR 2022)", "fss", 5),
}


WHOLE = {"asnet:full model": "asnet", "ntrenet:+bgem+doem+pcl": "ntrenet"}
"""The last rows of ablation tables, which the compiled files call by the method's name."""


@cache
def printed_again(dataset: str, layout: Any) -> list[dict[str, Any]]:
    """Return every printed result of a data set as the drawn table has it, with the cells of its own shot."""
    asked = Comparison(("*", "*:*"), (dataset,), source="published", layout=layout, all_sources=True)
    found = []
    for table in json.loads(render(compare(asked), "json")):
        for group in table["groups"]:
            for row in group["rows"]:
                for result in row["results"]:
                    shot = f"{result['shot']}-shot" if result["shot"] else "shot not printed"
                    heads = FSS if layout == "fss" else FSCS
                    cells = {c: row["cells"].get(head.format(shot=shot), "-") for c, head in heads.items()}
                    found.append({**result, "name": row["name"], "group": group["title"], "cells": cells})
    return found


def test_every_table_of_the_survey_is_held_against_its_file(shared: Path) -> None:
    assert {path.stem for path in (shared / "reference/published").glob("seed_*.csv")} == set(TABLES)


@pytest.mark.parametrize("name", TABLES)
def test_a_table_of_the_survey_is_printed_again_cell_by_cell(name: str, shared: Path) -> None:
    source, layout, count = TABLES[name]
    with (shared / "reference/published" / f"{name}.csv").open(newline="") as file:
        compiled = list(csv.DictReader(file))
    assert len(compiled) == count
    columns = FSS if layout == "fss" else FSCS
    expected = Counter(
        (
            _name(row["method"]),
            row["backbone"].lower(),
            row["way"],
            row["shot"],
            *(rounded(row[column]) if row[column] else "-" for column in columns),
        )
        for row in compiled
    )
    again = Counter(
        (
            WHOLE.get(_name(result["name"]), _name(result["name"])) if "ablation" in name else _name(result["name"]),
            result["backbone"] or "",
            str(result["way"] or ""),
            str(result["shot"] or ""),
            *(result["cells"][column] for column in columns),
        )
        for dataset in {row["dataset"] for row in compiled}
        for result in printed_again(dataset, layout)
        if result["source"] == source
    )
    assert expected - again == Counter()


@pytest.mark.parametrize("method", ["asnet", "ntrenet", "mmt"])
def test_the_ablation_tables_hold_every_number_of_their_file(method: str, shared: Path) -> None:
    name = {"asnet": "seed_ifsl_fscs_ablation"}.get(method, f"seed_{method}_ablation")
    columns = ("fold0", "fold1", "fold2", "fold3", "mean", "er_mean", "precision")
    with (shared / "reference/published" / f"{name}.csv").open(newline="") as file:
        expected = [[rounded(row[c]) for c in columns if row[c]] for row in csv.DictReader(file)]
    tables = ablation(Ablation(method, source="published"))
    again = [[cell.text for cell in row.cells] for table in tables for group in table.groups for row in group.rows]
    assert again == expected


def _name(name: str) -> str:
    """Return a name without what the compiled files and the tables write differently: case, space after a colon."""
    flat = name.lower().replace(": ", ":")
    return "(name hidden)" if flat.startswith(("unresolved", "(name hidden)")) else flat
