"""The benchmarks of `make gpu`: with a pretended card they run through, without one they write nothing."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from fssbench.engine import folds
from fssbench.engine.compiled_heads import compiled_head
from fssbench.layers import devices
from tests.engine.profiling.speed import gpu, gpu_engine

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


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Has the processor pass for a card, and keeps what is compiled for it, which stays as it is."""
    found: list[str] = []

    def kept(step: Callable[..., Any]) -> Callable[..., Any]:
        found.append(step.__qualname__)
        return step

    monkeypatch.setattr(devices, "SERIAL_ON", frozenset())
    for name in ("synchronize", "reset_peak_memory_stats"):
        monkeypatch.setattr(torch.cuda, name, lambda card: None)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda card: "a card")
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda card: 5 << 20)
    monkeypatch.setattr(torch.cuda, "utilization", lambda card: 50)
    for module in (gpu, gpu_engine):
        monkeypatch.setattr(module, "card_or_exit", lambda: torch.device("cpu"))
    for module in (gpu, folds):
        monkeypatch.setattr(module, "compiled_head", partial(compiled_head, compile_step=kept))
    return found


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_steps_are_timed_in_each_form(compiled: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(gpu, "PRECISIONS", ("float32",))
    monkeypatch.setitem(gpu.SIDES, "pfenet", 96)
    monkeypatch.setattr(gpu, "METHODS", ("pfenet",))
    out = tmp_path / "gpu.csv"
    monkeypatch.setattr(sys, "argv", ["gpu.py", "--backbone", "small", "--repeats", "1", "--out", str(out)])
    gpu.main()
    found = rows(out)
    assert [(row["shot"], row["form"]) for row in found] == [
        (shot, form) for shot in "15" for form in ("plain", "fast", "compiled")
    ]
    assert all(float(row["predict_ms"]) > 0 for row in found)
    assert len(compiled) == 2 * len(("enrich", "classify"))


def test_the_engine_is_timed_with_and_without_compiled_heads(
    compiled: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(gpu_engine, "get_args", lambda kinds: ("float32",))
    out = tmp_path / "gpu_engine.csv"
    monkeypatch.setattr(sys, "argv", ["gpu_engine.py", "--method", "pfenet", "--limit", "3", "--out", str(out)])
    gpu_engine.main()
    found = rows(out)
    assert [(row["precision"], row["head"]) for row in found] == [("float32", ""), ("float32", "compiled")]
    assert all(float(row["second_half_per_second"]) > 0 for row in found)
    assert {row["episodes"] for row in found} == {"3"}
    assert len(compiled) == len(("enrich", "classify"))
