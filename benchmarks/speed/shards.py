"""How many images are encoded when a run is cut into shards, for docs/scale.md.

    python benchmarks/speed/shards.py [--entries val.json.gz] [--episodes 1000] [--shots 5] [--shards 8,64] [--out CSV]

Lists are drawn as COCO-20i's are, four folds of 20 classes: the class first, then its images. `--entries` is a file
{"0": [image, ...], ...} of the 80 classes of a release's list; without it classes have images that are drawn without
regard to each other, as in scale.py. "By order" is each fold's order of work, cut into equal parts, as until version
0.2; "by seams" is `fssbench.planning.cut`. Each is the number of images that all shards encode, over that of one job.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import time
from collections.abc import Iterable
from itertools import chain
from pathlib import Path

import torch
from measured import keep

from fssbench.engine.order import order_of_work
from fssbench.episode import Episode
from fssbench.planning.cut import FoldEpisodes, numbers_of, shards_of
from fssbench.results.environment import environment
from fssbench.results.shard import Shard

FOLDS, CLASSES = 4, 80


def entries_of(path: Path | None, chance: random.Random) -> dict[int, list[str]]:
    """Return the images of each class."""
    if path is None:
        places = chance.sample(range(1, CLASSES + 1), CLASSES)
        return {c: [str(i) for i in chance.sample(range(40_000), int(10_000 / places[c] ** 0.7))] for c in range(80)}
    raw = json.loads(gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes())
    return {int(c): [str(image) for image in images] for c, images in raw.items()}


def drawn(entries: dict[int, list[str]], episodes: int, shots: int, chance: random.Random) -> list[FoldEpisodes]:
    """Return a list of each fold."""
    lists: list[FoldEpisodes] = []
    for fold in range(FOLDS):
        found = []
        for _ in range(episodes):
            one = chance.choice(range(fold, CLASSES, FOLDS))
            query, *supports = chance.sample(entries[one], 1 + shots)
            found.append(Episode(query, (one,), (tuple(supports),), one))
        lists.append((fold, found))
    return lists


def images_of(episodes: Iterable[Episode]) -> set[str]:
    """Return the images of episodes."""
    return {name for one in episodes for name in (one.query, *chain(*one.supports))}


def encoded(lists: list[FoldEpisodes], shards: Iterable[list[list[int]]]) -> int:
    """Return how many images all shards encode."""
    return sum(
        len(images_of(one[n] for (_, one), numbers in zip(lists, shard, strict=True) for n in numbers))
        for shard in shards
    )


def main() -> None:
    """Measure, print, and add rows to the CSV."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=Path, help="The images of each class; default drawn at random.")
    parser.add_argument("--episodes", type=int, default=1000, help="Of each fold.")
    parser.add_argument("--shots", type=int, default=5)
    parser.add_argument("--shards", default="8,64,512")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="CSV to which rows are added.")
    given = parser.parse_args()
    chance = random.Random(given.seed)
    lists = drawn(entries_of(given.entries, chance), given.episodes, given.shots, chance)
    images = len(images_of(chain.from_iterable(one for _, one in lists)))
    for count in map(int, given.shards.split(",")):
        by_order = [[order_of_work(one, shard=Shard(part, count)) for _, one in lists] for part in range(1, count + 1)]
        began = time.process_time()
        numbers_of(lists, Shard(1, count))
        seconds = time.process_time() - began
        by_seams = shards_of(lists, count)
        sizes = [sum(map(len, shard)) for shard in by_seams]
        row = {
            "entries": "random" if given.entries is None else "COCO-20i, HSNet's val",
            "episodes": given.episodes * FOLDS,
            "shots": given.shots,
            "seed": given.seed,
            "images": images,
            "shards": count,
            "by_order": f"{encoded(lists, by_order) / images:.2f}",
            "by_seams": f"{encoded(lists, by_seams) / images:.2f}",
            "smallest": min(sizes),
            "largest": max(sizes),
            "planning_s": f"{seconds:.1f}",
            "machine": environment(torch.device("cpu"), None).device_name,
        }
        keep(row, given.out)


if __name__ == "__main__":
    main()
