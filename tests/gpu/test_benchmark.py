"""The benchmark of `make gpu` writes nothing where there is nothing to measure."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent.parent


@pytest.mark.parametrize("script", ["gpu", "gpu_engine"])
def test_without_a_card_nothing_is_written(script: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, REPOSITORY / f"benchmarks/speed/{script}.py", "--out", tmp_path / "gpu.csv"],
        check=False, capture_output=True, text=True, env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == "nothing was measured: there is no device cuda:0: PyTorch sees none\n"
    assert not (tmp_path / "gpu.csv").exists()
