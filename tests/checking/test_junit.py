"""The report for CI servers: JUnit XML and Markdown, whatever names foreign files hold."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from fssbench.checking import Report, report_of
from fssbench.checking.junit import junit
from fssbench.checking.render import markdown
from fssbench.checking.verdict import Subject
from tests.checking.runs import released
from tests.tables.runs import write_run


@pytest.fixture
def report(tmp_path: Path) -> Report:
    its = report_of([write_run(tmp_path / "run", released(), 0.643)], "published")
    assert {check.verdict for check in its.checks} >= {"pass", "miss"}
    hostile = Subject("<b>|`x`\x00\x1b[31m\nname</b>", "a & b")
    none = replace(its.checks[0], subject=hostile, verdict="none", tolerance=None, remark="nothing & none")
    return replace(its, checks=(*its.checks, none))


def test_junit_counts_and_explains(report: Report) -> None:
    whole = ElementTree.fromstring(junit(report))  # noqa: S314 - written here
    suites = whole.findall("testsuite")
    assert len(suites) == 2
    assert whole.attrib["tests"] == str(len(report.checks)) == str(len(whole.findall(".//testcase")))
    failures = whole.findall(".//failure")
    assert whole.attrib["failures"] == str(len(failures)) == str(len(report.missed))
    assert "expected" in failures[0].attrib["message"]
    assert "Tier: same weights and episodes" in (failures[0].text or "")
    assert [its.attrib["message"] for its in whole.findall(".//skipped")] == ["no verdict: nothing & none"]
    assert suites[1].attrib["name"] == "<b>|`x`??[31m name</b> (a & b)"


def test_markdown_holds_a_row_per_check_and_the_sources(report: Report) -> None:
    lines = markdown(report).splitlines()
    assert lines[0].startswith(f"### fssbench check: {len(report.missed)} of ")
    rows = [line for line in lines if line.startswith("| ")]
    assert len(rows) == len(report.checks) + 2
    assert sum("MISS" in row for row in rows) == len(report.missed)
    assert any(line.startswith("- tolerance, same weights and episodes: ") for line in lines)
    assert any("iFSL" in line or "HSNet" in line for line in lines if line.startswith("- expected of"))
    assert "&lt;b&gt;\\|\\`x\\`??\\[31m name&lt;/b&gt;" in rows[-1]
