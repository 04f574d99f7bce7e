"""The commands that are killed: how each is prepared, how it goes on after a kill, and what it leaves in the end."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from fssbench.errors import MissingError
from tests.reliability.processes import COMMAND, Order, Server

COPY = ("eval", "--method", "copy-mask", "--dataset", "shapes20i", "--fold", "0", "--episodes", "12", "--quiet")
OWN = ("eval", "--method", "all-foreground", "--dataset", "folder", "--root", "own", "--fold", "0", "--quiet")
HERE = "tests.reliability.works"
CONTENT = b"".join(hashlib.sha256(bytes([n % 256, n // 256])).digest() for n in range(9000))
"""A file to be downloaded: nine chunks."""


@dataclass(frozen=True)
class Work:
    """A command that is killed.

    Attributes:
        name: What it is called.
        arguments: Its words.
        again: The words that go on after a kill.
        check: Called with its folder after a kill and with that of an undisturbed one: no half file is read as whole.
        prepare: Makes in an empty folder what it needs.
        call: The function that is called with the words.
    """

    name: str
    arguments: Sequence[str]
    again: Sequence[str]
    check: Callable[[Path, Path], None]
    prepare: Callable[[Server, Path], None] = lambda server, folder: None
    call: str = COMMAND

    def order(self, folder: Path, *, again: bool = False) -> Order:
        """Return what a process does in a folder."""
        return Order(folder, self.again if again else self.arguments, self.call)


def counted(folder: Path) -> list[dict[str, object]]:
    """Return the rows of a run in the order of the file, without the time that each took."""
    rows = [json.loads(line) for line in (folder / "rows.jsonl").read_text().splitlines()]
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


def files_in(folder: Path) -> list[str]:
    """Return the names of all files in a folder, those that are hidden too; an index by its data alone."""
    found = [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()]
    return sorted(name.rsplit("-", 2)[0] if name.endswith(".npz") else name for name in found)


def same_run(name: str) -> Callable[[Path, Path], None]:
    """Return a check that a run, as far as it can be read, has rows of the undisturbed one."""

    def check(folder: Path, undisturbed: Path) -> None:
        from fssbench.results import load_run

        try:
            found = load_run(folder / name)
        except MissingError:
            return
        whole = load_run(undisturbed / name)
        known = {(row.fold, row.episode): row._replace(seconds=0, Index=0) for row in whole.frame.itertuples()}
        for row in found.frame.itertuples():
            # As text: an IoU may be NaN.
            assert repr(row._replace(seconds=0, Index=0)) == repr(known[row.fold, row.episode])
        assert found.missing == len(whole.frame) - len(found.frame)
        if (folder / name / "summary.json").exists():
            assert found.missing == 0
            assert (folder / name / "summary.json").read_bytes() == (undisturbed / name / "summary.json").read_bytes()

    return check


def same_maps(folder: Path, undisturbed: Path) -> None:
    """Check a run with its label maps: each that is there is whole."""
    same_run("run")(folder, undisturbed)
    for path in (folder / "maps").glob("*.*"):
        if not path.name.startswith("."):
            assert path.read_bytes() == (undisturbed / "maps" / path.name).read_bytes(), path


def same_list(folder: Path, undisturbed: Path) -> None:
    """Check that a list is not there, or whole."""
    if (folder / "list.json").exists():
        assert (folder / "list.json").read_bytes() == (undisturbed / "list.json").read_bytes()


def same_registry(folder: Path, undisturbed: Path) -> None:
    """Check that the registry is as it was or as it will be."""
    import tomllib

    tables = [
        tomllib.loads((place / "config" / "fssbench" / "checkpoints.toml").read_text())["checkpoint"]
        for place in (folder, undisturbed)
    ]
    ids = [[table["id"] for table in one] for one in tables]
    assert ids[1] == ["first", "second"]
    assert ids[0] in (["first"], ["first", "second"])


def same_training(folder: Path, undisturbed: Path) -> None:
    """Check that weights are not there, or those of an undisturbed training."""
    from safetensors.torch import load_file

    if (folder / "out" / "weights.safetensors").exists():
        found, whole = (load_file(place / "out" / "weights.safetensors") for place in (folder, undisturbed))
        assert found.keys() == whole.keys()
        assert all(found[key].equal(whole[key]) for key in whole)


def same_download(folder: Path, undisturbed: Path) -> None:
    """Check that a file under its own name is whole."""
    if (folder / "a.zip").exists():
        assert (folder / "a.zip").read_bytes() == (undisturbed / "a.zip").read_bytes()


def same_index(folder: Path, undisturbed: Path) -> None:
    """Check nothing: whoever opens the data set compares its index with the files."""


def _own_data(server: Server, folder: Path) -> None:
    own_data(folder)


def own_data(folder: Path) -> None:
    """Make data of one's own: photos and label maps of one class."""
    from tests.datasets.trees import label_map, own_tree

    labels = {f"p{number}": label_map((1, 3, 3, 20 + number, 20), size=(40, 60)) for number in range(6)}
    own_tree(folder / "own", labels, '[classes]\n1 = "leaf"\n')


def _shards(server: Server, folder: Path) -> None:
    for part in (1, 2):
        ended = server.run(Order(folder, (*COPY, "--out", "parts", "--shard", f"{part}/2")))
        assert ended.code == 0, ended.err


def _predictions(server: Server, folder: Path) -> None:
    export = ("episodes", "export", "--dataset", "shapes20i", "--protocol", "shapes", "--count", "6")
    given = tuple(word for word in COPY if word not in ("--episodes", "12"))
    for words in (
        (*export, "--out", "list.json"),
        (*given, "--episodes", "list.json", "--out", "native", "--save-predictions", "maps"),
    ):
        ended = server.run(Order(folder, words))
        assert ended.code == 0, ended.err
    shutil.rmtree(folder / "native")


def _registered(server: Server, folder: Path) -> None:
    import torch
    from safetensors.torch import save_file

    save_file({"weight": torch.ones(3, 3)}, folder / "first.safetensors")
    save_file({"weight": torch.full((3, 3), 2.0)}, folder / "second.safetensors")
    ended = server.run(Order(folder, ("checkpoints", "add", "first.safetensors", "--id", "first", *_FACTS)))
    assert ended.code == 0, ended.err


_FACTS = ("--method", "hsnet", "--backbone", "resnet50", "--dataset", "pascal5i", "--fold", "0")


def train(folder: str) -> None:
    """Train the small backbone for some steps, or go on, and keep the state after each step."""
    import torch

    from fssbench.training import loop
    from fssbench.training.run import run_plan
    from tests.training.tiny import tiny_plan

    torch.set_num_threads(1)
    loop.SAVE_EVERY = 1
    run_plan(tiny_plan("small", Path(folder).resolve(), steps=4, resume=True))


def index(root: str) -> None:
    """Build an index of data of one's own, or read it from the cache, and compare it with the label maps."""
    import numpy as np

    from fssbench.datasets import open_dataset

    found = open_dataset("folder", Path(root))
    pixels = dict(zip(found.index("val")["name"], found.index("val")["pixels"], strict=True))
    assert len(pixels) == 6
    for name, count in pixels.items():
        assert np.count_nonzero(found.label(name) == 1) == count


def fetch(address: str) -> None:
    """Download a file."""
    from fssbench.downloads import resumable
    from fssbench.downloads.remote import Remote

    resumable.PAUSE = 0.01
    resumable.download(Remote(address, "a.zip"), Path("a.zip"), "see docs/data.md")


def works(address: str) -> list[Work]:
    """Return all commands that are killed.

    Args:
        address: Of a file on a host of this machine.
    """
    score = ("score", "--predictions", "maps", "--episodes", "list.json", "--out", "run", "--quiet")
    own = (*OWN, "--episodes", "8", "--out", "run")
    saved = (*COPY, "--out", "run", "--save-predictions", "maps")
    second = ("checkpoints", "add", "second.safetensors", "--id", "second", *_FACTS)
    export = ("episodes", "export", "--dataset", "folder", "--root", "own", "--count", "40", "--out", "list.json")
    return [
        Work("eval", (*COPY, "--out", "run"), (*COPY, "--out", "run", "--resume"), same_run("run")),
        Work("eval on own data", own, (*own, "--resume"), same_run("run"), _own_data),
        Work("eval with label maps", saved, (*saved, "--resume"), same_maps),
        Work("merge", ("merge", "parts"), ("merge", "parts", "--resume"), same_run("parts"), _shards),
        Work("score", score, (*score, "--overwrite"), same_run("run"), _predictions),
        Work("train", ("out",), ("out",), same_training, call=f"{HERE}:train"),
        Work("index", ("own",), ("own",), same_index, _own_data, f"{HERE}:index"),
        Work("checkpoints add", second, second, same_registry, _registered),
        Work("download", (address,), (address,), same_download, call=f"{HERE}:fetch"),
        Work("episodes export", export, export, same_list, _own_data),
    ]
