"""Draw the documentation's pictures: python docs/pictures.py [segment] [table] [report] [METHOD...]; all without names.

They show shapes20i, which needs no photo. Those of a table and of a report are what a browser shows, and need Chromium.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image as PillowImage
from PIL import ImageChops

import fssbench
from fssbench.cli.method_status import checkpoint_folds
from fssbench.datasets.dataset import Dataset, Image
from fssbench.methods.catalogue import method_info
from fssbench.photos import Segmentation
from fssbench.photos.overlay import overlay

FOLDER = Path(__file__).parent / "pictures"
FLOORS = ("all-foreground", "copy-mask", "nothing", "prototype")
GAP = 8
SIDE = 288
EPISODES = (11, 28, 23)
UNDRAWN = 200  # lines that headless Chromium leaves undrawn at the end of a window
SMALL_GAP, SMALL_SIDE = 4, 168

Labels = npt.NDArray[np.uint8]


def main(names: Sequence[str]) -> None:
    """Write the pictures of some methods, or all pictures."""
    (FOLDER / "methods").mkdir(parents=True, exist_ok=True)
    if not names or "segment" in names:
        # A palette of 256 colours makes the file a third as large.
        segment().quantize(256, dither=PillowImage.Dither.NONE).save(FOLDER / "segment.png", optimize=True)
    if not names or "table" in names:
        table().quantize(32, dither=PillowImage.Dither.NONE).save(FOLDER / "table.png", optimize=True)
    if not names or "report" in names:
        shown = report()
        shown.resize((1100, round(1100 * shown.height / shown.width))).save(
            FOLDER / "report.webp", quality=80, method=6
        )
    for name in [name for name in names if name not in ("segment", "table", "report")] or ([] if names else pictured()):
        method_picture(name).save(FOLDER / "methods" / f"{name}.webp", quality=78, method=6)


def pictured() -> list[str]:
    """Return the methods that have a picture: floors, and those whose weights for shapes20i come with fssbench."""
    shipped = [
        name
        for name in fssbench.list_methods()
        if any(one.dataset == "shapes20i" and one.place == "with fssbench" for one in checkpoint_folds(name))
    ]
    return sorted({*FLOORS, *shipped})


def segment() -> PillowImage.Image:
    """Return supports above queries, as `fssbench segment --overlay` draws them, by ASNet's weights for fold 0."""
    columns = []
    for _, name, photo, mask, query, _ in examples():
        found = predicted("asnet", photo, mask, query, name)
        share = f"{name} {100 * found.shares[0]:.1f} %"
        columns.append(
            (
                overlay(photo, mask.astype(np.uint8), {1: f"support: {name}"}),
                overlay(query, found.labels, {1: share}),
            )
        )
    return sheet(columns, SIDE, GAP)


def table() -> PillowImage.Image:
    """Return the HTML table of `fssbench demo`, as a browser shows it."""
    of_runs = ["table", "--runs", "runs/demo", "--dataset", "shapes20i", "--out", "page.html"]
    return seen_in_a_browser([["demo"], of_runs], 860, 560)


def report() -> PillowImage.Image:
    """Return the first screen of a report of a floor and a method, as a browser shows it."""
    runs = [f"runs/{name}" for name in ("prototype", "hsnet")]
    on = ["--dataset", "shapes20i", "--fold", "0", "--shots", "1", "--quiet"]
    evaluated = [
        ["eval", "--method", Path(run).name, *on, "--out", run, "--save-predictions", f"{run}/predictions"]
        for run in runs
    ]
    return seen_in_a_browser([*evaluated, ["report", *runs, "--episodes", "6", "--out", "page.html"]], 1100, 1250)


def seen_in_a_browser(commands: Sequence[Sequence[str]], width: int, height: int) -> PillowImage.Image:
    """Return what a browser shows of page.html, which the last of some commands of fssbench writes."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        sys.exit("no picture of a page without Chromium")
    style = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--force-device-scale-factor=1.5"]
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
        drawing = [*style, f"--window-size={width},{height + UNDRAWN}", "--screenshot=page.png"]
        for command in (
            *([sys.executable, "-m", "fssbench", *words] for words in commands),
            [browser, *drawing, Path(folder, "page.html").as_uri()],
        ):
            subprocess.run(command, check=True, cwd=folder, env=environment, stdout=subprocess.DEVNULL)
        shot = PillowImage.open(Path(folder, "page.png")).convert("RGB")
    whole = shot.crop((0, 0, shot.width, shot.height - round(1.5 * UNDRAWN)))
    ink = ImageChops.difference(whole, PillowImage.new("RGB", whole.size, whole.getpixel((0, 0)))).getbbox()
    assert ink is not None, "the page is not empty"
    right, bottom = min(whole.width, ink[2] + 20), min(whole.height, ink[3] + 20)
    return whole.crop((max(0, ink[0] - 20), max(0, ink[1] - 20), right, bottom))


def method_picture(method: str) -> PillowImage.Image:
    """Return supports, queries with the truth, and predictions with their IoU, one below the other."""
    columns = []
    for _, name, photo, mask, query, truth in examples():
        labels = predicted(method, photo, mask, query, name).labels == 1
        union = int((labels | truth).sum())
        iou = 100 * int((labels & truth).sum()) / union if union else 100.0
        columns.append(
            (
                overlay(photo, mask.astype(np.uint8), {1: f"support: {name}"}),
                overlay(query, truth.astype(np.uint8), {1: "query: truth"}),
                overlay(query, labels.astype(np.uint8), {1: f"found: IoU {iou:.0f} %"}),
            )
        )
    return sheet(columns, SMALL_SIDE, SMALL_GAP)


def examples() -> list[tuple[Dataset, str, Image, npt.NDArray[np.bool_], Image, npt.NDArray[np.bool_]]]:
    """Return data set, name of the class, support, its mask, query and truth of three episodes of fold 0."""
    dataset = fssbench.open_dataset("shapes20i")
    drawn = fssbench.episodes(dataset, fold=0, way=1, shot=1, protocol="shapes", count=60)
    found = []
    for number in EPISODES:
        episode = drawn[number]
        (label,), support = episode.classes, episode.supports[0][0]
        mask, truth = dataset.label(support) == label, dataset.label(episode.query) == label
        image, query = dataset.image(support), dataset.image(episode.query)
        found.append((dataset, dataset.class_names[label], image, mask, query, truth))
    return found


def predicted(method: str, photo: Image, mask: npt.NDArray[np.bool_], query: Image, name: str) -> Segmentation:
    """Return what a method with its small weights for fold 0 finds in a query."""
    info = method_info(method)
    chosen = {"variant": info.variant_for("fss"), "train_dataset": "shapes20i", "fold": 0}
    if info.backbones:
        chosen["backbone"] = "small"
    found = fssbench.segment(query, photo, mask, name, method=method, **chosen)
    assert isinstance(found, Segmentation)
    return found


def sheet(columns: Sequence[Sequence[bytes]], side: int, gap: int) -> PillowImage.Image:
    """Return pictures next to each other: those of a column one below the other."""
    rows = len(columns[0])
    size = (len(columns) * (side + gap) - gap, rows * (side + gap) - gap)
    whole = PillowImage.new("RGB", size, "white")
    for x, column in enumerate(columns):
        for y, png in enumerate(column):
            tile = PillowImage.open(BytesIO(png)).resize((side, side), PillowImage.Resampling.LANCZOS)
            whole.paste(tile, (x * (side + gap), y * (side + gap)))
    return whole


if __name__ == "__main__":
    main(sys.argv[1:])
