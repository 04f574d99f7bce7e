"""A run and its metrics as text on one line and, in a notebook, as tables; the caveats stand below the numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fssbench.escape import printable
from fssbench.metrics.shown import classes_html, metrics_html
from fssbench.notebook.html import notes, title
from fssbench.results.caveats import caveats

if TYPE_CHECKING:
    from fssbench.results.record import Run
    from fssbench.results.run_reader import Results


def results_text(results: Results) -> str:
    """Return a run on one line, e.g. "hsnet with small on shapes20i, fold 0: 5 episodes, mIoU 31.02 %"."""
    run, count = results.run, len(results.frame)
    number = f", mIoU {results.summary(draws=0).miou:.2f} %" if count else ""
    missing = f", {results.missing} without a row" if results.missing else ""
    return printable(f"{_method(run)} on {_data(run)}: {count} episodes{number}{missing}")


def results_html(results: Results) -> str:
    """Return a run as HTML: what was evaluated, its metrics, its caveats, its classes."""
    run = results.run
    head = title(
        _method(run),
        f"{_data(run)}, {run.way}-way {run.shot}-shot",
        f"protocol {run.protocol.name}",
        f"{results.missing} episodes without a row" if results.missing else "",
    )
    if not len(results.frame):
        return head + notes(["no episode was evaluated"])
    summary = results.summary()
    names = {fold.fold: run.class_names(fold.fold) for fold in run.folds}
    metrics = metrics_html(summary, presence=run.method.task == "fscs")
    return head + metrics + notes(caveats(results, summary, ())) + classes_html(summary, names)


def _method(run: Run) -> str:
    variant = f" {run.method.variant}" if run.method.variant not in (None, "fss") else ""
    backbone = f" with {run.method.backbone}" if run.method.backbone else ""
    return f"{run.method.name}{variant}{backbone}"


def _data(run: Run) -> str:
    name = run.dataset.title or run.dataset.name
    trained = f"{run.train_dataset} to " if run.train_dataset else ""
    folds = ", ".join(str(fold.fold) for fold in run.folds)
    return f"{trained}{name}, fold{'s' if len(run.folds) > 1 else ''} {folds}"
