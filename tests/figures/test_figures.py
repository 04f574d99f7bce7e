"""Charts: what is in them, written for a paper and for a page."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from math import nan
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure

from fssbench.errors import MissingError, UsageError
from fssbench.figures import Series, bars, dots, histogram, lines, match, save, shares, to_svg, trend
from fssbench.figures.points import bin_means

HOSTILE = "<script>$\\frac{a}$&\x07\u732b"
ONE = Series("hsnet", [40.0, 60.0], [35.0, 50.0], [45.0, 70.0])
OTHER = Series(HOSTILE, [30.0, 70.0])


def test_bars_have_the_values_and_their_intervals() -> None:
    axes: Any = bars([ONE, OTHER], ["fold 0", "fold 1"], y="mIoU").axes[0]
    assert [patch.get_height() for patch in axes.patches] == [40.0, 60.0, 30.0, 70.0]
    spans = [segment[:, 1].tolist() for segment in axes.collections[0].get_segments()]
    assert spans == [[35.0, 45.0], [50.0, 70.0]]
    assert [text.get_text() for text in axes.get_xticklabels()] == ["fold 0", "fold 1"]


def test_points_of_two_methods_lie_where_their_values_are() -> None:
    axes = match(Series("a", [10.0, 50.0, 90.0]), Series("b", [20.0, 50.0, 30.0])).axes[0]
    assert [points.get_offsets().tolist() for points in axes.collections] == [[[90, 30]], [[10, 20]], [[50, 50]]]


def test_a_bin_has_the_mean_of_its_values_and_the_last_one_its_end() -> None:
    found = bin_means([1, 2, 5, 10], [10, 30, np.nan, 70], [0, 5, 10])
    assert [(one.low, one.mean, one.count) for one in found] == [(0, 20.0, 2), (5, 70.0, 1)]
    assert found[0].margin == pytest.approx(1.96 * np.std([10, 30], ddof=1) / 2**0.5)
    # A single value has no spread, and equal ones have none that is known.
    assert np.isnan(found[1].margin)
    assert np.isnan(bin_means([1, 2], [30, 30], [0, 5])[0].margin)


@pytest.mark.parametrize("drawn", [bars, dots])
def test_an_interval_that_cannot_be_given_is_a_star_and_no_bar(drawn: Any) -> None:
    some = Series("a", [40.0, 60.0], [nan, 50.0], [nan, 70.0])
    axes: Any = drawn([some], ["fold 0", "fold 1"], **{"y" if drawn is bars else "x": "mIoU"}).axes[0]
    (spans,) = axes.collections
    assert [segment.tolist() for segment in spans.get_segments() if len(segment)] == [
        [[1.0, 50.0], [1.0, 70.0]] if drawn is bars else [[50.0, 0.0], [70.0, 0.0]]
    ]
    labels = axes.get_xticklabels() if drawn is bars else axes.get_yticklabels()
    assert [text.get_text() for text in labels] == ["fold 0*", "fold 1"]
    assert "* no 95 % interval can be given" in axes.get_xlabel()


def test_shares_follow_each_other_up_to_a_hundred() -> None:
    axes: Any = shares(["a"], {"right": [40.0], "missing": [60.0]}).axes[0]
    assert [(patch.get_x(), patch.get_width()) for patch in axes.patches] == [(0, 40), (40, 60)]


def figures() -> Iterator[Figure]:
    yield bars([ONE, OTHER], ["0", HOSTILE], y="mIoU")
    yield dots([ONE, OTHER], [HOSTILE, "cat"], x="IoU")
    yield histogram([ONE, OTHER], x="IoU", y="episodes")
    yield match(ONE, OTHER)
    yield trend([0.5, 30.0], [ONE, OTHER], [0.1, 1, 100], label=HOSTILE, logarithmic=True)
    yield shares([HOSTILE], {"right": [100.0]})
    yield lines({HOSTILE: ([1, 2], [3, 4]), "b": ([1], [2])}, x="step", y="loss")


def test_every_chart_is_an_svg_in_the_colours_of_its_page() -> None:
    for number, figure in enumerate(figures()):
        svg = to_svg(figure, f"chart{number}")
        root = ElementTree.fromstring(svg)  # noqa: S314 - made here
        assert "currentColor" in svg
        assert "#010203" not in svg
        ids = [node.get("id") for node in root.iter() if node.get("id")]
        assert all(str(name).startswith(f"chart{number}-") for name in ids)
        used = re.findall(r'url\(#([^)]+)\)|href="#([^"]+)"', svg)
        assert {one or other for one, other in used} <= set(ids)
        texts = [text for node in root.iter() if node.tag.endswith("text") for text in node.itertext()]
        assert any("<script>$\\frac{a}$&?\u732b" in text for text in texts)
        assert not any("mathdefault" in text for text in texts)


def test_a_legend_is_not_wider_than_its_figure() -> None:
    names = ["all-foreground", "copy-mask", "prototype efficientnet-lite0"]
    figure = bars([Series(name, [1.0]) for name in names], ["0"], y="mIoU")
    figure.canvas.draw()
    assert figure.legends[0].get_window_extent().x1 <= figure.bbox.width


def test_a_figure_for_a_paper_is_a_vector_with_its_fonts(tmp_path: Path) -> None:
    path = tmp_path / "fig.pdf"
    figure = bars([ONE], ["0", "1"], y="mIoU")
    save(figure, path)
    raw = path.read_bytes()
    # TrueType within the file, and no font of Type 3.
    assert b"/FontFile2" in raw
    assert b"/Type3" not in raw
    width = float(re.search(rb"/MediaBox \[ 0 0 ([\d.]+)", raw)[1])
    assert width == pytest.approx(3.25 * 72, abs=0.01)
    save(figure, tmp_path / "again.pdf")
    assert raw == (tmp_path / "again.pdf").read_bytes()


def test_the_end_of_the_name_is_the_format(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"\.pdf, \.svg, \.eps, \.png"):
        save(bars([ONE], ["0", "1"], y="mIoU"), tmp_path / "fig.docx")
    with pytest.raises(UsageError, match="can't write"):
        save(bars([ONE], ["0", "1"], y="mIoU"), tmp_path / "gone" / "fig.pdf")


def test_the_settings_of_the_caller_come_back() -> None:
    before = mpl.rcParams["font.size"]
    bars([ONE], ["0", "1"], y="mIoU")
    assert mpl.rcParams["font.size"] == before


def test_without_matplotlib_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingError, match=r"pip install 'fssbench\[report\]'"):
        bars([ONE], ["0", "1"], y="mIoU")
