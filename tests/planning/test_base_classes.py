"""Base classes beside the novel one: merged, counted, summarised, and continued after a kill."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import fssbench
from fssbench import evaluate
from fssbench.datasets import open_dataset
from fssbench.datasets.dataset import Dataset
from fssbench.errors import BrokenFileError, UsageError
from fssbench.methods.bam import BAM
from fssbench.methods.base.method import Prediction
from fssbench.protocols.rules import Protocol, protocol
from fssbench.results import Row, load_run
from fssbench.results.progress import Silent
from fssbench.results.rows import frame_of, read_rows
from fssbench.results.scoring import BaseCounts, Counts, label_maps_of, merge_base, score_labels
from tests.engine.stub import NearestColour, Patches, questions, rules

NOVEL = torch.tensor([[9.0, 9.0, 0.0, 0.0, 9.0]])  # the probability of the novel class is .9999, or a half
BASE = np.array([[0, 2, 1, 0, 3]], dtype=np.uint8)
LABEL = np.array([[7, 4, 4, 255, 9]], dtype=np.uint8)


def _prediction() -> Prediction:
    logits = torch.stack([torch.zeros_like(NOVEL), NOVEL])
    return Prediction(logits, logits.argmax(dim=0).to(torch.uint8), torch.tensor([True]), torch.from_numpy(BASE))


def counted(prediction: Prediction, name: str) -> tuple[Counts, BaseCounts | None]:
    its = protocol(name)
    return score_labels(*label_maps_of(prediction, its), LABEL, (7,), (4, 6, 9), its)


@pytest.mark.parametrize(
    ("first", "expected"),
    [("final", [[1, 1, 2, 0, 1]]), ("base", [[1, 3, 2, 0, 4]])],
)
def test_merging_by_hand(first: str, expected: list[list[int]]) -> None:
    merged = merge_base(np.array([[True, True, False, False, True]]), BASE, first)  # type: ignore[arg-type]
    assert merged.dtype == np.uint8
    assert merged.tolist() == expected


def test_apart_by_hand() -> None:
    counts, base = counted(_prediction(), "bam")
    assert (counts.intersection, counts.union) == ((1, 1), (3, 3))  # a tie is background
    # Base class 4 is answered at one of its two pixels, 6 at the other, 9 at its one; the pixel of 255 is left out.
    assert base == ((4, 1, 2, 2), (6, 0, 1, 0), (9, 1, 1, 1))


def test_together_by_hand() -> None:
    counts, base = counted(_prediction(), "bam-gfss")
    assert (counts.intersection[:2], counts.union[:2]) == ((0, 1), (0, 3))
    assert base == ((4, 1, 2, 2), (9, 0, 1, 1))
    counts, base = counted(_prediction(), "bam-gfss-base")
    assert (counts.intersection[:2], counts.union[:2]) == ((0, 1), (0, 1))
    assert base == ((4, 1, 2, 2), (6, 0, 1, 0), (9, 1, 1, 1))


def test_the_novel_class_has_to_be_sure() -> None:
    unsure = replace(_prediction(), logits=_prediction().logits * 0.2)  # a probability of .858
    counts, _ = counted(unsure, "bam-gfss")
    assert counts.intersection[1] == 0
    assert counts.union[1] == 1


def _rows() -> list[Row]:
    def row(episode: int, base: tuple[tuple[int, int, int, int], ...] | None, novel: tuple[int, int]) -> Row:
        class_id = 1 + episode % 2
        return Row(episode, 0, f"p{episode}", (class_id,), (("s",),), (50, novel[0]), (100, novel[1]), (True,), (True,),
                   0.1, base)  # fmt: skip

    return [
        row(0, ((3, 10, 20, 15), (5, 0, 4, 0)), (30, 40)),
        row(1, ((3, 20, 40, 30),), (10, 40)),
        row(2, (), (0, 20)),
    ]


def test_means_by_hand() -> None:
    frame = frame_of(_rows())
    apart = fssbench.summarise(frame, draws=0)
    assert apart.miou == pytest.approx(100 * (30 / 60 + 10 / 40) / 2)
    assert apart.base_miou == pytest.approx(100 * 30 / 60)  # class 5 is in no label
    assert apart.total_miou is None
    assert apart.folds[0].base_classes == (3,)
    assert apart.fb_iou == pytest.approx(50 * (40 / 100 + 150 / 300))
    together = fssbench.summarise(frame, (1, 2, 6), base_classes=(3, 4, 5), generalised=True, draws=0)
    assert together.miou == pytest.approx(100 * (0.5 + 0.25) / 3)
    assert together.base_miou == pytest.approx(100 * 0.5 / 3)
    assert together.total_miou == pytest.approx(100 * (0.5 + 0.25 + 0.5) / 6)
    assert together.fb_iou == pytest.approx(50 * ((40 + 30) / (100 + 64) + 150 / 300))


def test_intervals_of_base_classes_hold_the_mean() -> None:
    generator = np.random.default_rng(0)
    rows: list[Row] = []
    for row in _rows() * 20:
        pixels = int(generator.integers(10, 40))
        rows.append(replace(row, episode=len(rows), query=f"q{len(rows)}", base=((3, pixels, 40, 40),)))
    summary = fssbench.summarise(frame_of(rows), generalised=True)
    assert summary.base_miou is not None
    assert summary.total_miou is not None
    low, high = summary.intervals["base_miou"].low, summary.intervals["base_miou"].high
    assert low < summary.base_miou < high
    assert summary.intervals["total_miou"].low < summary.total_miou < summary.intervals["total_miou"].high


def test_rows_with_and_without_base_classes_do_not_mix() -> None:
    with pytest.raises(UsageError, match="others that do not"):
        fssbench.summarise(frame_of([*_rows(), replace(_rows()[0], episode=3, base=None)]))
    with pytest.raises(UsageError, match="not among its base classes"):
        fssbench.summarise(frame_of(_rows()), base_classes=(3, 4))


def test_rows_without_base_classes_are_as_they_were() -> None:
    frame = evaluate(NearestColour(), Patches(), questions(), protocol=rules()).frame
    summary = fssbench.summarise(frame)
    assert "base" not in frame.columns
    assert summary.base_miou is None
    assert summary.intervals.keys() == {"miou", "fb_iou", "exact_ratio"}


def test_counts_of_base_classes_that_can_not_be(tmp_path: Path) -> None:
    line = {"episode": 0, "fold": 0, "query": "a", "classes": [1], "supports": [["b"]], "intersection": [0, 0],
            "union": [1, 1], "present": [True], "truth": [True], "seconds": 0.1}  # fmt: skip
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(line) + "\n")
    assert read_rows(path)[0].base is None
    path.write_text(json.dumps(line | {"base": [[3, 5, 4, 4]]}) + "\n")
    with pytest.raises(BrokenFileError, match="base class"):
        read_rows(path)


@pytest.fixture(scope="module")
def bam() -> BAM:
    torch.manual_seed(0)
    method = fssbench.build("bam", backbone="small", width=8, base_width=8)
    assert isinstance(method, BAM)
    with torch.no_grad():
        method.get_parameter("learner_base.1.4.weight").mul_(20)
        # The answer becomes sure of one or the other.
        method.get_parameter("gram_merge.weight").copy_(torch.tensor([40.0, 0.0]).view(1, 2, 1, 1))
        method.get_parameter("cls_meta.3.weight").mul_(20)
    return method


def _small(name: str) -> Protocol:
    return replace(protocol(name).on("shapes20i"), input=(64, 64))


@pytest.mark.parametrize("name", ["bam", "bam-gfss", "bam-gfss-base"])
def test_the_engine_counts_what_the_method_answers(name: str, bam: BAM) -> None:
    dataset = open_dataset("shapes20i")
    base_classes = dataset.fold_classes(1, "train")
    episodes = fssbench.episodes(dataset, fold=1, shot=1, protocol="bam-gfss", count=8)
    results = evaluate(bam, dataset, episodes, protocol=_small(name))
    sums: dict[int, list[int]] = defaultdict(lambda: [0, 0])
    seen = set()
    for episode in episodes:
        inputs = [_input(dataset, its) for its in (episode.query, episode.supports[0][0])]
        mask = torch.from_numpy(_nearest(dataset.label(episode.supports[0][0]), episode.classes[0]))
        label = dataset.label(episode.query)
        height, width = label.shape
        # The answer is of the padded square.
        answer = bam.segment(inputs[0], inputs[1][None, None], mask[None, None], size=(max(height, width),) * 2)
        answer = answer.cropped(height, width)
        assert answer.base is not None
        novel = answer.labels.numpy() == 1
        if name != "bam":
            novel = (answer.logits.softmax(dim=0)[1] > 0.9).numpy()
        named = np.array([0, *base_classes])[answer.base.numpy()]
        said = {"bam": named, "bam-gfss": np.where(novel, episode.classes[0], named)}
        merged = said.get(name, np.where((named == 0) & novel, episode.classes[0], named))
        kept = label != 255
        for class_id in base_classes + (() if name == "bam" else episode.classes):
            ours, truth = (merged == class_id) & kept, label == class_id
            sums[class_id][0] += int((ours & truth).sum())
            sums[class_id][1] += int((ours | truth).sum())
            seen |= {class_id} if truth.any() else set()
    ious = {c: 100 * both / max(either, 1) for c, (both, either) in sums.items()}
    base = [ious[c] for c in base_classes]
    summary = results.summary(all_classes=True, draws=0)
    assert any(base), "a test on zeros would show nothing"
    if name == "bam":
        assert summary.base_miou == pytest.approx(sum(base) / len(seen & set(base_classes)))
        assert summary.total_miou is None
    else:
        novel_ious = [ious.get(c, 0.0) for c in dataset.fold_classes(1)]
        assert summary.base_miou == pytest.approx(sum(base) / 15)
        assert summary.miou == pytest.approx(sum(novel_ious) / 5)
        assert summary.total_miou == pytest.approx(sum(base + novel_ious) / 20)


def _input(dataset: Dataset, name: str) -> torch.Tensor:
    from fssbench.protocols.transforms import input_image

    return input_image(dataset.image(name), (64, 64), "opencv-pad")


def _nearest(label: np.ndarray, class_id: int) -> np.ndarray:
    from fssbench.protocols.label_maps import support_mask

    return support_mask(label, class_id, (64, 64), "opencv-pad")


class Breaking(Silent):
    """Breaks the run off after some rows."""

    def __init__(self, rows: int) -> None:
        self.left = rows

    def advance(self, row: Row, run: int = 0) -> None:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


def test_a_generalised_run_broken_off_and_continued_is_the_run_in_one_go(bam: BAM, tmp_path: Path) -> None:
    dataset = open_dataset("shapes20i")
    episodes = fssbench.episodes(dataset, fold=0, shot=1, protocol="bam-gfss", count=6)
    whole = evaluate(bam, dataset, episodes, protocol=_small("bam-gfss"))
    with pytest.raises(KeyboardInterrupt):
        evaluate(bam, dataset, episodes, protocol=_small("bam-gfss"), out=tmp_path / "run", progress=Breaking(2))
    evaluate(bam, dataset, episodes, protocol=_small("bam-gfss"), out=tmp_path / "run", resume=True)
    stored = load_run(tmp_path / "run")
    pd.testing.assert_frame_equal(stored.frame.drop(columns="seconds"), whole.frame.drop(columns="seconds"))
    assert stored.run.folds[0].base_classes == dataset.fold_classes(0, "train")
    record = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert record["total_miou"] == whole.summary().total_miou
    with pytest.raises(UsageError, match=r"protocol\.name"):
        evaluate(bam, dataset, episodes, protocol=_small("bam-gfss-base"), out=tmp_path / "run", resume=True)


def test_a_method_without_base_classes_is_refused() -> None:
    chosen = replace(rules("bam-gfss"), overrides={})
    with pytest.raises(UsageError, match="bam-gfss evaluates base classes too"):
        evaluate(NearestColour(), Patches(), questions(), protocol=chosen)
