"""Which method segments one's own photos: what was named, or the best that needs no training and is on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fssbench.checkpoints import Record, records
from fssbench.checkpoints.fetching import present
from fssbench.errors import FSSBenchError, MissingError, UsageError
from fssbench.methods.build_arguments import check_build
from fssbench.methods.catalogue import MethodInfo, method_info
from fssbench.planning.request import Request
from fssbench.planning.resolve import Names, Setting, resolve
from fssbench.planning.spelling import spelled
from fssbench.planning.weights import Source, sources_for

PREFERRED = (
    ("insid3", "dinov3-vitl16"),
    ("gfsam", "dinov2-vitl14+sam-vith"),
    ("insid3", "dinov3-vitb16"),
    ("fssdino", "dinov3-vitl16"),
    ("fssdino", "dinov3-vitb16"),
    ("fssdino", "dinov2-vitl14"),
    ("fssdino", "dinov2-vitb14"),
    ("fssdino", "dinov3-vits16"),
    ("fssdino", "dinov2-vits14"),
    ("prototype", "efficientnet-lite2"),
    ("prototype", "efficientnet-lite1"),
    ("prototype", "efficientnet-lite0"),
    ("prototype", "resnet50"),
)
"""Methods and backbones without training, best first; the first whose weights are on this machine is the default."""

_OWN_PHOTOS = "folder"
"""The data set of one's own photos, which every protocol takes."""

_IMAGENET = "pascal5i"
"""The data set whose protocol and options a method without training takes."""


@dataclass(frozen=True)
class Choice:
    """What a person names to segment photos; None for what was left out.

    Attributes:
        method: Name of the method.
        variant: Its variant.
        backbone: Its backbone.
        train_dataset: The data set that its weights were trained on.
        fold: The fold whose classes they have not seen.
        checkpoint: The file of its weights; default the registered ones.
        backbone_weights: The file of the frozen backbone, if the checkpoint is without it.
        size: Side of the square input; default that of the method's protocol.
        device: "auto", "cpu", "cuda" or "cuda:N".
    """

    method: str | None = None
    variant: str | None = None
    backbone: str | None = None
    train_dataset: str | None = None
    fold: int | None = None
    checkpoint: str | None = None
    backbone_weights: str | None = None
    size: int | None = None
    device: str = "auto"


@dataclass(frozen=True)
class Chosen:
    """What will segment the photos.

    Attributes:
        setting: Method, variant, backbone and protocol.
        source: Where its weights come from.
        size: (height, width) of the input; (0, 0) if each photo keeps its size.
        trained_on: The data set whose options the method is built with.
    """

    setting: Setting
    source: Source
    size: tuple[int, int]
    trained_on: str

    @property
    def name(self) -> str:
        """What is printed: the method, its variant and backbone, and the weights."""
        info, variant = self.setting.info, self.setting.variant
        parts = [info.name, "" if variant == next(iter(info.tasks)) else variant]
        with_backbone = f" with {self.setting.backbone}" if self.setting.backbone else ""
        return " ".join(part for part in parts if part) + with_backbone

    @property
    def weights(self) -> str:
        """The weights as they are printed; empty if there are none."""
        if self.source.checkpoint is not None:
            return self.source.checkpoint
        return str(self.source.paths[0]) if self.source.paths else ""


def choose(choice: Choice, way: int, shot: int) -> Chosen:
    """Return what segments photos with N classes of K supports each.

    Raises:
        UsageError: If a name does not exist or does not fit the others.
        MissingError: If weights are missing, or nothing is installed that needs no training.
        BrokenFileError: If a weight file is damaged.
    """
    choice = spelled(choice)
    if choice.method is None and (choice.checkpoint or choice.variant):
        raise UsageError("--checkpoint and --variant belong to a method, and none was named", "--method NAME")
    method, backbone = (choice.method, choice.backbone) if choice.method else _default(choice.backbone, way, shot)
    info = method_info(method or "")
    trained_on = _trained_on(choice, info)
    names = Names(
        purpose="segment",
        dataset=_OWN_PHOTOS,
        trained_on=trained_on,
        method=info.name,
        variant=choice.variant,
        backbone=backbone,
        way=way,
        shot=shot,
    )
    setting = resolve(names)
    fold = choice.fold or 0
    request = Request(
        info.name,
        _OWN_PHOTOS,
        train_dataset=trained_on,
        shots=shot,
        ways=way,
        checkpoint=choice.checkpoint,
        backbone_weights=choice.backbone_weights,
        device=choice.device,
    )
    source = sources_for(request, info, setting.variant, setting.backbone, [fold])[fold]
    size = setting.rules.input if choice.size is None else (choice.size, choice.size)
    return Chosen(setting, source, size, trained_on)


def _trained_on(choice: Choice, info: MethodInfo) -> str:
    """Return the data set of the weights, which a trained method can't do without."""
    if info.trainable and choice.train_dataset is None:
        raise UsageError(
            f"{info.name} is trained, and photos of one's own do not say which of its weights to take",
            "--train-dataset coco20i --fold 0, for registered weights or with --checkpoint FILE",
        )
    return choice.train_dataset or _IMAGENET


def _default(backbone: str | None, way: int, shot: int) -> tuple[str, str | None]:
    """Return the best method without training whose weights are on this machine; for a named backbone its best method.

    Raises:
        MissingError: If there is none.
    """
    registered = [entry for entry in records() if entry.kind == "backbone" and not entry.dataset]
    for method, one in PREFERRED:
        if backbone in (None, one) and _fits(method, one, way, shot) and _installed(one, registered):
            return method, one
    if backbone is not None:
        return "prototype", backbone
    raise MissingError(
        "no backbone with weights is on this machine",
        "pip install 'fssbench[lite]', or --method NAME --checkpoint FILE",
    )


def _fits(method: str, backbone: str, way: int, shot: int) -> bool:
    """Return whether a variant of a method takes so many ways."""
    for variant in method_info(method).tasks:
        try:
            check_build(method, backbone, variant, way, shot)
        except FSSBenchError:
            continue
        return True
    return False


def _installed(backbone: str, registered: Sequence[Record]) -> bool:
    """Return whether the weights of a backbone, or of each of several that "+" joins, are on this machine."""
    return all(any(entry.backbone == part and present(entry) for entry in registered) for part in backbone.split("+"))
