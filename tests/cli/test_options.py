"""Options that are dataclasses: every one of them reaches what is planned, with the same type."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, get_type_hints

import pytest
import typer
from typer.testing import CliRunner

from fssbench.cli.episodes import DrawOptions
from fssbench.cli.eval_options import EvalOptions
from fssbench.cli.fields import fields_for, with_fields
from fssbench.cli.options import DataOptions
from fssbench.cli.score import ScoreOptions
from fssbench.cli.train import TrainOptions
from fssbench.cli.values import existing_of, task_of, words_or_folders
from fssbench.errors import UsageError
from fssbench.planning import request, settings
from fssbench.predictions import plan as scoring
from fssbench.results.run_reader import Existing
from fssbench.results.shard import Cut, Shard
from fssbench.results.until import Until
from fssbench.training.request import Request as TrainingRequest

TYPES = {"Cut": Cut, "Existing": Existing, "Shard": Shard, "Until": Until}

COMMANDS = [
    (
        EvalOptions,
        (request.Request, settings.Settings),
        {"resume", "overwrite", "quiet", "save_predictions", "fetch", "replay"},
    ),
    (ScoreOptions, (scoring.ScoreRequest,), {"overwrite", "quiet"}),
    (TrainOptions, (TrainingRequest,), set()),
]
CONVERTED = {"shots", "task", "feature_cache", "feature_store_size", "shard"}
"""Fields whose text is read before it is planned with."""


@pytest.mark.parametrize(("options", "targets", "apart"), COMMANDS, ids=["eval", "score", "train"])
def test_each_option_is_planned_with(options: type, targets: tuple[type, ...], apart: set[str]) -> None:
    planned: dict[str, object] = {}
    for target in targets:
        planned |= get_type_hints(target, vars(__import__(target.__module__, fromlist=["x"])) | TYPES)
    for name, kind in get_type_hints(options).items():
        assert (name in planned) != (name in apart), name
        if name in planned and name not in CONVERTED:
            assert planned[name] == kind, name


def test_the_options_of_data_are_those_of_a_request() -> None:
    for target in (request.Request, scoring.ScoreRequest):
        assert {field.name for field in fields(DataOptions)} <= {field.name for field in fields(target)}
    assert DataOptions(labels="png", part="test").given == {"labels": "png", "part": "test"}


def test_every_option_says_what_it_is() -> None:
    for options in (EvalOptions, ScoreOptions, TrainOptions, DrawOptions, DataOptions):
        for name, hint in get_type_hints(options, include_extras=True).items():
            assert hint.__metadata__[0].help, name


@dataclass(frozen=True)
class Pair:
    left: Annotated[int, typer.Option("--left", help="One.")]
    right: Annotated[str | None, typer.Option("--right", help="Other.")] = None


@dataclass(frozen=True)
class Wanted:
    right: str | None
    more: int = 0


def test_the_fields_of_a_parameter_are_options() -> None:
    found: list[object] = []

    @with_fields
    def command(name: Annotated[str, typer.Argument()], pair: Pair, loud: bool = False) -> None:
        """Do it."""
        found.append((name, pair, loud))

    app = typer.Typer()
    app.command()(command)
    runner = CliRunner()
    assert runner.invoke(app, ["x", "--left", "3", "--loud"]).exit_code == 0
    assert runner.invoke(app, ["--right", "r", "--left", "3", "y"]).exit_code == 0
    assert found == [("x", Pair(3), True), ("y", Pair(3, "r"), False)]
    assert runner.invoke(app, ["x"]).exit_code == 2


def test_fields_of_the_same_name_are_taken() -> None:
    assert fields_for(Wanted, Pair(1, "r")) == {"right": "r"}


def test_what_options_mean() -> None:
    assert [task_of(text) for text in (None, "fss", "fs-cs", "fscs")] == [None, "fss", "fscs", "fscs"]
    assert existing_of(resume=False, overwrite=True) is Existing.OVERWRITE
    assert existing_of(resume=True, overwrite=False) is Existing.RESUME
    assert existing_of(resume=False, overwrite=False) is Existing.REFUSE
    with pytest.raises(UsageError, match="exclude each other"):
        existing_of(resume=True, overwrite=True)


def test_a_folder_with_a_comma_in_its_name_is_one_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a,b").mkdir()
    monkeypatch.chdir(tmp_path)
    assert words_or_folders(["a,b", "hsnet,c"]) == ("a,b", "hsnet", "c")
