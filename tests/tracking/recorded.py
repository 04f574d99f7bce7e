"""Stand-ins for MLflow and Weights & Biases: their public signatures, and a record of what was called.

The signatures are those of mlflow 3.17 (MlflowClient) and wandb 0.31 (init, Run, Artifact), read with `inspect`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any


@dataclass
class Client:
    """`mlflow.MlflowClient`; what is called with a run that was ended is refused, as a server does."""

    runs: dict[str, dict[str, Any]] = field(default_factory=dict)
    experiments: dict[str, str] = field(default_factory=dict)
    broken: str = ""

    def _open(self, run_id: str) -> dict[str, Any]:
        assert self.runs[run_id]["status"] == "RUNNING"
        return self.runs[run_id]

    def get_experiment_by_name(self, name: str) -> SimpleNamespace | None:
        if self.broken == "start":
            raise ConnectionError("no server")
        return SimpleNamespace(experiment_id=self.experiments[name]) if name in self.experiments else None

    def create_experiment(self, name: str, artifact_location: Any = None, tags: Any = None) -> str:
        self.experiments[name] = str(len(self.experiments))
        return self.experiments[name]

    def create_run(
        self, experiment_id: str, start_time: Any = None, tags: Any = None, run_name: Any = None
    ) -> SimpleNamespace:
        assert experiment_id in self.experiments.values()
        assert all(isinstance(value, str) for value in tags.values())
        run_id = f"run{len(self.runs)}"
        self.runs[run_id] = {
            "status": "RUNNING",
            "name": run_name,
            "tags": dict(tags),
            "params": {},
            "metrics": [],
            "artifacts": [],
        }
        return SimpleNamespace(info=SimpleNamespace(run_id=run_id))

    def log_param(self, run_id: str, key: str, value: Any, synchronous: Any = None) -> None:
        assert key not in self._open(run_id)["params"], "a parameter is logged once"
        self._open(run_id)["params"][key] = value

    def log_metric(
        self, run_id: str, key: str, value: float, timestamp: Any = None, step: Any = None, synchronous: Any = None
    ) -> None:
        if self.broken == "end" and key == "miou":
            raise ConnectionError("the server is gone")
        self._open(run_id)["metrics"].append((key, float(value), step))

    def set_tag(self, run_id: str, key: str, value: Any, synchronous: Any = None) -> None:
        self._open(run_id)["tags"][key] = value

    def log_artifact(self, run_id: str, local_path: str, artifact_path: Any = None) -> None:
        self._open(run_id)["artifacts"].append(Path(local_path).name)
        assert Path(local_path).read_bytes()

    def set_terminated(self, run_id: str, status: Any = None, end_time: Any = None) -> None:
        self._open(run_id)["status"] = status


def mlflow(client: Client) -> SimpleNamespace:
    """The module `mlflow`, as far as it is used."""
    return SimpleNamespace(MlflowClient=lambda: client)


@dataclass
class WandbRun:
    """`wandb.Run`."""

    id: str
    config: dict[str, Any]
    options: dict[str, Any]
    logged: list[dict[str, Any]] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    artifacts: list[Any] = field(default_factory=list)
    ended: int | None = None

    def log(self, data: dict[str, Any], step: Any = None, commit: Any = None) -> None:
        self.logged.append(data)

    def log_artifact(self, artifact_or_path: Any, name: Any = None) -> None:
        self.artifacts.append(artifact_or_path)

    def finish(self, exit_code: Any = None) -> None:
        assert self.ended is None
        self.ended = exit_code


@dataclass
class Artifact:
    """`wandb.Artifact`."""

    name: str
    type: str
    files: list[str] = field(default_factory=list)

    def add_file(self, local_path: str) -> None:
        self.files.append(Path(local_path).name)


@dataclass
class Wandb:
    """The module `wandb`."""

    runs: list[WandbRun] = field(default_factory=list)
    Artifact: Any = Artifact

    def init(
        self,
        *,
        project: Any = None,
        name: Any = None,
        config: Any = None,
        tags: Any = None,
        mode: Any = None,
        reinit: Any = None,
    ) -> WandbRun:
        assert all(len(tag) <= 64 for tag in tags)
        options = {"project": project, "name": name, "tags": tags, "mode": mode, "reinit": reinit}
        self.runs.append(WandbRun(f"w{len(self.runs)}", config, options))
        return self.runs[-1]
