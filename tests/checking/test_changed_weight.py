"""A deliberate change of one weight is caught, by the number itself and by the weights' hash."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from fssbench import cli
from fssbench.files import shipped
from tests.checking.runs import baselines_of

HEAD = "fssbench/checkpoints/weights/hsnet-small-shapes20i-fold0.safetensors"


def test_one_changed_weight_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import torch
    from safetensors import safe_open
    from safetensors.torch import load_file, save_file

    def fssbench(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["fssbench", *arguments])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        answer = capsys.readouterr()
        return int(stop.value.code or 0), answer.out + answer.err

    monkeypatch.chdir(tmp_path)
    asked = ["--dataset", "shapes20i", "--fold", "0"]
    export = ["episodes", "export", *asked, "--protocol", "shapes", "--count", "4", "--out", "list.json"]
    evaluate = ["eval", "--method", "hsnet", *asked, "--episodes", "list.json", "--quiet", "--out"]
    assert fssbench(*export)[0] == 0
    assert fssbench(*evaluate, "before")[0] == 0
    baselines_of(tmp_path / "known", Path("before"))
    check = ["check", "--against", "baseline", "--baselines", "known"]
    assert fssbench(*evaluate, "again")[0] == 0
    assert fssbench(*check, "again")[0] == 0

    state = load_file(shipped(HEAD))
    name = next(key for key, value in state.items() if key.endswith("weight") and value.ndim > 1)
    changed = state[name].clone()
    changed.view(-1)[0] += torch.tensor(2.0, dtype=changed.dtype)
    with safe_open(shipped(HEAD), "pt") as file:
        about = file.metadata()
    save_file(state | {name: changed}, tmp_path / "changed.safetensors", about)
    backbone = str(shipped("fssbench/checkpoints/weights/small-shapes20i-fold0.safetensors"))
    weights = ["--checkpoint", "changed.safetensors", "--backbone-weights", backbone]
    assert fssbench(*evaluate, "after", *weights)[0] == 0
    code, message = fssbench(*check, "after")
    assert code == 1
    assert "fold 0 mIoU is" in message
    assert "other weights than the baseline's: checkpoint" in message
    # Even where only the number counts, and not the file that gave it.
    code, message = fssbench(*check, "--tolerance", "0.005", "after")
    assert code == 1
    assert "other weights" not in message
