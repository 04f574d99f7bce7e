"""The printed numbers: complete, well-formed, and as the sources print them."""

from __future__ import annotations

import csv
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import fssbench
from fssbench.errors import BrokenFileError, MissingError
from fssbench.files import shipped
from fssbench.publications.load import publications
from fssbench.publications.reading import read_publications
from fssbench.publications.rows import FRAME_COLUMNS, NUMBERS, PrintedRow

FOLDER = shipped("benchmarks/published")

# (source, method, variant, dataset, backbone, shot): the printed mean is not that of the printed folds.
KNOWN_DISAGREEMENTS = {
    ("ifsl-paper", "asnet", "", "pascal5i", "resnet50", 5),
    ("ifsl-readme", "asnet", "", "pascal5i", "resnet50", 5),
    ("ntrenet-paper", "asgnet", "", "coco20i", "resnet50", 1),
    ("ssp-readme", "ssp", "HSNet evaluation", "coco20i", "resnet101", 5),
    ("hm-readme", "hsnet", "re-trained by HM", "pascal5i", "resnet50", 1),
    ("pmms-readme", "rpmm", "", "pascal5i", "resnet50", 5),
    ("pemp-readme", "rpmm", "", "pascal5i", "resnet50", 5),
    ("diffews-page", "diffews", "trained for N shots", "coco20i", "stable-diffusion-2.1", 1),
    ("hmnet-page", "pfenet", "", "coco20i", "resnet50", 1),
}


def _key(row: PrintedRow) -> tuple[object, ...]:
    return (row.source, row.method, row.variant, row.dataset, row.backbone, row.shot)


def _means(row: PrintedRow) -> list[tuple[float, float]]:
    """Return (mean of folds, printed mean) of mIoU and exact ratio, where both are printed."""
    pairs = []
    for prefix, mean in (("fold", "mean"), ("er_fold", "er_mean")):
        folds = [row.numbers.get(f"{prefix}{fold}") for fold in range(4)]
        if None not in folds and mean in row.numbers:
            pairs.append((sum(float(fold) for fold in folds if fold) / 4, float(row.numbers[mean])))
    return pairs


def test_every_printed_mean_is_the_mean_of_its_folds_but_for_nine() -> None:
    rows = publications().rows
    assert {_key(row) for row in rows if row.mean_disagrees()} == KNOWN_DISAGREEMENTS
    checked = 0
    for row in rows:
        for of_folds, printed in _means(row):
            checked += 1
            if _key(row) not in KNOWN_DISAGREEMENTS:
                assert abs(of_folds - printed) <= 0.1 + 1e-9, row
    assert checked == 451


def test_the_note_of_a_row_says_when_its_mean_disagrees() -> None:
    for row in publications().rows:
        assert ("not the mean of the printed folds" in row.note) == row.mean_disagrees()


# The names here of backbones that were compiled under other names.
_BACKBONES = {"dinov2-vit-l14+sam-vit-h": "dinov2-vitl14+sam-vith", "dinov3-vit-l16": "dinov3-vitl16"}


def compiled_rows(path: Path) -> list[tuple[str, ...]]:
    with path.open(newline="") as file:
        return [
            (
                row["dataset"],
                row["way"],
                row["shot"],
                _BACKBONES.get(row["backbone"], row["backbone"]),
                *(row[n].removesuffix("M").strip() for n in NUMBERS),
            )
            for row in csv.DictReader(file)
        ]


def test_each_row_is_there_as_it_was_compiled(shared: Path) -> None:
    folder = shared / "reference/published"
    later = {path.stem: compiled_rows(path) for path in sorted((folder / "later").glob("*.csv"))}
    paths = [path for path in sorted(folder.glob("*.csv")) if path.name != "checkpoints.csv"]
    own = [
        (
            row.source,
            row.dataset,
            str(row.way or ""),
            str(row.shot or ""),
            row.backbone,
            *(row.numbers.get(n, "") for n in NUMBERS),
        )
        for row in publications().rows
    ]
    assert sorted(row[1:] for row in own if row[0] not in later) == sorted(
        r for path in paths for r in compiled_rows(path)
    )
    for source, compiled in later.items():
        assert sorted(row[1:] for row in own if row[0] == source) == sorted(compiled), source


def test_the_frame_has_a_row_per_printed_result_with_its_source() -> None:
    frame = fssbench.published()
    assert tuple(frame.columns) == FRAME_COLUMNS
    assert len(frame) == 698
    row = frame[
        (frame.method == "hsnet") & (frame.dataset == "pascal5i") & (frame.backbone == "resnet101") & (frame.shot == 1)
        & (frame.source == "vat-readme")
    ]  # fmt: skip
    assert row[["fold0", "fold1", "fold2", "fold3", "mean", "fb_iou"]].to_numpy().tolist() == [
        [67.3, 72.3, 62.0, 63.1, 66.2, 77.6]
    ]
    assert row.iloc[0].venue == "ICCV 2021"
    assert row.iloc[0].source_venue == "ECCV 2022"
    assert str(frame.shot.dtype) == "Int64"
    assert frame.shot.isna().sum() == 8
    assert (frame["mean"].dropna().between(0, 100)).all()


def test_every_method_and_source_is_used() -> None:
    known = publications()
    assert {row.method for row in known.rows} == set(known.methods)
    assert {row.source for row in known.rows} == set(known.sources)
    assert {row.protocol for row in known.rows} - {""} == set(known.protocols)


def test_a_second_decimal_of_zeros_is_padding_and_does_not_narrow_the_tolerance() -> None:
    row = next(r for r in publications().rows if r.source == "mianet-page" and r.method == "pfenet")
    numbers = {"fold0": "61.70", "fold1": "69.50", "fold2": "55.40", "fold3": "56.30", "mean": "60.80"}
    padded = PrintedRow(**{**vars(row), "numbers": numbers})
    real = PrintedRow(**{**vars(row), "numbers": {**numbers, "fold0": "61.71"}})
    assert not padded.mean_disagrees()
    assert real.mean_disagrees()


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copytree(FOLDER, tmp_path / "published")
    return tmp_path / "published"


@pytest.mark.parametrize(
    ("column", "value", "says"),
    [
        ("fold1", "6O.2", "'6O.2' is not a number"),
        ("mean", "161.2", "percent above 100"),
        ("shot", "0", "not a count"),
        ("method", "hsnett", "is none of"),
        ("role", "", "is none of"),
        ("source", "vat-readme", "is none of"),
        ("confidence", "sure", "is none of"),
        ("dataset", "", "empty"),
        ("learnable_params", "2.6 M", "is not a number"),
    ],
)
def test_one_bad_cell_names_file_line_and_column(copy: Path, column: str, value: str, says: str) -> None:
    path = copy / "bam-readme.csv"
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    rows[2][column] = value
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    with pytest.raises(BrokenFileError) as caught:
        read_publications(copy)
    assert f"bam-readme.csv, line 4, column {column}: " in caught.value.message
    assert says in caught.value.message


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("bam-readme.csv", "method,mean\nbam,64.4\n", "bam-readme.csv, line 1: the columns are not"),
        ("bam-readme.csv", b"\xff\xfe", "bam-readme.csv is not a CSV file"),
        ("sources.toml", "[bam-readme\n", "sources.toml is not TOML"),
        ("methods.toml", "[hsnet]\nname = 'HSNet'\n", "methods.toml, [hsnet]: missing 2 required"),
        ("methods.toml", "[hsnet]\nnome = 'HSNet'\n", "methods.toml, [hsnet]: unexpected nome"),
        ("methods.toml", "[hsnet]\nname = 3\n", "methods.toml, [hsnet]: name is not what it should be"),
        ("methods.toml", "hsnet = 3\n", "methods.toml, [hsnet] is not a table"),
    ],
)
def test_a_damaged_file_is_named(copy: Path, name: str, text: str | bytes, says: str) -> None:
    (copy / name).write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(BrokenFileError) as caught:
        read_publications(copy)
    assert says in caught.value.message


def test_a_row_with_too_few_cells_is_named(copy: Path) -> None:
    with (copy / "bam-readme.csv").open("a") as file:
        file.write("bam,,result\n")
    with pytest.raises(BrokenFileError, match=r"bam-readme\.csv, line 18: not 26 cells"):
        read_publications(copy)


@pytest.mark.parametrize("name", ["bam-readme.csv", "sources.toml"])
def test_a_missing_file_is_named(copy: Path, name: str) -> None:
    (copy / name).unlink()
    with pytest.raises(MissingError, match=name):
        read_publications(copy)


def test_reading_needs_neither_torch_nor_pandas() -> None:
    code = (
        "import sys, fssbench.publications.load as p; p.publications(); print({'torch', 'pandas'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
