"""MLflow as a callback: by its client, so that nothing depends on the thread. Its server is what MLflow is set to.

Source: the public API of mlflow.MlflowClient, https://mlflow.org/docs/latest/api_reference/python_api/mlflow.client.html.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fssbench.extras import imported_extra
from fssbench.tracking.callback import Callback, Value
from fssbench.tracking.facts import Running, files_of, metrics_of, name_of, settings_of, tags_of

if TYPE_CHECKING:
    from fssbench.results.record import Run
    from fssbench.results.rows import Row
    from fssbench.results.run_reader import Results

EXPERIMENT = "fssbench"
"""The experiment, unless MLFLOW_EXPERIMENT_NAME names another."""
_LONGEST = 5000
"""MLflow refuses longer values of parameters and tags."""


class MLflowTracker(Callback):
    """Shows runs and trainings in MLflow.

    Args:
        rows: Whether rows.jsonl is kept there, too.
        module: The package; default `mlflow`.

    Raises:
        MissingError: If MLflow is not installed.
    """

    def __init__(self, *, rows: bool = False, module: Any = None) -> None:  # noqa: ANN401 - a package
        what = "--track mlflow needs MLflow, which can't be imported"
        self._mlflow = module or imported_extra("mlflow", what, "mlflow")
        self._rows = rows
        self._runs: dict[int, str] = {}
        self._folders: dict[int, Path | None] = {}
        self._running: dict[int, Running] = {}

    @cached_property
    def _client(self) -> Any:  # noqa: ANN401 - a class of MLflow's
        """The client, for the server or folder that MLflow is set to; a wrong one is an error of the first call."""
        return self._mlflow.MlflowClient()

    def run_started(self, number: int, run: Run, folder: Path | None) -> None:
        """Open a run, with its settings as parameters and what identifies it as tags."""
        self._open(number, name_of(run, folder), settings_of(run), tags_of(run))
        self._folders[number], self._running[number] = folder, Running()

    def row(self, number: int, row: Row) -> None:
        """Log the running mIoU now and then."""
        if (found := self._running[number].add(row)) is not None:
            self._client.log_metric(self._runs[number], "running_miou", found[1], step=found[0])

    def run_finished(self, number: int, results: Results) -> None:
        """Log the metrics and the files, and end the run."""
        for name, value in metrics_of(results.summary()).items():
            self._client.log_metric(self._runs[number], name, value)
        for path in files_of(results.folder or self._folders[number], rows=self._rows):
            self._client.log_artifact(self._runs[number], str(path))
        self._client.set_terminated(self._runs.pop(number), "FINISHED")

    def training_started(self, name: str, settings: Mapping[str, Value], folder: Path) -> None:
        """Open a run for a training."""
        from fssbench.version import __version__

        self._open(0, name, settings, {"fssbench.version": __version__})

    def training_step(self, stage: str, step: int, values: Mapping[str, float]) -> None:
        """Log the numbers of a step."""
        for name, value in values.items():
            self._client.log_metric(self._runs[0], f"{stage}/{name}" if stage else name, value, step=step)

    def training_finished(self, weights: Path) -> None:
        """End the run of a training, with the name of its weights."""
        self._client.set_tag(self._runs[0], "fssbench.weights", str(weights))
        self._client.set_terminated(self._runs.pop(0), "FINISHED")

    def close(self, *, failed: bool) -> None:
        """End the runs that are still open."""
        for identifier in self._runs.values():
            self._client.set_terminated(identifier, "FAILED" if failed else "FINISHED")
        self._runs.clear()

    def _open(self, number: int, name: str, settings: Mapping[str, Value], tags: Mapping[str, str]) -> None:
        experiment = os.environ.get("MLFLOW_EXPERIMENT_NAME") or EXPERIMENT
        found = self._client.get_experiment_by_name(experiment)
        identifier = self._client.create_experiment(experiment) if found is None else found.experiment_id
        shortened = {key: value[:_LONGEST] for key, value in tags.items()}
        run = self._client.create_run(identifier, tags=shortened, run_name=name)
        self._runs[number] = run.info.run_id
        for key, value in settings.items():
            self._client.log_param(run.info.run_id, key, str(value)[:_LONGEST])
