"""Trackers: what they are told, and that their failure neither loses a run nor stops it."""

from __future__ import annotations

import inspect
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import fssbench as package
from fssbench.results import Results, load_run
from fssbench.results.record import Run
from fssbench.results.rows import Row
from fssbench.tracking import Callback, facts, guarded
from fssbench.tracking.guarded import Guarded
from fssbench.tracking.mlflow import MLflowTracker
from fssbench.tracking.wandb import WandbTracker
from tests.cli.conftest import fssbench
from tests.tracking.recorded import Artifact, Client, Wandb, WandbRun, mlflow

__all__ = ["fssbench"]

Command = Callable[..., tuple[int, str, str]]
EVAL = ("eval", "--method", "copy-mask", "--dataset", "shapes20i", "--fold", "0", "--limit", "4", "--quiet")


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Client:
    client = Client()
    monkeypatch.setitem(sys.modules, "mlflow", mlflow(client))
    monkeypatch.delenv("MLFLOW_EXPERIMENT_NAME", raising=False)
    return client


@pytest.mark.usefixtures("elsewhere")
def test_mlflow_has_settings_tags_metrics_and_files_of_a_run(
    fssbench: Command, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(facts, "INTERVAL", 0.0)
    monkeypatch.setattr(facts.Running.__init__, "__defaults__", (0.0,))
    assert fssbench(*EVAL, "--out", "run", "--track", "mlflow", "--track-rows")[0] == 0
    (run,) = client.runs.values()
    results = load_run("run")
    assert (client.experiments, run["status"], run["name"]) == ({"fssbench": "0"}, "FINISHED", "run")
    assert run["params"] | {"method": "copy-mask", "shot": "1", "protocol": "shapes", "limit": "4"} == run["params"]
    assert run["tags"]["fssbench.list.fold0"] == results.run.folds[0].episodes_hash
    assert run["tags"]["fssbench.version"] == package.__version__
    metrics = {key: value for key, value, step in run["metrics"] if step is None}
    assert metrics["miou"] == pytest.approx(results.summary().miou)
    assert {"fb_iou", "miou_fold0", "miou_low", "miou_high"} <= set(metrics)
    running = [(step, value) for key, value, step in run["metrics"] if key == "running_miou"]
    assert [step for step, _ in running] == [1, 2, 3, 4]
    assert run["artifacts"] == ["run.json", "summary.json", "rows.jsonl"]


@pytest.mark.usefixtures("elsewhere")
def test_each_of_several_runs_is_one_and_rows_are_kept_on_request(fssbench: Command, client: Client) -> None:
    client.experiments["mine"] = "7"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_EXPERIMENT_NAME", "mine")
        methods = ("eval", "--method", "copy-mask,nothing", *EVAL[3:])
        assert fssbench(*methods, "--out", "both", "--track", "mlflow")[0] == 0
    assert [run["params"]["method"] for run in client.runs.values()] == ["copy-mask", "nothing"]
    assert all(run["status"] == "FINISHED" and "rows.jsonl" not in run["artifacts"] for run in client.runs.values())
    assert client.experiments == {"mine": "7"}


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize("broken", ["start", "end"])
def test_a_failing_tracker_is_one_warning(
    fssbench: Command, client: Client, caplog: pytest.LogCaptureFixture, broken: str
) -> None:
    client.broken = broken
    code, out, _ = fssbench(*EVAL, "--out", "run", "--track", "mlflow")
    assert (code, "mIoU" in out) == (0, True)
    assert len(load_run("run").frame) == 4
    (record,) = [one for one in caplog.records if one.name == guarded.__name__]
    assert "the tracker mlflow failed: ConnectionError" in record.getMessage()


@pytest.mark.usefixtures("elsewhere")
def test_an_interrupted_run_is_marked_there(fssbench: Command, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    from fssbench.engine import runner

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(runner, "evaluate_runs", stop)
    assert fssbench(*EVAL, "--out", "run", "--track", "mlflow")[0] == 130
    assert [run["status"] for run in client.runs.values()] == ["FAILED"]


@pytest.mark.usefixtures("elsewhere")
def test_wandb_without_a_key_stays_offline(fssbench: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    wandb = Wandb()
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    for name in ("WANDB_MODE", "WANDB_API_KEY", "WANDB_BASE_URL", "WANDB_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert fssbench(*EVAL, "--out", "run", "--track", "wandb")[0] == 0
    (run,) = wandb.runs
    assert run.options | {"mode": "offline", "project": "fssbench", "name": "run"} == run.options
    assert run.ended == 0
    assert run.config["fssbench.list.fold0"] == load_run("run").run.folds[0].episodes_hash
    assert run.summary["miou"] == pytest.approx(load_run("run").summary().miou)
    assert run.artifacts[0].files == ["run.json", "summary.json"]
    (tmp_path / "netrc").write_text("machine api.wandb.ai login user password secret\n")
    (tmp_path / "netrc").chmod(0o600)
    assert WandbTracker._mode() is None
    monkeypatch.setenv("WANDB_BASE_URL", "https://elsewhere.example")
    assert WandbTracker._mode() == "offline"
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert WandbTracker._mode() is None


class Remembered(Callback):
    """Remembers what it is told."""

    def __init__(self, fails_at: str = "") -> None:
        self.told: list[str] = []
        self.threads: set[int] = set()
        self._fails_at = fails_at

    def _tell(self, what: str) -> None:
        self.threads.add(threading.get_ident())
        self.told.append(what)
        if what == self._fails_at:
            raise SystemExit("of somebody else's package")

    def run_started(self, number: int, run: Run, folder: Path | None) -> None:
        self._tell(f"started {run.method.name} {folder}")

    def row(self, number: int, row: Row) -> None:
        self._tell(f"row {row.episode}")

    def run_finished(self, number: int, results: Results) -> None:
        self._tell(f"finished {len(results.frame)}")

    def close(self, *, failed: bool) -> None:
        self._tell(f"close {failed}")


def evaluated(callback: Callback, **options: Any) -> Results:
    dataset = package.open_dataset("shapes20i")
    episodes = package.episodes(dataset, fold=0, way=1, shot=1, protocol="shapes", count=2)
    return package.evaluate(package.build("copy-mask"), dataset, episodes, callbacks=[callback], **options)


def test_callbacks_from_python_are_told_in_order_in_a_thread_of_their_own() -> None:
    callback = Remembered()
    evaluated(callback)
    rows = [one for one in callback.told if one.startswith("row")]
    assert callback.told == ["started copy-mask None", *rows, "finished 2", "close False"]
    assert sorted(rows) == ["row 0", "row 1"]
    assert threading.get_ident() not in callback.threads


def test_a_callback_that_leaves_the_program_leaves_its_thread_alone(caplog: pytest.LogCaptureFixture) -> None:
    callback = Remembered("row 0")
    assert len(evaluated(callback).frame) == 2
    assert "finished 2" not in callback.told
    assert sum(one.name == guarded.__name__ for one in caplog.records) == 1


def test_a_callback_that_hangs_does_not_keep_the_run(caplog: pytest.LogCaptureFixture) -> None:
    release = threading.Event()
    told = Guarded(SimpleNamespace(close=lambda failed: None), "slow", patience=0.05)  # type: ignore[arg-type]
    told.tell(lambda _: release.wait(5) and None)
    told.close(failed=False)
    release.set()
    assert "was not done after 0.05 seconds" in caplog.text


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (("--track", "mlfow"), "unknown tracker 'mlfow'; did you mean mlflow?"),
        (("--track-rows",), "--track-rows keeps rows with a tracker"),
        (("--track", "mlflow,mlflow"), "each once"),
    ],
)
def test_what_can_not_be_tracked_is_refused_first(fssbench: Command, arguments: tuple[str, ...], what: str) -> None:
    code, _, err = fssbench(*EVAL, *arguments)
    assert (code, what in err) == (2, True), err


def test_a_package_that_is_not_installed_is_named(fssbench: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    code, _, err = fssbench(*EVAL, "--track", "wandb")
    assert (code, "pip install 'fssbench[wandb]'" in err) == (2, True)


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.slow
def test_a_training_is_told_too(fssbench: Command, client: Client) -> None:
    train = ("train", "--method", "panet", "--dataset", "shapes20i", "--fold", "0", "--steps", "2", "--batch", "1")
    assert fssbench(*train, "--out", "trained", "--track", "mlflow")[0] == 0
    (run,) = client.runs.values()
    assert (run["status"], run["name"], run["params"]["steps"]) == ("FINISHED", "trained", "2")
    assert ("loss", 2) in {(key, step) for key, _, step in run["metrics"]}
    assert run["tags"]["fssbench.weights"].endswith("weights.safetensors")


def parameters(function: object) -> set[str]:
    return set(inspect.signature(function).parameters) - {"self"}


def test_the_stand_in_has_the_signatures_of_mlflow() -> None:
    known = pytest.importorskip("mlflow").MlflowClient
    for name in [name for name in vars(Client) if not name.startswith("_") and callable(getattr(Client, name))]:
        assert parameters(getattr(Client, name)) <= parameters(getattr(known, name)), name


def test_the_stand_in_has_the_signatures_of_wandb() -> None:
    wandb = pytest.importorskip("wandb")
    assert parameters(Wandb.init) <= parameters(wandb.init)
    for mine, theirs in ((WandbRun, wandb.Run), (Artifact, wandb.Artifact)):
        for name in [name for name in vars(mine) if not name.startswith("_") and inspect.isfunction(vars(mine)[name])]:
            assert parameters(getattr(mine, name)) <= parameters(getattr(theirs, name)), name


def test_mlflow_itself_keeps_a_run_in_its_local_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.chdir(tmp_path)  # where it keeps artifacts
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    results = evaluated(MLflowTracker(rows=True), out=tmp_path / "run")
    (run,) = mlflow.MlflowClient().search_runs([mlflow.MlflowClient().get_experiment_by_name("fssbench").experiment_id])
    assert run.info.status == "FINISHED"
    assert run.data.metrics["miou"] == pytest.approx(results.summary().miou)
    assert run.data.params["method"] == "copy-mask"
