"""The static site: every result once, with its source or record, in pages and in formats for programs."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fssbench.errors import UsageError
from fssbench.publications import publications
from fssbench.site import Result, gather, write
from fssbench.site.exchange import COLUMNS, as_csv, as_eval_results, as_json, parse_repositories, schema
from fssbench.site.gather import slug
from fssbench.site.writing import MARK
from tests.reports.chromium import BROWSER, Browser

HOSTILE = '<img src=x onerror="document.title=1">=1+1\x1b[31m ../../etc'


@pytest.fixture(scope="module")
def results(two_runs: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Result]:
    folder = tmp_path_factory.mktemp("hostile")
    for run in two_runs.iterdir():
        text = (run / "run.json").read_text()
        record = json.loads(text) | ({"label": HOSTILE} if run.name == "copied" else {})
        (folder / run.name).mkdir()
        for file in run.iterdir():
            if file.is_file():
                (folder / run.name / file.name).write_bytes(file.read_bytes())
        (folder / run.name / "run.json").write_text(json.dumps(record))
    return gather([folder])


@pytest.fixture(scope="module")
def site(results: list[Result], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site") / "new"
    written = write(results, out, title="Ours & <theirs>")
    assert (written.results, written.measured) == (len(results), 2)
    assert written.files == sum(path.is_file() for path in out.rglob("*"))
    return out


def test_every_printed_setting_and_every_run_is_there_once(results: list[Result]) -> None:
    printed = {
        (row.method, row.variant, row.dataset, row.task, row.way, row.shot, row.backbone)
        for row in publications().rows
        if row.role == "result"
    }
    keys = [
        (e.method, e.variant, e.dataset, e.task, e.way, e.shot, e.backbone)
        for e in (one.entry for one in results)
        if e.origin == "published"
    ]
    assert len(keys) == len(set(keys))
    assert set(keys) == printed
    assert len({one.id for one in results}) == len(results)
    assert sum(one.entry.origin == "measured" for one in results) == 2


def test_each_number_has_its_source_or_its_record(results: list[Result], site: Path) -> None:
    for one in results:
        if one.entry.origin == "published":
            assert one.entry.source
            continue
        record = json.loads((site / "records" / f"{one.id}.json").read_text())
        assert record["numbers"]["mean"] == float(one.entry.numbers["mean"])
        assert record["record"]["folds"][0]["episodes"] == 6
        assert len(record["record"]["folds"][0]["episodes_hash"]) == 64


def test_the_name_of_a_result_does_not_depend_on_where_its_run_lies(two_runs: Path, tmp_path: Path) -> None:
    shutil.copytree(two_runs, tmp_path / "moved")
    names = [[one.id for one in gather([place]) if one.record] for place in (two_runs, tmp_path / "moved")]
    assert names[0] == names[1]
    # A run that is there twice is shown twice, under two names.
    assert len({one.id for one in gather([two_runs, tmp_path / "moved"]) if one.record}) == 4


def test_a_method_of_the_user_has_a_page_of_its_own(results: list[Result]) -> None:
    known = next(one for one in results if one.entry.method == "hsnet")
    own = replace(known, entry=replace(known.entry, own=True, label="hsnet"))
    assert own.method_page != known.method_page


def test_links_lead_to_files_of_the_site(site: Path) -> None:
    for page in site.rglob("*.html"):
        for link in re.findall(r'href="([^"]+)"', page.read_text(encoding="utf-8")):
            if not link.startswith(("https://", "#")):
                assert (page.parent / link).is_file(), f"{page.name}: {link}"


def test_nothing_from_outside_is_markup_or_a_path_of_this_machine(site: Path, two_runs: Path) -> None:
    for path in site.rglob("*"):
        if path.is_file():
            text = path.read_text(encoding="utf-8")
            assert "<img" not in text or path.suffix != ".html"
            assert "\x1b" not in text
            assert str(two_runs.parent) not in text
            assert ".." not in path.relative_to(site).as_posix()
    assert "<title>Ours &amp; &lt;theirs&gt;</title>" in (site / "index.html").read_text(encoding="utf-8")
    table = csv.reader(io.StringIO((site / "results.csv").read_text(encoding="utf-8")))
    assert not any(cell.startswith(("=", "+", "@")) for line in table for cell in line)


def test_json_fits_its_schema(results: list[Result]) -> None:
    whole, rules = json.loads(as_json(results)), json.loads(schema())
    one = rules["properties"]["results"]["items"]
    kinds = {"string": str, "integer": int, "null": type(None), "number": float, "object": dict, "array": list}
    assert whole.keys() == rules["properties"].keys()
    for result in whole["results"]:
        assert set(result) == set(one["required"])
        for name, value in result.items():
            rule = one["properties"][name]
            if "enum" in rule:
                assert value in rule["enum"]
            else:
                wanted = rule["type"] if isinstance(rule["type"], list) else [rule["type"]]
                assert isinstance(value, tuple(kinds[kind] for kind in wanted)), name


def test_csv_has_the_numbers_of_the_json(results: list[Result]) -> None:
    lines = list(csv.DictReader(io.StringIO(as_csv(results))))
    assert tuple(lines[0]) == COLUMNS
    for line, one in zip(lines, results, strict=True):
        for column, text in one.entry.numbers.items():
            assert float(line[column]) == float(text)
    measured = [line for line in lines if line["origin"] == "measured"]
    assert all(float(line["mean_low"]) <= float(line["mean"]) <= float(line["mean_high"]) for line in measured)


def test_the_hub_reads_the_evaluation_results(results: list[Result]) -> None:
    yaml = pytest.importorskip("yaml")
    hub = pytest.importorskip("huggingface_hub")
    text = as_eval_results(results, {"pascal5i": "lab/pascal5i"})
    entries = hub.parse_eval_result_entries(yaml.safe_load(text))
    assert [entry.value for entry in entries] == [
        float(one.entry.numbers["mean"]) for one in results if "mean" in one.entry.numbers
    ]
    assert {entry.dataset_id for entry in entries} >= {"lab/pascal5i", "coco20i", "shapes20i"}
    assert as_eval_results([], {}) == "[]\n"


@pytest.mark.parametrize("word", ["pascal5i", "pascal5i=", "=a/b", "pascal5i=a", "pascal5i=a/b/c", "pascal5i=../x"])
def test_a_repository_is_an_owner_and_a_name(word: str) -> None:
    with pytest.raises(UsageError, match="KEY=ORG/NAME"):
        parse_repositories([word])


def test_a_site_is_written_over_a_site_and_nothing_else(site: Path, tmp_path: Path, results: list[Result]) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "thesis.tex").write_text("years of work")
    with pytest.raises(UsageError, match="has files, and is no site"):
        write(results[:1], own)
    assert [path.name for path in own.iterdir()] == ["thesis.tex"]
    out = tmp_path / "site"
    write(results[:3], out)
    kept = out / "methods" / "notes.txt"
    kept.write_text("mine")
    outside = tmp_path / "outside.html"
    outside.write_text("mine")
    mark = json.loads((out / MARK).read_text())
    (out / MARK).write_text(json.dumps({"files": [*mark["files"], "../outside.html", "methods/notes.txt", 3]}))
    write([], out)
    assert kept.is_file()
    assert outside.is_file()
    assert [path.name for path in (out / "methods").glob("*.html")] == []
    (out / MARK).write_text("{")
    with pytest.raises(UsageError, match="is damaged"):
        write([], out)


def test_names_of_files_are_short_safe_and_different() -> None:
    names = ["hsnet", "HSNet", "HS/Net", "../hsnet", "", ".", "index", "x" * 300, "x" * 301, "ÄÖ", "con\x00"]
    slugs = [slug(name) for name in names]
    assert slugs[0] == "hsnet"
    assert len(set(slugs)) == len(names)
    assert all(re.fullmatch(r"[A-Za-z0-9_äö][\w.-]{0,59}", one) for one in slugs), slugs


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    found = Browser(tmp_path_factory.mktemp("profile"))
    yield found
    found.close()


SHOWN = "[...document.querySelectorAll('.results tbody tr')].filter(row => row.checkVisibility())"
MEANS = f"{SHOWN}.map(row => Number(row.querySelector('.mean').firstChild?.textContent))"


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="there is no Chromium on this machine")
def test_rows_are_filtered_and_sorted_in_a_browser(browser: Browser, site: Path) -> None:
    browser.open(site / "index.html")
    every = browser.value(f"{SHOWN}.length")
    browser.value(
        "(() => { const e = document.querySelector('select[name=dataset]'); e.value = 'COCO-20i';"
        "e.dispatchEvent(new Event('input', {bubbles: true})) })()"
    )
    few = browser.value(f"{SHOWN}.length")
    assert 0 < few < every
    assert browser.value("document.querySelector('output').textContent") == f"{few} of {every}"
    head = "[...document.querySelectorAll('.results thead button')].find(b => b.textContent === 'mean mIoU')"
    browser.value(f"{head}.click()")
    found = browser.value(MEANS)
    assert found == sorted(found, reverse=True)
    browser.value(f"{head}.click()")
    assert browser.value(MEANS) == sorted(found)
    address = browser.value("location.hash")
    browser.open(site / "datasets" / "shapes20i.html")
    assert browser.value(f"{SHOWN}.length") == 2
    # A name from outside runs nothing.
    assert browser.value("document.title").endswith("Ours & <theirs>")
    browser.open(site / "index.html")
    assert browser.value(f"{SHOWN}.length") == every
    # The event of another address comes later; until it is there, nothing more is looked at.
    browser.value("addEventListener('hashchange', () => { document.body.dataset.changed = 'yes' })")
    browser.value(f"location.hash = {address!r}")
    while browser.value("document.body.dataset.changed || ''") != "yes":
        pass
    assert browser.value("document.querySelector('select[name=dataset]').value") == "COCO-20i"
    assert browser.value(MEANS) == sorted(found)
    assert browser.value("document.documentElement.scrollWidth <= innerWidth")
