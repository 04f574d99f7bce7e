"""The scripts of benchmarks/speed, which is no package: they import each other by name from their folder."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

_FOLDER = str(Path(__file__).resolve().parents[3] / "benchmarks" / "speed")

sys.path.insert(0, _FOLDER)
try:
    counting = import_module("counting")
    gpu = import_module("gpu")
    gpu_engine = import_module("gpu_engine")
    operations = import_module("operations")
    ratios = import_module("ratios")
finally:
    sys.path.remove(_FOLDER)
