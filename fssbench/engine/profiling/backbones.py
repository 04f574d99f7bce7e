"""Backbones side by side: one training-free method on one list of episodes, what each reaches and what it costs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fssbench.engine.profiling.bench import evaluated, read_profile
from fssbench.engine.profiling.profile import PROFILE
from fssbench.errors import UsageError
from fssbench.escape import in_path
from fssbench.progress import Activity

if TYPE_CHECKING:
    from fssbench.comparison.differences import Difference
    from fssbench.engine.profiling.profile import Profile
    from fssbench.metrics.summary import Summary
    from fssbench.results.run_reader import Results


@dataclass(frozen=True, eq=False)
class BackboneRun:
    """The run of one backbone.

    Attributes:
        backbone: Its name.
        results: The run.
        summary: The metrics of the run.
        profile: Where its time went; None if the run was finished before and has no profile.
        parameters: How many parameters the network has; layers that never run are not counted.
    """

    backbone: str
    results: Results
    summary: Summary
    profile: Profile | None
    parameters: int

    @property
    def milliseconds(self) -> float | None:
        """Time to encode an image, in milliseconds."""
        if self.profile is None or not self.profile.images:
            return None
        return 1000 * sum(line.seconds for line in self.profile.lines if line.stage == "encode") / self.profile.images

    def record(self, difference: Difference | None) -> dict[str, str | int | float | None]:
        """Return a flat row; metrics in per cent, differences in percentage points; None where one can't be given.

        Args:
            difference: Its mIoU against that of the first backbone; None for the first.
        """
        (model,) = self.results.run.folds[0].weights.hub or (None,)
        intervals = self.summary.intervals
        numbers: dict[str, float | None] = {
            "miou": self.summary.miou,
            "miou_low": intervals["miou"].low,
            "miou_high": intervals["miou"].high,
            "fb_iou": self.summary.fb_iou,
            "fb_iou_low": intervals["fb_iou"].low,
            "fb_iou_high": intervals["fb_iou"].high,
            "difference": None if difference is None else difference.difference,
            "difference_low": None if difference is None else difference.interval.low,
            "difference_high": None if difference is None else difference.interval.high,
            "p_holm": None if difference is None else difference.p_holm,
            "milliseconds_per_image": self.milliseconds,
        }
        return {
            "backbone": self.backbone,
            "revision": "" if model is None else model.revision,
            "sha256": self.results.run.folds[0].weights.sha256,
            **{name: None if value is None or isnan(value) else round(value, 4) for name, value in numbers.items()},
            "parameters": self.parameters,
            "peak_memory_mib": None if self.profile is None else self.profile.peak_bytes >> 20,
            "device": None if self.profile is None else self.profile.device,
            "threads": None if self.profile is None else self.profile.threads,
            "episodes": self.summary.episodes,
            "folder": str(self.results.folder),
        }


def run_folders(out: Path, backbones: Sequence[str]) -> dict[str, Path]:
    """Return the run folder of each backbone."""
    found: dict[str, Path] = {}
    for name in backbones:
        plain = in_path(name).strip("-.")
        taken = {path.name for path in found.values()}
        free = (plain if number == 1 else f"{plain}-{number}" for number in range(1, len(backbones) + 1))
        found[name] = out / next(folder for folder in free if folder not in taken)
    return found


def measure_backbones(
    method: str, backbones: Sequence[str], options: Sequence[str], out: Path
) -> Iterator[BackboneRun]:
    """Evaluate a method on each backbone in a process of its own and yield the runs, which stay in their folders.

    Args:
        method: A method without training.
        backbones: Names of backbones.
        options: Options of `fssbench eval` that are the same for all.
        out: Folder of the run folders.

    Raises:
        UsageError: If `fssbench eval` fails, with its message.
    """
    for number, (name, folder) in enumerate(run_folders(out, backbones).items(), 1):
        arguments = ["--method", method, "--backbone", name, *options]
        what = f"{method} on {name}"
        with Activity(f"measuring {what} ({number} of {len(backbones)})", None, "episodes") as activity:
            results = evaluated(arguments, folder, what, activity)
        profile = folder / PROFILE
        yield BackboneRun(
            backbone=name,
            results=results,
            summary=results.summary(),
            profile=read_profile(profile) if profile.is_file() else None,
            parameters=parameter_count(method, name, results),
        )


def parameter_count(method: str, backbone: str, results: Results) -> int:
    """Return how many parameters a method without training has on a backbone, without layers that never run."""
    from fssbench.backbones import UnusedLinear
    from fssbench.methods import build

    run = results.run
    options: dict[str, Any] = dict(run.method.options)
    built = build(method, backbone, run.method.variant, run.way, run.shot, **options)
    unused = {id(value) for part in built.modules() if isinstance(part, UnusedLinear) for value in part.parameters()}
    return sum(value.numel() for value in built.parameters() if id(value) not in unused)


def check_training_free(method: str) -> None:
    """Refuse a method whose weights are trained for one backbone, or that has no backbone.

    Raises:
        UsageError: Naming the methods that are left.
    """
    from fssbench.methods.catalogue import list_methods, method_info

    info = method_info(method)
    if info.training == "training-free" and len(info.backbones) > 1:
        return
    why = "has no backbone to choose" if len(info.backbones) < 2 else "has weights that are trained for one backbone"
    fitting = [
        name for name in list_methods() if (known := method_info(name)).training == "training-free" and known.backbones
    ]
    raise UsageError(f"{method} {why}", f"--method {' or '.join(name for name in fitting)}")
