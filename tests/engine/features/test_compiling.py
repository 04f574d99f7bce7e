"""`--compile`: the same rows, or a sentence."""

from __future__ import annotations

import shutil

import pandas as pd
import pytest
import torch

from fssbench.engine.loop import rows_of
from fssbench.engine.order import order_of_work
from fssbench.errors import UsageError
from fssbench.planning.settings import Settings
from fssbench.results.rows import frame_of
from tests.engine.stub import NearestColour, Patches, questions, rules

CPU = torch.device("cpu")
# torch's compiler uses what torch itself has given up.
pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.script_method:DeprecationWarning")


def rows_frame(compiled: bool) -> pd.DataFrame:
    # Compiled functions are kept in memory by their code, whatever the compiler is by now.
    torch.compiler.reset()
    episodes = questions(count=4)
    settings = Settings(compiled=compiled, workers=0)
    rows = rows_of(NearestColour().eval(), Patches(), episodes, rules(), order_of_work(episodes), CPU, None, settings)
    return frame_of(list(rows)).drop(columns="seconds")


@pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler")
def test_a_compiled_encoder_answers_the_same():
    pd.testing.assert_frame_equal(rows_frame(compiled=True), rows_frame(compiled=False))


def test_without_a_compiler_a_sentence_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path):
    monkeypatch.setenv("CXX", str(tmp_path / "no-compiler"))
    monkeypatch.setattr("torch._inductor.config.force_disable_caches", True)
    monkeypatch.setattr("torch._inductor.config.cpp.cxx", (None, str(tmp_path / "no-compiler")))
    with pytest.raises(UsageError, match=r"can't compile the encoder here: .*ompiler") as caught:
        rows_frame(compiled=True)
    assert "leave --compile out" in str(caught.value.remedy)


def test_a_library_that_was_not_written_to_its_end_is_named(monkeypatch: pytest.MonkeyPatch):
    def broken(encode: object) -> object:
        def refuse(images: torch.Tensor) -> None:
            raise torch._dynamo.exc.TorchDynamoException(
                "ImportError: /cache/c1/abc.main.so: file too short\n\nSet TORCH_LOGS"
            )

        return refuse

    monkeypatch.setattr(torch, "compile", broken)
    with pytest.raises(UsageError, match="file too short") as caught:
        rows_frame(compiled=True)
    assert caught.value.remedy == "remove /cache/c1/abc.main.so, which a command that was killed has left"
