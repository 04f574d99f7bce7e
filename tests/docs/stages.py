"""How the commands of a page are run: what lies in the folder before, what stands in for data, weights and networks."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

Command = Callable[..., tuple[int, str, str]]
"""Runs a command and returns its exit code, output and messages."""

Prepare = Callable[[Command], None]


@dataclass(frozen=True)
class Stage:
    """What the commands of a page need.

    Attributes:
        before: Makes what the page takes to be there, such as photos.
        instead: What is typed in place of a part of a line; the first that is in a line comes first.
        between: Makes something before the first line that has a text, such as an edit that the page asks for.
        ends: The exit code of a line that has a text, if it is not 0, and what it prints.
        lines: What is run in place of a line that has a text.
    """

    before: tuple[Prepare, ...] = ()
    instead: Mapping[str, str] = field(default_factory=dict)
    between: Mapping[str, Prepare] = field(default_factory=dict)
    ends: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    lines: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


COMPUTING = ("eval", "train", "score", "bench", "bench-backbones", "validate", "show", "launch")
"""Commands that would need photos and networks; `episodes` would need lists."""

STAND_INS = {
    r"--train-dataset \w+ --dataset (suim|pascal5i)": "--train-dataset shapes20i --dataset shapes20i-underwater",
    r"--dataset pascal5i,coco20i\b": "--dataset 'shapes20i*' --train-dataset shapes20i",
    r"--dataset pascal5i --train-dataset \w+": "--dataset shapes20i-underwater --train-dataset shapes20i",
    r"--dataset (pascal5i|coco20i|suim)\b": "--dataset shapes20i",
    r"--fold 1 --class (cat|dog)|--class (cat|dog)": "--fold 0 --class gear",
    r"--method (gfsam|fssdino|seggpt|matcher|persam|insid3)\b": "--method prototype --backbone small",
    r"--backbone (small,)?resnet50\S*": "--backbone small",
    r"(eval --method \./mynet.py:MyNet .*)": r"\1 --random-weights",
    r"--checkpoint \w+\.pth --backbone-weights \w+\.pth": "",
}
"""The embedded data set and its small networks stand in for photos and released weights."""

QUICK = {
    "eval": "--limit 2",
    "train": "--steps 2 --batch 2",
    "report": "--episodes 2 --no-similarity",
    "show --dataset": "--count 3",
    "bench-backbones": "--episodes 2",
    "data fetch": "--dry-run",
}
"""What commands are given besides, so that they take little time, or fetch nothing."""


def typed(line: str, stage: Stage) -> list[str]:
    """Return what is run in place of a line of a page."""
    for text, lines in stage.lines.items():
        if text in line:
            return list(lines)
    line = re.sub(r"^torchrun .* -m ", "", re.sub(r"\s+#.*", "", line))
    for text, other in stage.instead.items():
        line = line.replace(text, other)
    name = line.split()[1] if line.startswith("fssbench ") else ""
    if name in COMPUTING or (name == "episodes" and "shapes20i" not in line):
        for pattern, other in STAND_INS.items():
            line = re.sub(pattern, other, line)
    for start, more in QUICK.items():
        if re.match(rf"fssbench {start}( |$)", line) and not re.search("--(replay|references|absent)", line):
            line = f"{line} {more}"
    return [line]


def evaluated(*runs: str) -> Prepare:
    """Return what evaluates "METHOD" or "METHOD FOLDER" on two episodes, into runs/METHOD or the folder."""

    def prepare(command: Command) -> None:
        for run in runs:
            method, _, folder = run.partition(" ")
            on = ("--dataset", "shapes20i", "--fold", "0", "--limit", "2", "--quiet")
            code, _, err = command("eval", "--method", method, *on, "--out", folder or f"runs/{method}")
            assert code == 0, err

    return prepare


def made_lists(command: Command) -> None:
    """Evaluate floors on a list with references and absent queries, into the folders that examples name."""
    on = ("--dataset", "shapes20i", "--fold", "0", "--quiet")
    made = ("--episodes", "8", "--references", "2", "--absent", "0.25")
    for name in ("hsnet", "panet", "nothing", "all-foreground"):
        method = "nothing" if name == "panet" else "all-foreground"
        assert command("eval", "--method", method, *on, *made, "--out", f"runs/{name}")[0] == 0


def whole_fold(command: Command) -> None:
    """Evaluate a floor on a whole fold, so that there is a committed number for it."""
    on = ("--dataset", "shapes20i", "--fold", "0", "--quiet")
    assert command("eval", "--method", "nothing", *on, "--out", "runs/first")[0] == 0


def printed_numbers(_: Command) -> None:
    """Write numbers.csv, as docs/printed.md shows it."""
    lines = (
        "method,source,location,dataset,way,shot,backbone,fold0,fold1,fold2,fold3,mean",
        "MyNet,My paper,Table 1,pascal5i,1,1,resnet50,66.1,71.0,62.4,60.9,65.1",
    )
    Path("numbers.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    Path("another.csv").write_text("\n".join(lines).replace("My paper", "Another paper") + "\n", encoding="utf-8")


def as_printed(_: Command) -> None:
    """Write a run whose numbers are what HSNet's paper prints, about: 64.0."""
    from tests.checking.runs import measured_run, released

    measured_run(Path("runs/hsnet-pascal"), released(), 0.64)


def own_method(command: Command, name: str = "MyNet") -> None:
    """Write mynet.py with the class that pages name."""
    assert command("new", "method", "mynet")[0] == 0
    Path("mynet.py").write_text(Path("mynet.py").read_text(encoding="utf-8").replace("Mynet", name), "utf-8")


def photos(_: Command) -> None:
    """Draw supports with masks, a query and a folder of photos."""
    Path("photos").mkdir()
    for number, name in enumerate(("dog", "dog2", "cat", "a", "holiday", "photos/one", "photos/two")):
        photo, mask = drawn(number)
        Image.fromarray(photo).save(f"{name}.jpg")
        if "/" not in name:
            Image.fromarray(mask).save(f"{name}.png")


def drawn(number: int, side: int = 320) -> tuple[np.ndarray, np.ndarray]:
    """Return a photo and its mask (255 on the object): a square on noise."""
    random = np.random.default_rng(number)
    photo = random.integers(0, 120, (side, side, 3), dtype=np.uint8)
    mask = np.zeros((side, side), dtype=np.uint8)
    start = 40 + 10 * (number % 6)
    mask[start : start + 140, start : start + 120] = 255
    photo[mask > 0] = (220, 180, 40)
    return photo, mask


def own_data(_: Command) -> None:
    """Draw the folder of docs/own-data.md: 7 cats, 6 dogs, 6 sheep, a mask for each."""
    for offset, (name, count) in enumerate({"cat": 7, "dog": 6, "sheep": 6}.items()):
        for folder in ("images", f"masks/{name}"):
            Path("own-data", folder).mkdir(parents=True, exist_ok=True)
        for number in range(1, count + 1):
            photo, mask = drawn(10 * offset + number, 200)
            Image.fromarray(photo).save(f"own-data/images/{name}{number}.jpg")
            Image.fromarray(mask).save(f"own-data/masks/{name}/{name}{number}.png")


def more_own_data(_: Command) -> None:
    """Copy the folder, for further examples that begin with it."""
    for folder in ("photos/annotated", "begun"):
        shutil.copytree("own-data", folder)


def for_training(_: Command) -> None:
    """Edit the folder as docs/own-data.md asks before a training: val.txt and two folds."""
    Path("own-data/val.txt").write_text("".join(f"{name}{n}\n" for name in ("cat", "dog", "sheep") for n in (1, 2)))
    toml = Path("own-data/dataset.toml")
    text = toml.read_text(encoding="utf-8")
    text = re.sub(r"^#? ?folds = .*\n", "", text, flags=re.MULTILINE)
    toml.write_text('folds = [["cat", "dog"], ["sheep"]]\n' + text, encoding="utf-8")


def predictions(_: Command) -> None:
    """Write an empty label map for each episode of the lists in the folder, as somebody's predict.py would."""
    import json

    from fssbench.predictions.files import encode_png

    dataset = None
    Path("predictions").mkdir(exist_ok=True)
    for path in Path().glob("list*.json"):
        episodes = json.loads(path.read_text(encoding="utf-8"))
        from fssbench import open_dataset

        dataset = dataset or open_dataset(episodes["dataset"])
        for episode in episodes["episodes"]:
            if episodes["answer"]["score_at"] == "input":
                height, width = episodes["answer"]["input"]
            else:
                height, width = dataset.label(episode["query"]).shape
            Path("predictions", f"{episode['id']}.png").write_bytes(encode_png(np.zeros((height, width), np.uint8)))


def hub_model(_: Command) -> None:
    """Save a tiny DINOv2 as the folder my-model."""
    from tests.hub.models import saved

    saved("dinov2", Path("my-model"))


def lists(command: Command) -> None:
    """Export a list of each fold, and one that does not say its fold in its name."""
    for fold, name in (("all", "list-fold{fold}.json"), ("0", "list.json")):
        on = ("--dataset", "shapes20i", "--fold", fold, "--count", "2")
        assert command("episodes", "export", *on, "--out", name)[0] == 0


def shards(command: Command) -> None:
    """Evaluate two shards, in the folder of a run and in folders of their own."""
    on = ("--dataset", "shapes20i", "--fold", "0", "--limit", "2", "--quiet")
    for number in (1, 2):
        for folder in ("runs/coco", f"runs/coco-{number}of2"):
            shard = ("--out", folder, "--shard", f"{number}/2")
            assert command("eval", "--method", "nothing", *on, *shard)[0] == 0


def training(command: Command) -> None:
    """Train HSNet for two steps."""
    on = ("--dataset", "shapes20i", "--fold", "0", "--steps", "2", "--out", "runs/train-hsnet")
    assert command("train", "--method", "hsnet", *on)[0] == 0


def part_of_voc(_: Command) -> None:
    """Draw a VOC of two images in data/VOC2012."""
    for folder in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        Path("data/VOC2012", folder).mkdir(parents=True)
    names = ("2007_000033", "2007_000042")  # two of its first in val
    for number, name in enumerate(names):
        photo, mask = drawn(number)
        Image.fromarray(photo).save(f"data/VOC2012/JPEGImages/{name}.jpg")
        Image.fromarray((mask // 255).astype(np.uint8)).save(f"data/VOC2012/SegmentationClass/{name}.png")
    for split in ("train", "val", "trainval"):
        Path(f"data/VOC2012/ImageSets/Segmentation/{split}.txt").write_text("\n".join(names))


NO_NETWORK = (2, "try:")
"""How a command ends that needs a network: the message says what to do."""

MISSES = {"check runs/hsnet-pascal": (1, "miss"), "--tolerance 0.4 runs/hsnet-pascal": (1, "miss")}
"""The made-up run of `as_printed` is as printed in the mean, and not on every fold."""
