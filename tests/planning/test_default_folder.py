"""The same settings have the same run folder, also where a default is spelled out; earlier names are still found."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from fssbench.datasets import open_dataset
from fssbench.planning.default_folder import default_folder
from fssbench.planning.request import Request
from fssbench.planning.resolve import Names, resolve
from fssbench.planning.several import own_folder
from fssbench.results.run_reader import RUN, Existing

COPY = Request("copy-mask", "shapes20i", ways=1, shots=1)


def folder_of(request: Request, train: str | None = None) -> str:
    names = Names("evaluate", request.dataset, request.trained_on, request.method, protocol=request.protocol)
    names = replace(names, score_at=request.score_at, variant=request.variant, task=request.task)
    dataset = open_dataset(request.dataset, train_dataset=train, test_classes=request.test_classes if train else None)
    return default_folder(request, resolve(names), [0], dataset).name


@pytest.mark.parametrize(
    "spelled_out",
    [
        {"protocol": "shapes"},
        {"protocol": "shapes@original"},
        {"score_at": "original"},
        {"variant": "fss"},
        {"task": "fss"},
        {"train_dataset": "shapes20i"},
        {"runs": 1},
    ],
    ids=str,
)
def test_a_default_spelled_out_changes_no_folder(spelled_out: dict[str, object]) -> None:
    assert folder_of(COPY) == folder_of(replace(COPY, **spelled_out)) == "copy-mask-shapes20i-shapes-1way-1shot-fold0"


def test_other_settings_have_other_folders() -> None:
    others = [{"protocol": "hsnet"}, {"score_at": "input"}, {"variant": "fscs", "task": "fscs"}, {"runs": 2}]
    names = [folder_of(replace(COPY, **other)) for other in others]
    assert len({folder_of(COPY), *names}) == len(others) + 1


def test_a_run_under_the_earlier_name_is_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    earlier = Path("runs") / "copy-mask-shapes20i-shapes-1way-1shot-fold0-1runs"
    earlier.mkdir(parents=True)
    (earlier / RUN).write_text("{}")
    asked = replace(COPY, runs=1)
    assert folder_of(replace(asked, existing=Existing.RESUME)) == earlier.name
    assert folder_of(asked) != earlier.name


def test_one_shot_typed_or_not_is_one_folder(tmp_path: Path) -> None:
    assert own_folder(COPY, tmp_path, "hsnet", None, 1) == own_folder(COPY, tmp_path, "hsnet", 1, 1)
    assert own_folder(COPY, tmp_path, "hsnet", 5, 1).name == "hsnet-5shot"
    assert own_folder(COPY, tmp_path, "hsnet", 1, 2).name == "hsnet-1shot"
    (tmp_path / "hsnet-1shot").mkdir()
    (tmp_path / "hsnet-1shot" / RUN).write_text("{}")
    resumed = replace(COPY, existing=Existing.RESUME)
    assert own_folder(resumed, tmp_path, "hsnet", None, 1).name == "hsnet-1shot"
    assert own_folder(COPY, tmp_path, "hsnet", None, 1).name == "hsnet"
    assert "," not in own_folder(COPY, tmp_path, "./a,b.py:Net", 5, 2).name
