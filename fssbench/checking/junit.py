"""A report as JUnit XML for CI servers: a test suite per configuration, a test case per number."""

from __future__ import annotations

from xml.etree.ElementTree import Element, SubElement, indent, tostring

from fssbench.checking.render import headline
from fssbench.checking.verdict import Check, Report
from fssbench.escape import plain


def junit(report: Report) -> str:
    """Return the XML, with a newline at the end."""
    whole = Element("testsuites", _counts(report.checks, f"fssbench check: {headline(report)}"))
    # Two runs may have the same configuration: their folders distinguish them.
    subjects = dict.fromkeys(check.subject for check in report.checks)
    for subject in subjects:
        checks = tuple(check for check in report.checks if check.subject == subject)
        suite = SubElement(whole, "testsuite", _counts(checks, f"{subject.name} ({subject.folders})"))
        for check in checks:
            _case(suite, check)
    indent(whole)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + tostring(whole, encoding="unicode") + "\n"


def _counts(checks: tuple[Check, ...], name: str) -> dict[str, str]:
    verdicts = [check.verdict for check in checks]
    counts = {"tests": len(checks), "failures": verdicts.count("miss"), "errors": 0, "skipped": verdicts.count("none")}
    return {"name": plain(name), **{key: str(count) for key, count in counts.items()}}


def _case(suite: Element, check: Check) -> None:
    case = SubElement(suite, "testcase", {"classname": plain(check.subject.name), "name": check.title, "time": "0"})
    if check.verdict == "miss":
        failure = SubElement(case, "failure", {"type": "miss", "message": plain(describe(check))})
        failure.text = plain(" ".join(filter(None, (_where(check), check.remark))))
    elif check.verdict == "none":
        SubElement(case, "skipped", {"message": plain(f"no verdict: {check.remark}")})
    else:
        SubElement(case, "system-out").text = plain(f"{describe(check)}. {_where(check)}")


def describe(check: Check) -> str:
    """Return a check as a sentence without a full stop."""
    if check.expected is None or check.measured is None:
        return f"{check.title}: {check.remark}"
    return (
        f"{check.title} is {check.measured:.2f}, expected {check.expected:.2f} "
        f"(difference {check.difference:+.2f}, tolerance {check.tolerance})"
    )


def _where(check: Check) -> str:
    tolerance = check.tolerance
    tier = "" if tolerance is None else f"Tier: {tolerance.tier}; tolerance: {tolerance.source}."
    return f"Expected by {check.source}. {tier}"
