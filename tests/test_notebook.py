"""What a notebook shows: tables and small pictures, all text escaped, nothing loaded; and the short plain text."""

from __future__ import annotations

import base64
import pickle
import re
from dataclasses import replace
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as PillowImage

import fssbench
from fssbench.datasets.dataset import Dataset
from fssbench.datasets.shapes20i.dataset import Shapes20i
from fssbench.episode import read_episodes, write_episodes
from fssbench.errors import MissingError
from fssbench.methods.base.method import Prediction
from fssbench.notebook.html import figures, notes, table, text, title
from fssbench.notebook.pictures import BYTES, picture, side_for
from fssbench.photos import Segmentation
from fssbench.tables import Comparison, compare

HOSTILE = "<script>alert('x')</script>\x1b[31m\u202e\"&"
LARGEST = 300_000
NOISE = np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8)


class Page(HTMLParser):
    """Collects the tags, and refuses those that stay open, load something or run it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.pictures: list[bytes] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        assert tag not in ("script", "iframe", "link", "object")
        for name, value in attrs:
            assert not name.startswith("on")
            if name in ("src", "href"):
                head, _, data = (value or "").partition(",")
                assert head == "data:image/png;base64", value
                self.pictures.append(base64.b64decode(data, validate=True))
        if tag not in ("img", "br", "meta"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


class Named(Shapes20i):
    """The shapes under hostile names, with large photos of noise, or without photos."""

    photos = True
    class_names = dict.fromkeys(range(1, 21), HOSTILE)

    def image(self, name: str) -> np.ndarray:
        if not self.photos:
            raise MissingError(f"there is no photo {HOSTILE}")
        return NOISE

    def label(self, name: str) -> np.ndarray:
        labels = np.zeros(NOISE.shape[:2], np.uint8)
        labels[100:250, 150:400] = 1
        return labels


@pytest.fixture(scope="module")
def drawn() -> fssbench.EpisodeList:
    return fssbench.episodes(fssbench.open_dataset("shapes20i"), shot=2, count=12)


def test_an_episode_shows_its_supports_and_its_query(drawn: fssbench.EpisodeList) -> None:
    page = Page(drawn[0]._repr_html_())
    assert len(page.pictures) == 3
    shapes = fssbench.open_dataset("shapes20i")
    for name, data in zip((*drawn[0].supports[0], drawn[0].query), page.pictures, strict=True):
        image = PillowImage.open(BytesIO(data))
        height, width = shapes.image(name).shape[:2]
        assert max(image.size) == 160
        assert image.width / image.height == pytest.approx(width / height, abs=0.02)
    # The mask of a support is outlined; the query is not marked.
    plain = picture(shapes.image(drawn[0].supports[0][0]))
    assert base64.b64decode(plain.partition(",")[2]) != page.pictures[0]
    assert picture(shapes.image(drawn[0].query)).encode().endswith(base64.b64encode(page.pictures[2]))
    assert "gear" in drawn[0]._repr_html_()


def test_a_list_shows_a_table_and_the_first_episodes(drawn: fssbench.EpisodeList, tmp_path) -> None:
    shown = drawn._repr_html_()
    assert len(Page(shown).pictures) == 6
    assert "and 2 more" in shown
    assert repr(drawn) == (
        f"<12 episodes of shapes20i, fold 0, val: 1-way 2-shot, protocol shapes, seed 0, hash {drawn.hash[:12]}>"
    )
    # A list from a file has neither names nor pictures until it knows its data set; a copy of one neither holds it.
    read = read_episodes(write_episodes(drawn, tmp_path / "list.json"))
    assert read == drawn
    assert "episodes.of(dataset)" in read._repr_html_()
    assert Page(read[0]._repr_html_()).pictures == []
    again = read.of(fssbench.open_dataset("shapes20i"))
    assert again._repr_html_() == shown
    copied = pickle.loads(pickle.dumps(drawn))  # noqa: S301 - written here
    assert (copied, copied.source, copied[0].source) == (drawn, None, None)


@pytest.mark.parametrize(("way", "shot"), [(1, 5), (5, 10)])
def test_an_episode_of_large_photos_stays_small(way: int, shot: int) -> None:
    names = tuple(tuple(f"{HOSTILE}{k}" for k in range(shot)) for _ in range(way))
    episode = fssbench.Episode(HOSTILE, tuple(range(1, way + 1)), names, 1)
    held = replace(fssbench.episodes(fssbench.open_dataset("shapes20i"), count=1), episodes=(episode, episode))
    named = held.of(Named())
    for shown in (named[0]._repr_html_(), named._repr_html_()):
        assert len(shown) < LARGEST
        page = Page(shown)
        assert all(max(PillowImage.open(BytesIO(data)).size) >= 40 for data in page.pictures)
        assert "<script" not in shown
        assert "\x1b" not in shown
    left = 1 + way * shot - len(Page(named[0]._repr_html_()).pictures)
    assert (f"and {left} more supports" in named[0]._repr_html_()) == (left > 0)


def test_a_data_set_is_its_name(tmp_path: Path) -> None:
    assert repr(fssbench.open_dataset("shapes20i")) == "<shapes20i>"
    placed: Dataset = Named()
    placed.root, placed.trained_on = tmp_path, "coco20i"
    assert repr(placed) == f"<shapes20i, trained on coco20i in {tmp_path}>"


def test_without_photos_the_reason_stands_there(drawn: fssbench.EpisodeList) -> None:
    without = Named()
    without.photos = False
    shown = drawn.of(without)._repr_html_()
    assert Page(shown).pictures == []
    assert "no pictures: there is no photo &lt;script&gt;" in shown


def test_results_and_summary(drawn: fssbench.EpisodeList, tmp_path) -> None:
    dataset = fssbench.open_dataset("shapes20i")
    results = fssbench.evaluate(fssbench.build("copy-mask"), dataset, drawn, limit=6)
    summary = results.summary(draws=0)
    assert repr(results) == f"<copy-mask on shapes20i, fold 0: 6 episodes, mIoU {summary.miou:.2f} %>"
    assert repr(summary).startswith(f"<6 episodes of 1 fold: mIoU {summary.miou:.2f} %, FB-IoU ")
    shown = results._repr_html_()
    assert "exact ratio" not in shown, "presence is not predicted in segmentation alone"
    assert Page(shown).seen.count("table") == 2
    assert f"{summary.miou:.2f}" in shown
    assert "gear" in shown
    # The caveats stand with the numbers.
    assert "--limit: only the first 6 episodes" in shown
    assert Page(summary._repr_html_()).seen.count("table") == 2
    fold = replace(results.run.folds[0], class_names=(HOSTILE,) * len(results.run.folds[0].classes))
    method = replace(results.run.method, name=HOSTILE, backbone=HOSTILE)
    hostile = replace(results, run=replace(results.run, method=method, folds=(fold,)))
    page = Page(hostile._repr_html_())
    assert page.seen.count("tr") == 2 + 1 + len(summary.per_class)
    empty = replace(results, frame=results.frame.iloc[:0])
    assert "no episode was evaluated" in empty._repr_html_()
    assert "0 episodes, 6 without a row" in repr(empty)


def test_a_segmentation_shows_its_photo() -> None:
    photo = np.random.default_rng(0).integers(0, 256, (600, 900, 3), dtype=np.uint8)
    mask = np.zeros((600, 900), bool)
    mask[100:300, 200:500] = True
    found = fssbench.segment(photo, photo, mask, HOSTILE, method="copy-mask")
    assert isinstance(found, Segmentation)
    shown = found._repr_html_()
    page = Page(shown)
    assert len(shown) < LARGEST
    (data,) = page.pictures
    assert PillowImage.open(BytesIO(data)).size == (320, 213)
    assert "11.2" in shown
    assert repr(replace(found, classes=("dog",))) == "<900 x 600 pixels: dog 11.2 %; by copy-mask>"
    # Without the photo, or if it has changed, the labels alone are shown.
    for photo_now in (None, photo[:10]):
        labels = Page(replace(found, photo=photo_now)._repr_html_()).pictures[0]
        assert sorted(np.unique(PillowImage.open(BytesIO(labels)))) == [0, 1]


def test_a_prediction_shows_its_labels() -> None:
    labels = torch.zeros(40, 50, dtype=torch.uint8)
    labels[:10] = 2
    prediction = Prediction(torch.zeros(3, 40, 50), labels, torch.tensor([False, True]))
    assert repr(prediction) == "<50 x 40 pixels: class 1 0.0 % absent, class 2 25.0 % present>"
    (data,) = Page(prediction._repr_html_()).pictures
    assert np.array_equal(np.asarray(PillowImage.open(BytesIO(data))), labels.numpy())


def test_tables_and_printed_numbers() -> None:
    (shown,) = compare(Comparison(datasets=("pascal5i",), methods=("hsnet",), source="published", shots=(1,)))
    page = Page(re.sub(r'<a href="[^"]*"[^>]*>|</a>', "", shown._repr_html_()))
    assert "table" in page.seen
    assert re.fullmatch(r"<table: .*; \d+ rows>", repr(shown))
    hostile = replace(shown, title=HOSTILE)._repr_html_()
    assert "<script" not in hostile
    frame = fssbench.published()
    frame["note"] = HOSTILE
    printed = frame._repr_html_()
    assert "<script" not in printed
    assert len(printed) < LARGEST


def test_pieces_are_escaped_and_pictures_share_a_budget() -> None:
    for piece in (title(HOSTILE, HOSTILE), table([HOSTILE], [[HOSTILE]]), notes([HOSTILE]), figures([('a"b', "c")])):
        assert "<script" not in piece
        assert "\x1b" not in piece
    assert len(text("a" * 1000)) == 200
    for count in (1, 6, 26):
        assert count * len(picture(NOISE, side=side_for(count))) < 1.4 * BYTES


def test_a_text_for_a_terminal_can_not_drive_it(drawn: fssbench.EpisodeList) -> None:
    hostile = "net\x1b[2J\u202e\x00"
    dataset = fssbench.open_dataset("shapes20i")
    results = fssbench.evaluate(fssbench.build("copy-mask"), dataset, drawn, limit=1)
    method = replace(results.run.method, variant=hostile, backbone=hostile)
    shown = [replace(results, run=replace(results.run, method=method)), replace(drawn, protocol=hostile)]
    assert all(repr(one).isprintable() for one in shown)
    assert "net?[2J??" in repr(shown[0])
