"""From the name of a backbone to the files of its model, without torch."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fssbench.errors import BrokenFileError, MissingError, UsageError
from fssbench.escape import plain
from fssbench.hub.configs import CONFIG, Json, depth_of, read_config, read_json, statistics
from fssbench.hub.families import Family, Statistics
from fssbench.hub.names import HubName, hub_name
from fssbench.hub.snapshots import INDEX, WEIGHTS, Snapshot, cached, downloaded, page
from fssbench.progress import animated

_SHARD = re.compile(r"[\w-][\w.-]*\.safetensors", re.ASCII)
_PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.h5", "*.msgpack")
_LICENCE = re.compile(r"^license(?:_name)?:[ \t]*[\"']?([\w.+ -]{1,60})[\"']?[ \t]*$", re.MULTILINE | re.ASCII)
_CARD_BYTES = 1 << 16


@dataclass(frozen=True)
class HubNetwork:
    """A model of the hub that is a backbone.

    Attributes:
        name: As it was typed.
        snapshot: Its files.
        family: The family of its network.
        config: The configuration of its vision network.
        depth: Number of its blocks or stages.
        layers: Numbers of those whose maps are used, from 1.
        mean: Mean of the images that it was trained on, for pixels in 0..1.
        std: Their standard deviation.
        weights: The files of its weights.
        licence: According to its model card; empty if there is none here.
    """

    name: HubName
    snapshot: Snapshot
    family: Family
    config: Json
    depth: int
    layers: tuple[int, ...]
    mean: Statistics
    std: Statistics
    weights: tuple[Path, ...]
    licence: str


def hub_network(name: str) -> HubNetwork:
    """Return what is known of a backbone; files that are not in the hub's cache are downloaded.

    Args:
        name: "hf:OWNER/NAME[@REVISION][#LAYERS]" or "hf:./FOLDER[#LAYERS]".

    Raises:
        UsageError: If the name is not of that form, the network is not a backbone here, or has no such layers.
        MissingError: If there is no such model, folder or weight file, or the hub can't be reached.
        BrokenFileError: If the configuration is not valid.
    """
    wanted = hub_name(name)
    snapshot = _snapshot(wanted)
    path = snapshot.folder / CONFIG
    family, config = read_config(path)
    depth = depth_of(path, family, config)
    unit = "stages" if family.hierarchical else "blocks"
    if wanted.layers and wanted.layers[-1] > depth:
        raise UsageError(
            f"{name} has {depth} {unit}, not {wanted.layers[-1]}",
            f"#{','.join(map(str, family.default_layers(depth)))}",
        )
    if family.hierarchical and len(wanted.layers) > 3:
        raise UsageError(f"{name}: a pyramid has at most three sizes of maps", "name at most three stages")
    if family.form == "grid" and isinstance(config.get("image_size"), list):
        raise UsageError(f"{path}: image_size is not that of a square", "use a model for square images")
    mean, std = statistics(snapshot.folder, family)
    return HubNetwork(
        name=wanted,
        snapshot=snapshot,
        family=family,
        config=config,
        depth=depth,
        layers=wanted.layers or family.default_layers(depth),
        mean=mean,
        std=std,
        weights=weight_files(snapshot.folder),
        licence=licence_of(snapshot.folder),
    )


def weight_files(folder: Path) -> tuple[Path, ...]:
    """Return the files of a model's weights: one, or those that its index lists; () if they are not all here.

    Raises:
        BrokenFileError: If the index is not valid.
    """
    if (folder / WEIGHTS).is_file():
        return (folder / WEIGHTS,)
    if not (folder / INDEX).is_file():
        return ()
    found = read_json(folder / INDEX).get("weight_map")
    names = set(found.values()) if isinstance(found, Mapping) and all(map(_is_text, found.values())) else set()
    if not names or not all(_SHARD.fullmatch(name) for name in names):
        raise BrokenFileError(f"{folder / INDEX} does not list files of weights")
    files = tuple(folder / name for name in sorted(names))
    return files if all(file.is_file() for file in files) else ()


def licence_of(folder: Path) -> str:
    """Return the licence according to the metadata of a model card (README.md); empty if there is none."""
    card = folder / "README.md"
    if not card.is_file():
        return ""
    with card.open("rb") as file:
        text = file.read(_CARD_BYTES).decode("utf-8", "replace")
    parts = text.split("---", 2)
    found = _LICENCE.findall(parts[1]) if len(parts) == 3 and not parts[0].strip() else []
    # "license: other" is followed by the licence's name.
    return next((one.strip() for one in found if one.strip() != "other"), "other" if found else "")


def _snapshot(wanted: HubName) -> Snapshot:
    if wanted.folder:
        return _local(wanted)
    found = cached(wanted.repository, wanted.revision, [CONFIG])
    if found is not None and weight_files(found.folder):
        return found
    # What is missing is downloaded at the commit that is in the cache.
    revision = wanted.revision if found is None else found.revision
    instead = "copy the model's folder from elsewhere, and name it as hf:./FOLDER"
    if Path(wanted.repository).is_dir():
        instead = f"hf:./{wanted.repository} for the folder here"
    found = downloaded(wanted.repository, revision, progress=animated(sys.stderr), instead=instead)
    for needed, there in ((CONFIG, (found.folder / CONFIG).is_file()), (WEIGHTS, weight_files(found.folder))):
        if not there:
            raise MissingError(
                f"{wanted.repository} has no {needed} at {found.revision}; weights in other formats are not read",
                f"see {page(wanted.repository)} for another revision, or another model",
            )
    return found


def _local(wanted: HubName) -> Snapshot:
    folder = wanted.path
    if not folder.is_dir():
        raise MissingError(f"there is no folder {folder}", "hf:./FOLDER, with config.json and model.safetensors in it")
    if not (folder / CONFIG).is_file():
        raise MissingError(f"{folder} holds no model: it has no {CONFIG}", "model.save_pretrained(FOLDER) writes one")
    if (folder / "adapter_config.json").exists():
        raise UsageError(f"{folder} holds an adapter of another model", "merge it into the model and save that")
    if weight_files(folder):
        return Snapshot(folder)
    remedy = "model.save_pretrained(FOLDER) of transformers writes model.safetensors"
    if (folder / INDEX).is_file():
        raise MissingError(f"{folder} lacks files that its {INDEX} lists", "copy all of them")
    pickled = sorted({path.name for pattern in _PICKLED for path in folder.glob(pattern)})
    if pickled:
        raise MissingError(f"{folder} has no {WEIGHTS}; {plain(pickled[0])} is not read, since it may run code", remedy)
    raise MissingError(f"{folder} has no {WEIGHTS}", remedy)


def _is_text(value: object) -> bool:
    return isinstance(value, str)
