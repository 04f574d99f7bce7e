"""The simulation of benchmarks/coverage, which is no package."""

from __future__ import annotations

import importlib.util
from pathlib import Path

_PATH = Path(__file__).resolve().parents[2] / "benchmarks" / "coverage" / "simulate.py"
_SPEC = importlib.util.spec_from_file_location("simulate", _PATH)
assert _SPEC is not None
assert _SPEC.loader is not None
simulate = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(simulate)
