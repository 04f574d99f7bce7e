"""The predictions of runs: those that were saved, or made again; each is held against the row of its episode."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from fssbench.errors import FSSBenchError
from fssbench.predictions.files import file_name, names_in, read_file, read_label_map
from fssbench.predictions.places import place_of
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


@dataclass(frozen=True)
class Place:
    """A folder of saved predictions.

    Attributes:
        folder: The folder.
        named: Whether the user has named it, or it is in the run folder or next to it. Any other is one that a record
            names, and a record may have come from anybody: of its files only those are shown whose counts are those of
            the rows.
    """

    folder: Path
    named: bool = True


def saved_folder(method: Method, given: Path | None = None) -> Path | None:
    """Return the folder of a run's saved predictions; None if there is none."""
    place = saved_place(method, given)
    return None if place is None else place.folder


def saved_place(method: Method, given: Path | None = None) -> Place | None:
    """Return where a run's predictions are saved; None if they are not.

    Looked at are the given folder, "predictions" in the run folder, the folder that the record names, the one that
    `fssbench score` has read, and the one that the command of the run names.
    """
    places = [Place(given)] if given is not None else []
    run = method.run
    if method.folder is not None:
        places.append(Place(method.folder / FOLDER))
        recorded = None if run.predictions is None else place_of(method.folder, run.predictions)
        places += [] if recorded is None else [Place(recorded)]
    sources = [fold.weights for fold in run.folds]
    elsewhere = [one.path for one in sources if one.kind == "predictions" and one.path] + _named_by(run)
    places += [Place(Path(text), named=False) for text in elsewhere if text.isprintable()]
    return next((place for place in places if _holds(place.folder, method)), None)


def refused_path(method: Method) -> str:
    """Return the path of predictions in a record that is not followed; empty if there is none."""
    recorded = method.run.predictions
    if method.folder is None or recorded is None or place_of(method.folder, recorded) is not None:
        return ""
    return recorded


def _named_by(run: Run) -> list[str]:
    """Return the folders that --save-predictions names in the commands of a run."""
    found = []
    for start in reversed(run.starts):
        words = list(start.command)
        for place, word in enumerate(words):
            if word == "--save-predictions" and place + 1 < len(words):
                found.append(words[place + 1])
            elif word.startswith("--save-predictions="):
                found.append(word.partition("=")[2])
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
    place = saved_place(method, given)
    if place is None:
        return {}
    folder = place.folder
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
            verified = matches_row(row, one, truth, scene)
            if verified or place.named:
                found[key] = replace(one, verified=verified)
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
