"""Runs with planted changes: tiny, on shapes-20i, by protocols of their own."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from fssbench.engine.runner import run_plan, run_plans
from fssbench.explaining.explain import explain
from fssbench.explaining.explanation import Explanation, Finding
from fssbench.explaining.rerunning import Again
from fssbench.explaining.sides import Question
from fssbench.planning.plan import plan
from fssbench.planning.request import Request
from fssbench.planning.settings import Settings
from fssbench.results import Results, load_run

BASE = {
    "title": '"Tiny"',
    "source": '"a test"',
    "task": '"fss"',
    "sampler": '"ifsl-fss-listed"',
    "seeds": "[0]",
    "episodes": "6",
    "split": '"val"',
    "input": "[64, 64]",
    "resize": '"pillow-bilinear"',
    "score_at": '"original"',
    "score_sizes": '["original", "input"]',
    "ignore": '"leave-out"',
    "way": "[1, 1]",
    "datasets": '["shapes20i"]',
}
CHANGES = {
    "episodes": {"seeds": "[7]"},
    "input": {"input": "[96, 80]"},
    "scored": {"score_at": '"input"'},
    "ignore": {"ignore": '"background"'},
}
"""What is planted in the protocol, by the name of the choice."""


@dataclass
class Planted:
    """A folder of runs, each evaluated once."""

    folder: Path
    known: dict[str, Results] = field(default_factory=dict)

    def run(self, *changes: str, method: str = "copy-mask", save: bool = False, **options: object) -> Results:
        """Return a run with these choices changed from the base."""
        name = "-".join(
            ["run", method.rpartition("/")[2], *sorted(changes), *(f"{key}{value}" for key, value in options.items())]
        )
        name = name.replace("/", "").replace(":", "")
        if name not in self.known:
            fields = dict(BASE)
            for change in changes:
                fields |= CHANGES[change]
            file = self.folder / f"{name}.toml"
            file.write_text("[p]\n" + "".join(f"{key} = {value}\n" for key, value in fields.items()))
            request = Request(
                method, "shapes20i", fold="0", protocol=f"{file}:p", out=self.folder / name, device="cpu", **options
            )
            run_plan(plan(request), save=self.folder / f"{name}-predictions" if save else None)
            self.known[name] = load_run(self.folder / name)
        return self.known[name]

    def again(self, name: str, limit: int | None = None) -> Again:
        """Return how runs are evaluated again, in a folder of this name."""
        return Again(self.folder / name, limit, None, "cpu", Settings(), lambda plans: run_plans(plans))


def explained(a: Results, b: Results, again: Again | None = None, **options: object) -> Explanation:
    """Return why two runs differ, with few draws."""
    return explain(replace(Question(a, b, again=again, draws=200), **options))


def finding(found: Explanation, key: str) -> Finding:
    """Return what was found of a choice."""
    return next(one for one in found.findings if one.cause.key == key)


def miou(results: Results) -> float:
    """Return the mIoU of a run."""
    return results.summary(draws=0).miou
