"""The index of the embedded data set as a file of the package: drawing 2,400 label maps to count them takes seconds.

`index.npz` holds, for the facts that it was made from and no others, the image, class and pixels of each row of both
splits, and the classes of all objects of each training image. After a change of `VERSION` it is made anew:

    python -m fssbench.datasets.shapes20i.dataset
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fssbench.datasets.io.index_cache import frame_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from fssbench.datasets.dataset import Split

FILE = Path(__file__).with_name("index.npz")


def shipped_index(split: Split, facts: str) -> pd.DataFrame | None:
    """Return the index of a split; None if the file is of other facts, such as another seed."""
    with np.load(FILE, allow_pickle=False) as arrays:
        if str(arrays["facts"]) != facts:
            return None
        numbers, class_ids, pixels = arrays[split].T.tolist()
    names = [f"{split}_{number:04d}" for number in numbers]
    return frame_of(zip(names, class_ids, pixels, strict=True))


def shipped_placed(facts: str) -> dict[str, set[int]] | None:
    """Return the classes of all objects of each training image; None if the file is of other facts."""
    with np.load(FILE, allow_pickle=False) as arrays:
        if str(arrays["facts"]) != facts:
            return None
        placed = arrays["placed"].tolist()
    return {
        f"train_{number:04d}": {class_id for class_id in range(bits.bit_length()) if bits >> class_id & 1}
        for number, bits in enumerate(placed, 1)
    }


def write(file: Path, facts: str, indices: Mapping[Split, pd.DataFrame], placed: Mapping[str, set[int]]) -> None:
    """Write the file for `shipped_index` and `shipped_placed`."""
    train, val = (
        np.stack(
            [index["name"].str.rpartition("_")[2].astype("int32"), index["class_id"], index["pixels"]], axis=1
        ).astype(np.int32)
        for index in (indices["train"], indices["val"])
    )
    bits = np.array([sum(1 << class_id for class_id in placed[name]) for name in sorted(placed)], np.int32)
    np.savez_compressed(file, facts=np.array(facts), placed=bits, train=train, val=val)
