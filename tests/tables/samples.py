"""Results to lay out, made by hand."""

from __future__ import annotations

from fssbench.tables.entry import Entry, Remark


def printed(
    method: str,
    numbers: dict[str, str],
    *,
    shot: int | None = 1,
    backbone: str = "resnet50",
    venue: str = "ICCV 2021",
    source: str = "A paper",
    remarks: tuple[Remark, ...] = (),
    protocol: str = "",
    task: str = "fss",
    competes: bool = True,
    other_folds: bool = False,
) -> Entry:
    return Entry(
        origin="published",
        method=method.lower(),
        label=method,
        venue=venue,
        backbone=backbone,
        dataset="pascal5i",
        task=task,
        protocol=protocol,
        way=1,
        shot=shot,
        line="",
        numbers=numbers,
        source=source,
        competes=competes,
        other_folds=other_folds,
        remarks=remarks,
    )


def folds(*values: str) -> dict[str, str]:
    """Return fold0..fold3, mean and, if there is a sixth value, FB-IoU."""
    columns = ("fold0", "fold1", "fold2", "fold3", "mean", "fb_iou")
    return {column: value for column, value in zip(columns, values, strict=False) if value}


def small() -> list[Entry]:
    """Return two methods on one backbone and a third, whose names try every format, on another."""
    return [
        printed("HSNet", {**folds("64.3", "70.7", "60.3", "60.5", "64.0", "76.7"), "learnable_params": "2.6"}),
        printed("BAM", folds("68.97", "73.59", "67.55", "61.13", "67.81"), venue="CVPR 2022", source="B & C's README"),
        printed(
            "=A_B|<i>50%</i>",
            folds("", "", "", "", "1.25"),
            backbone="vgg16",
            venue="",
            remarks=(Remark("caution", "100% of $x^2$ ~ {y} #1 \\ *"),),
        ),
    ]
