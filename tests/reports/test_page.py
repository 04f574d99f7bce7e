"""The page: what stands in it, that nothing from outside gets through, and what is left out."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from fssbench.datasets.shapes20i.dataset import Shapes20i
from fssbench.errors import MissingError, UsageError
from fssbench.reports import report as of_report
from fssbench.reports.page import render, write
from fssbench.reports.report import Options, Report, make
from fssbench.reports.runs import Compared, of_results, read

HOSTILE = """"><script>alert(1)</script><img src=x onerror=alert(2)>{{ 7*7 }}'&</style>"""


class Elements(HTMLParser):
    """All elements of a page with their attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


@pytest.fixture(scope="session")
def report(two_runs: Path) -> Report:
    return make(read([two_runs]), Options(episodes=4, similarity=False))


@pytest.fixture(scope="session")
def page(report: Report, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("page") / "report.html"
    written = write(report, path)
    assert (written.episodes, written.left_out) == (4, 0)
    assert written.bytes == path.stat().st_size
    return path.read_text(encoding="utf-8")


def test_the_page_has_the_numbers_the_episodes_and_what_repeats_them(report: Report, page: str) -> None:
    elements, text = Elements(page), page
    assert [attributes["id"] for attributes in elements.all("article")] == [card.name for card in report.cards]
    for method in report.runs.methods:
        assert f"{method.results.summary().miou:.2f}" in text
        assert str(method.run.folds[0].episodes_hash) in text
        assert str(method.run.dataset.fingerprint) in text
    assert f"--episode {report.cards[0].name}" in text
    sections = {attributes.get("id") for attributes in elements.all("section")}
    assert sections >= {"numbers", "charts", "hard", "gallery", "printed", "cost", "provenance"}
    # Every link within the page leads somewhere.
    ids = {attributes["id"] for _, attributes in elements.found if attributes.get("id")}
    linked = [one.get("href") or one.get("xlink:href") for tag in ("a", "use") for one in elements.all(tag)]
    links = {str(link)[1:] for link in linked}
    assert links <= ids


def test_what_has_no_interval_says_why(report: Report, page: str) -> None:
    summaries = [method.results.summary() for method in report.runs.methods]
    # Of six episodes four or five classes have one each.
    reasons = {why for summary in summaries for why in summary.per_class["no_interval"] if why}
    assert "one query image has a pixel of it" in reasons
    (chart,) = [chart for chart in report.charts if chart.name == "class"]
    assert chart.table is not None
    for place in range(len(summaries[0].per_class)):
        for number, summary in enumerate(summaries):
            why = summary.per_class["no_interval"].iloc[place]
            cell = chart.table.rows[place][3 + number]
            assert cell.endswith(f"({why})") == bool(why), cell
    assert re.search(r"\bnan\b", " ".join(Elements(page).texts)) is None


def test_the_page_needs_no_network(page: str) -> None:
    addresses = [value for _, attributes in Elements(page).found for name, value in attributes.items()
                 if name in ("src", "href", "xlink:href", "action", "data", "poster", "srcset")]  # fmt: skip
    assert addresses
    assert all(re.match(r"#|data:image/(png|jpeg);base64,", str(value)) for value in addresses)
    assert "@import" not in page
    assert not re.search(r"url\((?!#)", page)


def test_every_picture_is_described(page: str) -> None:
    shown = [attributes for _, attributes in Elements(page).found if attributes.get("role") == "img"]
    assert len(shown) > 20
    assert all(attributes.get("aria-label") for attributes in shown)
    # Those that are not charts, whose element around them is described.
    layered = [one for one in Elements(page).all("svg") if one.get("viewbox") and "version" not in one]
    assert all(one.get("role") == "img" for one in layered)


def test_pictures_show_the_counts_of_the_rows(report: Report) -> None:
    assert all(one.fault == "" and one.prediction for card in report.cards for one in card.shown)
    for card in report.cards:
        key = (card.fold, int(card.name[-5:]))
        for one, method in zip(card.shown, report.runs.methods, strict=True):
            row = method.rows[key]
            assert one.iou == pytest.approx(100 * row.intersection[1] / row.union[1])


def test_a_prediction_with_other_counts_is_marked(two_runs: Path) -> None:
    compared = read([two_runs / "everything"])
    rows = compared.methods[0].rows
    for key, row in rows.items():
        rows[key] = replace(row, union=(row.union[0], row.union[1] - 1))
    report = make(compared, Options(episodes=2, similarity=False))
    assert all(card.shown[0].fault for card in report.cards)
    assert any(
        "2 of 2 predictions of all-foreground in the gallery have other counts" in text for text in report.missing
    )
    html = render(report, report.cards, lambda picture, name: name)
    assert html.count("this is another prediction than the one of the number") == 2


def hostile(two_runs: Path, monkeypatch: pytest.MonkeyPatch) -> Report:
    names = list(Shapes20i.open().class_names)
    monkeypatch.setattr(Shapes20i, "class_names", property(lambda _: {value: f"{HOSTILE}{value}" for value in names}))
    runs = []
    for method in read([two_runs]).methods:
        run = method.run
        start = replace(run.starts[0], command=("fssbench", HOSTILE))
        name = replace(run.method, name=HOSTILE + run.method.name)
        run = replace(run, method=name, starts=(start,), dataset=replace(run.dataset, title=HOSTILE))
        runs.append(replace(method.results, run=run, folder=two_runs / HOSTILE / method.name))
    return make(of_results(runs), Options(episodes=2, similarity=False, predict="none"))


def test_hostile_names_stay_text(two_runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = hostile(two_runs, monkeypatch)
    elements = Elements(render(report, report.cards, lambda picture, name: name))
    assert len(elements.all("script")) == 1
    assert elements.all("script")[0] == {}
    assert {str(attributes.get("src")) for attributes in elements.all("img")} == set()
    handlers = [name for _, attributes in elements.found for name in attributes if name.startswith("on")]
    assert handlers == []
    text = "".join(elements.texts)
    assert "<script>alert(1)</script>" in text
    assert "{{ 7*7 }}" in text
    assert not re.search(r"\b49\b.*&</style>", text)
    assert len(elements.all("style")) == 1 + len(report.charts)  # matplotlib has one in each chart


def test_without_the_data_the_page_says_so(two_runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object, **__: object) -> None:
        raise MissingError("there is no data set shapes20i here", "fssbench data where")

    monkeypatch.setattr(of_report, "open_scene", gone)
    report = make(read([two_runs]), Options(similarity=False))
    html = render(report, (), lambda picture, name: name)
    assert report.cards == ()
    assert "The masks and photos are not here (there is no data set shapes20i here)" in html
    assert 'id="gallery"' not in html
    assert "hard" not in report.tables
    # The names of classes are those that the runs have recorded.
    assert "gear" in html


def test_without_the_photos_the_gallery_is_left_out(two_runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Shapes20i, "photo_path", lambda self, name: Path("/nowhere") / name)
    report = make(read([two_runs]), Options(similarity=False))
    assert report.cards == ()
    assert "Photos of the episodes are no longer here: the gallery is left out." in report.missing
    assert "hard" in report.tables


def test_a_page_stays_below_its_limit_and_a_folder_has_none(report: Report, tmp_path: Path, monkeypatch) -> None:
    whole = write(report, tmp_path / "whole.html").bytes
    monkeypatch.setattr("fssbench.reports.page.writing.MOST_BYTES", whole - 1)
    written = write(report, tmp_path / "less.html")
    assert written.bytes < whole
    assert written.left_out > 0
    split = write(report, tmp_path / "split", split=True)
    assert split.left_out == 0
    elements = Elements(split.page.read_text(encoding="utf-8"))
    files = {str(one["href"]) for one in elements.all("image") if not str(one.get("href", "data:")).startswith("data:")}
    assert files == {f"pictures/{path.name}" for path in (tmp_path / "split" / "pictures").iterdir()}
    with pytest.raises(UsageError, match="can't write"):
        write(report, tmp_path / "gone" / "report.html")


def test_one_run_alone_has_a_page(two_runs: Path) -> None:
    report = make(read([two_runs / "copied"]), Options(episodes=1, predict="none", similarity=False))
    html = render(report, report.cards, lambda picture, name: name)
    assert "differences" not in report.tables
    assert "largest disagreement" not in html
    assert "Its prediction was not saved, and was not computed again." in html


def test_runs_of_other_episodes_are_refused(two_runs: Path, compared: Compared) -> None:
    other = replace(compared.methods[1].results, run=replace(compared.run, way=2))
    with pytest.raises(UsageError, match="differ in the ways"):
        of_results([compared.methods[0].results, other])
    with pytest.raises(UsageError, match="there is no run in"):
        read([])
