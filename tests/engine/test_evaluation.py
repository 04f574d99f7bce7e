"""The loop: which episodes are evaluated, at which size they are counted, what is kept after an interruption."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
import torch

from fssbench import evaluate
from fssbench.engine import loop
from fssbench.engine import order as work
from fssbench.episode import Episode
from fssbench.errors import BrokenFileError, UsageError
from fssbench.planning.settings import Settings
from fssbench.protocols.label_maps import nearest_label
from fssbench.results import Row, load_run
from fssbench.results.derived import frame_of_run
from fssbench.results.progress import PlainLines, Silent
from tests.engine.stub import NearestColour, Patches, questions, rules


def counted(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.drop(columns="seconds")


class Breaking(Silent):
    """Breaks the run off after some rows."""

    def __init__(self, rows: int) -> None:
        self.left = rows

    def advance(self, row: Row, run: int = 0) -> None:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


def test_a_row_per_episode_with_its_question():
    episodes = questions(way=2, shot=2, count=5)
    frame = evaluate(NearestColour(2, 2), Patches(), episodes, protocol=rules("ifsl-fscs")).frame
    assert frame["episode"].tolist() == list(range(5))
    assert frame["query"].tolist() == [e.query for e in episodes]
    assert frame["classes"].tolist() == [e.classes for e in episodes]
    assert frame["supports"].tolist() == [e.supports for e in episodes]
    assert all(type(n) is int for row in frame["union"] for n in row)
    assert all(len(row) == 3 for row in frame["intersection"])
    assert (frame["seconds"] > 0).all()


@pytest.mark.parametrize(("size", "expected"), [("original", None), ("input", (24, 24))])
def test_iou_is_counted_at_the_size_of_the_protocol(size: str, expected: tuple[int, int] | None):
    dataset = Patches()
    chosen = rules().at("input") if size == "input" else rules()
    frame = evaluate(NearestColour(radius=9.0), dataset, questions(), protocol=chosen).frame
    for row in frame.itertuples():
        label = dataset.label(row.query)
        label = label if expected is None else nearest_label(label, expected)
        # Everything is foreground here, so the union is every counted pixel: all outside the ignore region.
        assert row.union == ((label != 255).sum() - (label == row.classes[0]).sum(), (label != 255).sum())
        assert row.intersection == (0, (label == row.classes[0]).sum())


def test_the_rim_counts_where_the_protocol_says_so():
    dataset = Patches()
    frame = evaluate(NearestColour(radius=9.0), dataset, questions(), protocol=rules("ifsl-fscs")).frame
    assert [row.union[1] for row in frame.itertuples()] == [dataset.label(q).size for q in frame["query"]]


def test_presence_is_a_matter_of_the_original_label():
    class OnePixel(Patches):
        def label(self, name: str) -> np.ndarray:
            label = super().label(name)
            label[1, 1] = 3  # falls between the pixels that the resize takes
            return label

    dataset = OnePixel()
    assert not (nearest_label(dataset.label("p0"), (9, 9)) == 3).any()
    episodes = [Episode("p0", (3,), (("p2",),), 1)]
    small = rules().at("input")
    frame = evaluate(NearestColour(), dataset, episodes, protocol=small).frame
    assert frame["truth"].tolist() == [(True,)]
    frame = evaluate(NearestColour(), Patches(), episodes, protocol=small).frame
    assert frame["truth"].tolist() == [(False,)]


def test_the_answer_is_that_of_segment():
    from fssbench.protocols.label_maps import support_mask
    from fssbench.protocols.transforms import input_image

    dataset, method, size = Patches(), NearestColour(2, 2).eval(), (24, 24)
    episodes = questions(way=2, shot=2, count=4)
    frame = evaluate(method, dataset, episodes, protocol=rules("ifsl-fscs")).frame
    for episode, row in zip(episodes, frame.itertuples(), strict=True):
        images = [[input_image(dataset.image(n), size) for n in names] for names in episode.supports]
        masks = [
            [torch.from_numpy(support_mask(dataset.label(n), c, size)) for n in names]
            for c, names in zip(episode.classes, episode.supports, strict=True)
        ]
        label = dataset.label(episode.query)
        prediction = method.segment(
            input_image(dataset.image(episode.query), size),
            torch.stack([torch.stack(shots) for shots in images]),
            torch.stack([torch.stack(shots) for shots in masks]),
            label.shape,
        )
        found = prediction.labels.numpy()
        for n, class_id in enumerate(episode.classes, 1):
            assert row.intersection[n] == ((found == n) & (label == class_id)).sum()
            assert row.union[n] == ((found == n) | (label == class_id)).sum()
        assert row.present == tuple(prediction.present.tolist())


def test_the_order_of_work_is_free(monkeypatch: pytest.MonkeyPatch):
    straight = evaluate(NearestColour(), Patches(), questions(), protocol=rules())
    order = work.order_of_work
    monkeypatch.setattr(work, "order_of_work", lambda *episodes: order(*episodes)[::-1])
    back = evaluate(NearestColour(), Patches(), questions(), protocol=rules())
    pd.testing.assert_frame_equal(counted(straight.frame), counted(back.frame))


@pytest.mark.parametrize("kept", [0, 30_000, 1 << 30])
@pytest.mark.parametrize("workers", [1, 2, 5])
@pytest.mark.parametrize("batch", [1, 5])
def test_the_rows_are_the_same_however_many_work_and_however_much_they_keep(workers: int, kept: int, batch: int):
    episodes = questions(shot=2)
    straight = evaluate(NearestColour(1, 2), Patches(), episodes, protocol=rules())
    settings = Settings(feature_cache=kept, batch_size=batch, workers=workers - 1)
    parts = [range(first, len(episodes), workers) for first in range(workers)]
    rows = [
        row
        for part in parts
        for row in loop.rows_of(
            NearestColour(1, 2).eval(), Patches(), episodes, rules(), part, torch.device("cpu"), settings=settings
        )
    ]
    pd.testing.assert_frame_equal(counted(straight.frame), counted(frame_of_run(rows, straight.run)))


def test_an_image_used_twice_in_an_episode_is_encoded_once():
    method = NearestColour(1, 3)
    episodes = [Episode("p0", (1,), (("p3", "p6", "p3"),), 1)]
    evaluate(method, Patches(), episodes, protocol=rules())
    assert method.encoded == 3


def test_limit_asks_the_first():
    whole = evaluate(NearestColour(), Patches(), questions(), protocol=rules())
    part = evaluate(NearestColour(), Patches(), questions(), protocol=rules(), limit=4)
    pd.testing.assert_frame_equal(counted(whole.frame.iloc[:4]), counted(part.frame))
    assert (whole.missing, part.missing) == (0, 0)
    assert len(evaluate(NearestColour(), Patches(), questions(), protocol=rules(), limit=99).frame) == 12


def test_the_protocol_of_the_list_is_the_default():
    run = evaluate(NearestColour(), Patches(), questions(count=1)).run
    assert (run.protocol.name, run.protocol.input, run.protocol.score_at) == ("shapes", (192, 192), "original")


def test_a_run_broken_off_and_continued_is_the_run_in_one_go(tmp_path: Path):
    whole = evaluate(NearestColour(), Patches(), questions(), protocol=rules(), out=tmp_path / "whole")
    out = tmp_path / "parts"
    for rows in (3, 5):
        with pytest.raises(KeyboardInterrupt):
            evaluate(
                NearestColour(), Patches(), questions(), protocol=rules(), out=out, resume=True, progress=Breaking(rows)
            )
    assert (len(load_run(out).frame), load_run(out).missing) == (8, 4)
    assert not (out / "summary.json").exists()
    parts = evaluate(NearestColour(), Patches(), questions(), protocol=rules(), out=out, resume=True)
    pd.testing.assert_frame_equal(counted(whole.frame), counted(parts.frame))
    pd.testing.assert_frame_equal(load_run(out).frame, parts.frame)
    assert (out / "summary.json").read_text() == (tmp_path / "whole" / "summary.json").read_text()
    assert len(load_run(out).run.starts) == 3


def test_a_finished_run_continued_asks_nothing(tmp_path: Path):
    first = evaluate(NearestColour(), Patches(), questions(), protocol=rules(), out=tmp_path / "run")
    method = NearestColour()
    again = evaluate(method, Patches(), questions(), protocol=rules(), out=tmp_path / "run", resume=True)
    assert method.encoded == 0
    pd.testing.assert_frame_equal(first.frame, again.frame)


def test_a_broken_photo_stops_the_run_and_keeps_what_was_answered(tmp_path: Path):
    out = tmp_path / "run"
    with pytest.raises(BrokenFileError, match=r"p11\.jpg is cut off") as stop:
        evaluate(NearestColour(), Patches(broken="p11"), questions(), protocol=rules(), out=out)
    count = len(load_run(out).frame)
    assert 0 < count < 12
    assert stop.value.__notes__ == [f"{count} evaluated episodes are kept in {out}; resume continues after them"]
    mended = evaluate(NearestColour(), Patches(), questions(), protocol=rules(), out=out, resume=True)
    whole = evaluate(NearestColour(), Patches(), questions(), protocol=rules())
    pd.testing.assert_frame_equal(counted(mended.frame), counted(whole.frame))


def test_a_run_that_answers_nothing_writes_nothing(tmp_path: Path):
    out = tmp_path / "run"
    with pytest.raises(BrokenFileError):
        evaluate(NearestColour(), Patches(broken="p0"), questions(), protocol=rules(), out=out)
    assert not out.exists()


class Cropped(Patches):
    """Some photos lack a line."""

    def __init__(self, *cropped: str) -> None:
        super().__init__()
        self.cropped = cropped

    def image(self, name: str) -> np.ndarray:
        image = super().image(name)
        return image[:-1] if name in self.cropped or not self.cropped else image


def test_a_photo_of_another_size_than_its_mask(tmp_path: Path):
    with pytest.raises(BrokenFileError, match="the photo has 19 x 30 pixels, its label map 20 x 30"):
        evaluate(NearestColour(), Cropped(), questions(), protocol=rules())


@pytest.mark.parametrize("size", ["input", "original"])
def test_no_photo_is_squashed_onto_its_mask_whatever_the_size_that_is_scored(size: str):
    scored = rules().at(size)  # type: ignore[arg-type]
    episodes = questions(count=1)
    support = episodes[0].supports[0][0]
    assert support != episodes[0].query
    for name in (episodes[0].query, support):
        with pytest.raises(BrokenFileError, match=rf"{name}: the photo has \d+ x 30 pixels, its label map"):
            evaluate(NearestColour(), Cropped(name), episodes, protocol=scored)


def test_where_the_release_has_other_sizes_they_are_asked():
    class Released(Cropped):
        sizes_differ: ClassVar[bool] = True

    assert len(evaluate(NearestColour(), Released(), questions(), protocol=rules().at("input")).frame) == 12


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"method": NearestColour(radius=1.3)}, "weights.sha256"),
        ({"dataset": Patches(fingerprint="e" * 64)}, "dataset.fingerprint"),
        ({"episodes": questions(seed=1)}, "episodes_hash"),
        ({"protocol": rules().at("input")}, "protocol.name"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_another_question_does_not_continue_a_run(tmp_path: Path, change: dict[str, object], field: str):
    arguments = {"method": NearestColour(), "dataset": Patches(), "episodes": questions(), "protocol": rules()}
    evaluate(**arguments, out=tmp_path / "run", limit=2)
    before = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    with pytest.raises(UsageError, match=field):
        evaluate(**{**arguments, **change}, out=tmp_path / "run", resume=True)
    assert {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()} == before


def test_a_run_that_is_there_is_not_touched_unless_told(tmp_path: Path):
    out = tmp_path / "run"
    evaluate(NearestColour(), Patches(), questions(count=3), protocol=rules(), out=out)
    with pytest.raises(UsageError, match="already has a run"):
        evaluate(NearestColour(), Patches(), questions(count=2), protocol=rules(), out=out)
    assert len(load_run(out).frame) == 3
    evaluate(NearestColour(), Patches(), questions(count=2), protocol=rules(), out=out, overwrite=True)
    assert len(load_run(out).frame) == 2


def test_what_does_not_fit_is_refused():
    method, dataset = NearestColour(), Patches()
    with pytest.raises(UsageError, match="no episode"):
        evaluate(method, dataset, [], protocol=rules())
    with pytest.raises(UsageError, match="names no protocol"):
        evaluate(method, dataset, list(questions()))
    with pytest.raises(UsageError, match="do not belong to one fold"):
        evaluate(method, dataset, [Episode("p0", (9,), (("p1",),), 9)], protocol=rules())
    with pytest.raises(UsageError, match="differ in ways or shots"):
        evaluate(method, dataset, [*questions(count=1), *questions(shot=2, count=1)], protocol=rules())
    with pytest.raises(UsageError, match="no device 'gpu'"):
        evaluate(method, dataset, questions(), device="gpu")
    with pytest.raises(UsageError, match="1 or more"):
        evaluate(method, dataset, questions(), limit=0)
    with pytest.raises(UsageError, match="exclude each other"):
        evaluate(method, dataset, questions(), out="nowhere", resume=True, overwrite=True)


def test_plain_lines_say_how_far_it_is(capsys: pytest.CaptureFixture[str]):
    evaluate(NearestColour(), Patches(), questions(), protocol=rules(), progress=PlainLines(headline="this on that"))
    first, second, *_, last = capsys.readouterr().err.splitlines()
    assert (first, second) == ("this on that", "fold 0: 12 episodes")
    final = evaluate(NearestColour(), Patches(), questions(), protocol=rules()).summary(draws=0).miou
    assert last.startswith("fold 0: 12/12, ")
    assert f"running mIoU {final:.2f}" in last
    assert last.endswith("0:00 left")
