"""Weights & Biases as a callback. Without a key of theirs, or with WANDB_MODE=offline, nothing leaves this machine.

Source: the public API of wandb.init and wandb.Run, https://docs.wandb.ai/ref/python/.
"""

from __future__ import annotations

import netrc
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from fssbench.extras import imported_extra
from fssbench.tracking.callback import Callback, Value
from fssbench.tracking.facts import Running, files_of, metrics_of, name_of, settings_of, tags_of

if TYPE_CHECKING:
    from fssbench.results.record import Run
    from fssbench.results.rows import Row
    from fssbench.results.run_reader import Results

PROJECT = "fssbench"
"""The project, unless WANDB_PROJECT names another."""


class WandbTracker(Callback):
    """Shows runs and trainings in Weights & Biases.

    Args:
        rows: Whether rows.jsonl is kept there, too.
        module: The package; default `wandb`.

    Raises:
        MissingError: If wandb is not installed.
    """

    def __init__(self, *, rows: bool = False, module: Any = None) -> None:  # noqa: ANN401 - a package without types
        what = "--track wandb needs Weights & Biases, which can't be imported"
        self._wandb = module or imported_extra("wandb", what, "wandb")
        self._rows = rows
        self._runs: dict[int, Any] = {}
        self._folders: dict[int, Path | None] = {}
        self._running: dict[int, Running] = {}

    def run_started(self, number: int, run: Run, folder: Path | None) -> None:
        """Open a run, with its settings and what identifies it as its config."""
        tags = [f"protocol:{run.protocol.name}"[:64], f"data:{run.dataset.name}"[:64]]
        self._open(number, name_of(run, folder), {**settings_of(run), **tags_of(run)}, tags)
        self._folders[number], self._running[number] = folder, Running()

    def row(self, number: int, row: Row) -> None:
        """Log the running mIoU now and then."""
        if (found := self._running[number].add(row)) is not None:
            self._runs[number].log({"running_miou": found[1], "episodes": found[0]})

    def run_finished(self, number: int, results: Results) -> None:
        """Log the metrics and the files, and end the run."""
        run = self._runs[number]
        run.summary.update(metrics_of(results.summary()))
        files = list(files_of(results.folder or self._folders[number], rows=self._rows))
        if files:
            artifact = self._wandb.Artifact(f"run-{run.id}", type="fssbench-run")
            for path in files:
                artifact.add_file(str(path))
            run.log_artifact(artifact)
        self._runs.pop(number).finish(exit_code=0)

    def training_started(self, name: str, settings: Mapping[str, Value], folder: Path) -> None:
        """Open a run for a training."""
        self._open(0, name, dict(settings), ["training"])

    def training_step(self, stage: str, step: int, values: Mapping[str, float]) -> None:
        """Log the numbers of a step."""
        named = {f"{stage}/{name}" if stage else name: value for name, value in values.items()}
        self._runs[0].log({**named, f"{stage}/step" if stage else "step": step})

    def training_finished(self, weights: Path) -> None:
        """End the run of a training, with the name of its weights."""
        self._runs[0].summary.update({"weights": str(weights)})
        self._runs.pop(0).finish(exit_code=0)

    def close(self, *, failed: bool) -> None:
        """End the runs that are still open."""
        for run in self._runs.values():
            run.finish(exit_code=1 if failed else 0)
        self._runs.clear()

    def _open(self, number: int, name: str, config: Mapping[str, Value], tags: list[str]) -> None:
        self._runs[number] = self._wandb.init(
            project=os.environ.get("WANDB_PROJECT") or PROJECT,
            name=name,
            config=dict(config),
            tags=tags,
            mode=self._mode(),
            reinit="create_new",
        )

    @staticmethod
    def _mode() -> str | None:
        """Return the mode that the user has set; without one and without a key "offline", as it would ask for a key."""
        if os.environ.get("WANDB_MODE") or os.environ.get("WANDB_API_KEY"):
            return None
        try:
            known = netrc.netrc(os.environ.get("NETRC")).hosts
        except (OSError, netrc.NetrcParseError):
            return "offline"
        host = urlsplit(os.environ.get("WANDB_BASE_URL") or "https://api.wandb.ai").hostname
        return None if host in known else "offline"
