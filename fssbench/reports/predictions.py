"""The predictions of runs: those that were saved, or made again; each is held against the row of its episode."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from fssbench.errors import FSSBenchError
from fssbench.predictions.files import file_name, names_in, read_file, read_label_map
from fssbench.progress import tracked
from fssbench.reports.cases import matches_row

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from fssbench.reports.runs import Key, Method
    from fssbench.reports.scene import Scene
    from fssbench.results import Run

FOLDER = "predictions"
"""Name of the folder in a run folder in which its predictions are found by themselves."""


@dataclass(frozen=True, eq=False)
class Predicted:
    """The prediction of a method for an episode.

    Attributes:
        labels: uint8 (H, W) where pixels are counted: 0, and n for the n-th class of the episode.
        base: The base classes, if they are predicted separately.
        origin: "saved" or "computed again".
        verified: Whether its counts are exactly those of the row.
    """

    labels: npt.NDArray[np.uint8]
    base: npt.NDArray[np.uint8] | None
    origin: str
    verified: bool = False


def saved_folder(method: Method, given: Path | None = None) -> Path | None:
    """Return the folder of a run's saved predictions; None if there is none.

    Looked at are the given folder, "predictions" in the run folder, the folder that `fssbench score` has read, and the
    one that the command of the run names. A wrong one does no harm, as each prediction is held against its row.
    """
    folders = [given] if given is not None else []
    if method.folder is not None:
        folders.append(method.folder / FOLDER)
    sources = [fold.weights for fold in method.run.folds]
    folders += [Path(one.path) for one in sources if one.kind == "predictions" and one.path]
    folders += _named_by(method.run)
    return next((folder for folder in folders if _holds(folder, method)), None)


def _named_by(run: Run) -> list[Path]:
    """Return the folders that --save-predictions names in the commands of a run."""
    found = []
    for start in reversed(run.starts):
        words = list(start.command)
        for place, word in enumerate(words):
            if word == "--save-predictions" and place + 1 < len(words):
                found.append(Path(words[place + 1]))
            elif word.startswith("--save-predictions="):
                found.append(Path(word.partition("=")[2]))
    return found


def _holds(folder: Path, method: Method) -> bool:
    try:
        names = names_in(folder)
    except FSSBenchError:
        return False
    return any(file_name(*key) in names for key in method.rows)


def saved(method: Method, scene: Scene, keys: Collection[Key], given: Path | None = None) -> dict[Key, Predicted]:
    """Return the saved predictions of a run for episodes; those that can't be read are left out.

    Args:
        method: The run.
        scene: Its data.
        keys: The episodes.
        given: The folder, if it is known.
    """
    folder = saved_folder(method, given)
    if folder is None:
        return {}
    names, found = names_in(folder), {}
    wanted = [key for key in keys if file_name(*key) in names]
    for key in tracked(wanted, f"reading predictions of {method.name}", "episodes"):
        row = method.rows[key]
        try:
            truth = scene.truth(row)
            shape = (truth.label.shape[0], truth.label.shape[1])
            base_classes = len(scene.base_classes(row.fold))
            jointly = scene.rules.base is not None and scene.rules.base.asked == "together"
            largest = len(row.classes) + (base_classes if jointly else 0)
            labels = _read(folder / file_name(*key), shape, largest)
            base_name = file_name(*key, base=True)
            base = _read(folder / base_name, shape, base_classes) if base_name in names else None
            one = Predicted(labels, base, "saved")
            found[key] = replace(one, verified=matches_row(row, one, truth, scene))
        except FSSBenchError:
            continue
    return found


def _read(path: Path, shape: tuple[int, int], largest: int) -> npt.NDArray[np.uint8]:
    return read_label_map(path, read_file(path), shape, largest)


def repeat_command(folders: Sequence[Path | None], name: str) -> str:
    """Return the command that shows an episode again."""
    return shlex.join(["fssbench", "show", *(str(folder) for folder in folders if folder), "--episode", name])


def unverified(predicted: Mapping[Key, Predicted]) -> list[Key]:
    """Return the episodes whose prediction is not the one of the row."""
    return [key for key, one in predicted.items() if not one.verified]


def all_verified(predicted: Sequence[Mapping[Key, Predicted]], keys: Collection[Key]) -> bool:
    """Return whether every method has the prediction of the row of every episode."""
    return all(key in one and one[key].verified for one in predicted for key in keys)
