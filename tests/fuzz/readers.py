"""The readers of files from outside, each with valid files to begin with."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import scipy.io
import torch
from PIL import Image
from pydantic import TypeAdapter, ValidationError
from safetensors.torch import save

from fssbench.checking.baselines import read_file as read_baselines
from fssbench.checkpoints import files as weights
from fssbench.checkpoints import registry
from fssbench.checkpoints.loading import read_state
from fssbench.datasets.coco20i import labels as coco
from fssbench.datasets.coco20i.image_order import read_image_list
from fssbench.datasets.folder import coco as own_coco
from fssbench.datasets.folder.description import read_description
from fssbench.datasets.folder.exports import read_export
from fssbench.datasets.io import images, pickled_annotations, pickled_array, pickled_lists
from fssbench.datasets.io.archives import files_in
from fssbench.datasets.io.matlab import read_matlab
from fssbench.datasets.pascalpart.files import read_lists, read_objects
from fssbench.datasets.roots import configured_roots
from fssbench.downloads.unpacking import names_in, unpack
from fssbench.episode import Episode, EpisodeList, read_episodes, write_episodes
from fssbench.episode.files import header
from fssbench.episode.schema import EpisodeFile
from fssbench.hub.configs import depth_of, read_config, statistics
from fssbench.hub.families import families
from fssbench.photos.masks import read_mask
from fssbench.predictions.files import read_file, read_label_map
from fssbench.predictions.presence import read_presence
from fssbench.protocols.own import protocol_of_file
from fssbench.reports.history import read_log
from fssbench.results import Run, read_rows
from fssbench.results.rows import line_of
from fssbench.results.run_reader import read_run
from fssbench.training.recipes import read_recipes
from tests.datasets.trees import annotation, box, instances
from tests.engine.stub import questions
from tests.results.example_rows import NEXT, ROW
from tests.tables.runs import run_of

SIDE = 12
"""Height and width of the images."""


@dataclass(frozen=True)
class Reader:
    """A reader of files.

    Attributes:
        file: The name that its file has, in folders if it needs them.
        read: Reads the file in a folder of its own.
        seeds: Returns contents that are valid.
    """

    file: str
    read: Callable[[Path], object]
    seeds: Callable[[], Sequence[bytes]]


def texts(*contents: str) -> Callable[[], list[bytes]]:
    return lambda: [content.encode() for content in contents]


def _config(path: Path) -> object:
    before = os.environ.get("XDG_CONFIG_HOME")
    os.environ["XDG_CONFIG_HOME"] = str(path.parent.parent)
    try:
        return configured_roots()
    finally:
        os.environ.pop("XDG_CONFIG_HOME")
        os.environ.update({} if before is None else {"XDG_CONFIG_HOME": before})


def _state(path: Path) -> object:
    return weights.file_metadata(path), weights.stored_precision(path), weights.stated_options(path), read_state(path)


def _own_coco(path: Path) -> object:
    photo = path.parent / "p0.jpg"
    annotated, faults, names = own_coco.read_annotations(path, {1: "leaf", 2: "stem"}, {"p0": photo})
    painted = [own_coco.paint(one, photo, (SIDE, SIDE), every_object=True) for one in annotated.values()]
    return faults, names, painted, own_coco.read_annotations(path, None, {"p0": photo})


def _coco(path: Path) -> object:
    read = coco.read_annotations(path, "download it again")
    return [coco.paint(one, rule) for one in read.values() for rule in ("hsnet", "pycocotools", "large")]


def _photo(path: Path) -> object:
    return images.read_photo(path), images.read_photo(path, upright=True), images.size_of(path, upright=True)


def _mask(path: Path) -> object:
    return images.read_foreground(path), images.read_grey(path)


def _prediction(path: Path) -> object:
    return read_label_map(path, read_file(path), (SIDE, SIDE), 3)


def _hub(path: Path) -> object:
    family, config = read_config(path)
    return depth_of(path, family, config), statistics(path.parent, family)


def _archive(path: Path) -> object:
    found = list(files_in(path, lambda name: True, largest=1 << 16))
    return found, names_in(path), unpack(path, path.parent / "into", ["(.*)"], path.parent / "part")


def _sealed(path: Path) -> object:
    """Read an episode list whose hashes were made to fit its content, as anybody can."""
    try:
        found = EpisodeFile.model_validate_json(path.read_bytes())
        names = {field.name for field in fields(EpisodeList)} - {"episodes"}
        episodes = tuple(Episode(e.query, e.classes, e.supports, e.query_class) for e in found.episodes)
        made = EpisodeList(episodes=episodes, **{name: getattr(found, name) for name in names})
        head: dict[str, object] = {**header(made)}
        if found.answer is not None:
            head["answer"] = found.answer.model_dump(mode="json")
        text = json.dumps(head, sort_keys=True, separators=(",", ":"))
        sealed = {**found.model_dump(), "hash": made.hash, "header_hash": hashlib.sha256(text.encode()).hexdigest()}
        path.write_text(json.dumps(sealed))
    except ValidationError:
        pass
    read = read_episodes(path)
    return read.hash, repr(read), read._repr_html_()


def _png(*modes: str) -> bytes:
    image = Image.fromarray(np.arange(SIDE * SIDE, dtype=np.uint8).reshape(SIDE, SIDE) % 3)
    for mode in modes:
        image = image.convert(mode)
    return _saved(image, "PNG")


def _first(path: Path, table: bytes, count: int = 2) -> bytes:
    """Return the first tables of a TOML file."""
    parts = path.read_bytes().split(b"\n" + table)
    return (b"\n" + table).join(parts[: count + 1])


def _saved(image: Image.Image, form: str) -> bytes:
    file = io.BytesIO()
    image.save(file, form)
    return file.getvalue()


def _images() -> list[bytes]:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8))
    wide = Image.fromarray(np.full((SIDE, SIDE), 40_000, np.uint16))
    exif = io.BytesIO()
    turned = Image.Exif()
    turned[0x0112] = 6
    noise.save(exif, "JPEG", exif=turned)
    return [_saved(noise, "JPEG"), exif.getvalue(), _saved(noise, "PNG"), _saved(wide, "PNG"), _png("P")]


def _zip_of(form: int) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", form) as archive:
        archive.writestr("a/b.txt", b"b" * 200)
        archive.writestr("c.txt", b"c")
    return file.getvalue()


def _tensors() -> dict[str, torch.Tensor]:
    return {"layer.weight": torch.arange(6.0).reshape(2, 3), "count": torch.tensor(3)}


def _torch(value: object, *, legacy: bool = False) -> bytes:
    file = io.BytesIO()
    torch.save(value, file, _use_new_zipfile_serialization=not legacy)
    return file.getvalue()


def _episodes() -> list[bytes]:
    path = Path(os.environ["XDG_CACHE_HOME"]) / "seed.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    return [write_episodes(questions(), path).read_bytes()]


def _own_json() -> list[bytes]:
    image = {"id": 1, "file_name": "p0.jpg", "height": SIDE, "width": SIDE}
    outlines = [
        {"id": 1, "image_id": 1, "category_id": 1, "segmentation": [box(1, 1, 6, 6)], "iscrowd": 0},
        {"id": 2, "image_id": 1, "category_id": 2, "segmentation": {"counts": [20, 24, 100], "size": [SIDE, SIDE]}},
        {"id": 3, "image_id": 1, "category_id": 2, "segmentation": {"counts": "d0h0T3", "size": [SIDE, SIDE]}},
    ]
    categories = [{"id": 1, "name": "leaf"}, {"id": 2, "name": "stem"}]
    return [json.dumps({"images": [image], "annotations": outlines, "categories": categories}).encode()]


def _exports() -> list[bytes]:
    shape = {"label": "leaf", "points": [[1, 1], [5, 1], [5, 5]], "shape_type": "polygon"}
    labelme = {"shapes": [shape], "imagePath": "p0.jpg", "imageHeight": SIDE, "imageWidth": SIDE}
    value = {"points": [[1, 1], [50, 1], [50, 50]], "polygonlabels": ["leaf"]}
    result = {"type": "polygonlabels", "original_width": SIDE, "original_height": SIDE, "value": value}
    studio = [{"id": 1, "data": {"image": "p0.jpg"}, "annotations": [{"result": [result]}]}]
    return [json.dumps(labelme).encode(), json.dumps(studio).encode()]


_CVAT = (
    '<annotations><image id="0" name="p0.jpg" width="12" height="12">'
    '<polygon label="leaf" points="1,1;5,1;5,5"/></image></annotations>'
)
_BOX = {"name": "dog", "bndbox": {"xmin": "1", "ymin": "1", "xmax": "9", "ymax": "9"}, "parts": []}
_PARTS = {"train": ["2008_000001"], "val": ["2008_000002"]}
_SPLITS = {1: ["2007_000001", "2007_000002"], 2: ["2007_000003"]}
_ANNOTATIONS = [{"id": 1, "segmentation": [(1.0, 2.0)], "mask": {"counts": b"d0h0T3"}, "none": None, "yes": True}]
_BASELINES = Path(__file__).parents[2] / "benchmarks" / "baselines" / "shapes20i.csv"
_TEMPLATE = Path(__file__).parents[2] / "fssbench" / "protocols" / "mine.toml.txt"
_RECIPES = Path(__file__).parents[2] / "fssbench" / "training" / "recipes.toml"
_REGISTRY = Path(__file__).parents[2] / "checkpoints.toml"


def _structs() -> bytes:
    file = io.BytesIO()
    cells = np.empty((1, 2), object)
    cells[0, 0], cells[0, 1] = np.arange(4, dtype=np.int16), "text"
    scipy.io.savemat(file, {"anno": {"a": cells, "b": np.eye(2)}})
    return file.getvalue()


def _compressed() -> bytes:
    file = io.BytesIO()
    scipy.io.savemat(file, {"anno": np.eye(3)}, do_compression=True)
    return file.getvalue()


READERS = {
    "config": Reader("fssbench/config.toml", _config, texts('[data]\npascal5i = "/data/VOC2012"\ncoco20i = "coco"\n')),
    "dataset": Reader(
        "dataset.toml",
        lambda path: read_description(path.parent),
        texts('name = "reef"\nmasks = "coco"\nfolds = [["leaf"], ["stem"]]\n[classes]\n1 = "leaf"\n2 = "stem"\n'),
    ),
    "protocol": Reader(
        "mine.toml",
        lambda path: protocol_of_file(str(path), ()),
        lambda: [_TEMPLATE.read_bytes().replace(b"$name", b"mine")],
    ),
    "recipes": Reader("recipes.toml", read_recipes, lambda: [_first(_RECIPES, b"[")]),
    "registry": Reader("checkpoints.toml", registry._read, lambda: [_first(_REGISTRY, b"[[checkpoint]]")]),
    "episodes": Reader("list.json", read_episodes, _episodes),
    "episodes-sealed": Reader("list.json", _sealed, _episodes),
    "rows": Reader("rows.jsonl", read_rows, lambda: [f"{line_of(ROW)}\n{line_of(NEXT)}\n".encode()]),
    "run": Reader("run.json", lambda path: read_run(path.parent), lambda: [TypeAdapter(Run).dump_json(run_of())]),
    "presence-json": Reader("presence.json", read_presence, texts('{"fold0-00000": [1, 0], "fold0-00001": [true]}')),
    "presence-csv": Reader("presence.csv", read_presence, texts("id,1\nfold0-00000,1\nfold0-00001,true\n")),
    "prediction": Reader("fold0-00000.png", _prediction, lambda: [_png(), _png("P"), _png("1")]),
    "photo": Reader("photo.jpg", _photo, _images),
    "mask": Reader("mask.png", _mask, lambda: [_png("1"), _png("1", "RGB"), _png("1", "RGBA")]),
    "label-map": Reader("p0.png", lambda path: images.read_label(path, 3, ignore=True), lambda: [_png(), _png("P")]),
    "safetensors": Reader(
        "a.safetensors", _state, lambda: [save(_tensors(), {"options": '{"widths": [1, 2]}', "network": "hsnet"})]
    ),
    "torch-zip": Reader("a.pt", _state, lambda: [_torch(_tensors()), _torch({"state_dict": _tensors(), "epoch": 3})]),
    "torch-legacy": Reader("a.pth", _state, lambda: [_torch(_tensors(), legacy=True)]),
    "pickled-lists": Reader(
        "a.pkl",
        pickled_lists.read_pickle,
        lambda: [pickle.dumps(_SPLITS, protocol) for protocol in (0, 2, 4)],
    ),
    "pickled-array": Reader(
        "word2vec.pkl",
        lambda path: pickled_array.read_array(path, (3, 5)),
        lambda: [pickle.dumps(np.arange(15, dtype=np.float32).reshape(3, 5), protocol=3)],
    ),
    "pickled-annotations": Reader(
        "a.pkl",
        pickled_annotations.read_annotations,
        lambda: [pickle.dumps(_ANNOTATIONS, protocol) for protocol in (0, 2, 4)],
    ),
    "matlab": Reader(
        "a.mat",
        lambda path: read_matlab(path.read_bytes(), "anno", str(path), largest=1 << 20),
        lambda: [_structs(), _compressed()],
    ),
    "coco": Reader(
        "instances.json", _coco, lambda: [instances("val", [1, 2], [annotation(1, 1, 1, box(0, 0, 60, 60))]).encode()]
    ),
    "own-coco": Reader("annotations.json", _own_coco, _own_json),
    "mask-json": Reader(
        "mask.json", lambda path: read_mask(f"{path}:leaf", Path("p0.jpg"), (SIDE, SIDE), (SIDE, SIDE)), _own_json
    ),
    "export": Reader("export.json", read_export, _exports),
    "cvat": Reader("export.xml", read_export, texts(_CVAT)),
    "part-objects": Reader(
        "a.json", lambda path: read_objects(path, ""), lambda: [json.dumps({"object": [_BOX]}).encode()]
    ),
    "part-lists": Reader(
        "a.json",
        lambda path: read_lists(path, ""),
        lambda: [json.dumps({"animals": {"object": {"dog": {"part": {"ear": _PARTS}}}}}).encode()],
    ),
    "image-list": Reader("list.txt", read_image_list, texts("a/COCO_val2014_000000000007.jpg b.png\n")),
    "baselines": Reader(
        "shapes20i.csv", read_baselines, lambda: [b"\n".join(_BASELINES.read_bytes().splitlines()[:4])]
    ),
    "history": Reader("log.csv", read_log, texts("step,loss,validation\n1,0.5,\n2,0.25,30.5\n")),
    "hub-config": Reader(
        "config.json", _hub, texts('{"model_type": "dinov2", "patch_size": 14, "num_hidden_layers": 12}')
    ),
    "hub-statistics": Reader(
        "preprocessor_config.json",
        lambda path: statistics(path.parent, next(iter(families().values()))),
        texts('{"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5], "rescale_factor": 0.00392156862745098}'),
    ),
    "archive": Reader("a.zip", _archive, lambda: [_zip_of(zipfile.ZIP_STORED), _zip_of(zipfile.ZIP_DEFLATED)]),
}
"""All readers by name."""
