"""Regression checks: measured numbers against printed numbers, committed baselines, or numbers stated in a test."""

from __future__ import annotations

from fssbench.checking.report import report_of
from fssbench.checking.stated import against_stated
from fssbench.checking.tolerances import stated_tolerance
from fssbench.checking.verdict import Check, Report, Tolerance

__all__ = ["Check", "Report", "Tolerance", "against_stated", "report_of", "stated_tolerance"]
