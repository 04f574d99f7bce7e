"""What a training run is, checked before anything heavy is imported. No torch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from fssbench.checkpoints import locate
from fssbench.checkpoints.registry import find_backbone
from fssbench.datasets import open_dataset
from fssbench.datasets.dataset import Dataset
from fssbench.errors import MissingError, UsageError
from fssbench.methods import check_build, list_methods, method_info
from fssbench.training.recipes import Recipe, recipe

FROM_SCRATCH = ("small",)
"""The backbones that are trained here; the others have their ImageNet weights."""


@dataclass(frozen=True)
class Request:
    """What the user asked for; None = as the recipe says. The fields are the options of `fssbench train`."""

    dataset: str
    fold: int
    method: str | None = None
    backbone: str | None = None
    backbone_weights: Path | None = None
    config: Path | None = None
    steps: int | None = None
    batch: int | None = None
    seed: int = 0
    device: str = "cpu"
    out: Path | None = None
    root: Path | None = None
    resume: bool = False


@dataclass(frozen=True)
class Plan:
    """A training run that can begin.

    Attributes:
        method: The method, None if the backbone is what is trained.
        backbone: Its backbone.
        backbone_weights: The file of the frozen backbone's weights; None if the backbone is what is trained.
        recipe: How it is trained, with what the user changed.
        dataset: The opened data set.
        fold: The fold whose classes are not seen.
        seed: Seed of initial weights and pairs.
        device: Where it is computed.
        folder: Where state, log and result go.
        resume: Whether to go on from the state there.
    """

    method: str | None
    backbone: str
    backbone_weights: Path | None
    recipe: Recipe
    dataset: Dataset
    fold: int
    seed: int
    device: str
    folder: Path
    resume: bool

    @property
    def identity(self) -> dict[str, str]:
        """What decides the result, by name."""
        return {
            "network": self.method or self.backbone,
            "recipe": str(self.recipe),
            "data": self.dataset.fingerprint,
            "fold": str(self.fold),
            "seed": str(self.seed),
        }


def plan(request: Request) -> Plan:
    """Return the run that was asked for.

    Raises:
        UsageError: If a name or number does not exist, or they do not fit each other.
        MissingError: If data, weights or a file of recipes are not there.
        BrokenFileError: If the file of recipes is not one.
    """
    if request.method is None and request.backbone is None:
        raise UsageError("nothing is named that could be trained", "--method hsnet; or --backbone small for a backbone")
    if request.seed < 0:
        raise UsageError(f"a seed is a number from 0, not {request.seed}")
    network = request.backbone if request.method is None else _trainable(request.method)
    if request.method is None and network not in FROM_SCRATCH:
        raise UsageError(f"backbone '{network}' can't be trained here; {', '.join(FROM_SCRATCH)} can")
    chosen = recipe(str(network), request.dataset, request.config)
    chosen = _changed(chosen, request)
    backbone = chosen.backbone or str(network)
    if request.method is not None:
        check_build(request.method, backbone, None, 1, 1)
    dataset = open_dataset(request.dataset, request.root)
    dataset.check_fold(request.fold)
    weights = None if request.method is None else _weights(request, backbone)
    folder = request.out or Path("runs") / f"train-{network}-{request.dataset}-fold{request.fold}"
    if not request.resume and (folder / "state.pt").exists():
        raise UsageError(f"{folder} holds a training run already", "--resume to go on with it, or another --out")
    return Plan(
        request.method,
        backbone,
        weights,
        chosen,
        dataset,
        request.fold,
        request.seed,
        request.device,
        folder,
        request.resume,
    )


def _trainable(method: str) -> str:
    info = method_info(method)
    if not info.trainable:
        able = [name for name in list_methods() if method_info(name).trainable]
        raise UsageError(f"{method} has nothing to train; there are {', '.join(able)}")
    return method


def _changed(chosen: Recipe, request: Request) -> Recipe:
    return replace(
        chosen,
        steps=_number("--steps", request.steps, chosen.steps),
        batch=_number("--batch", request.batch, chosen.batch),
        backbone=(request.backbone if request.method else None) or chosen.backbone,
    )


def _number(option: str, asked: int | None, default: int) -> int:
    if asked is not None and asked < 1:
        raise UsageError(f"{option} is at least 1, not {asked}")
    return asked or default


def _weights(request: Request, backbone: str) -> Path:
    remedy = "--backbone-weights FILE with its ImageNet weights, as torchvision names them"
    if backbone in FROM_SCRATCH:
        remedy = (
            f"fssbench train --backbone {backbone} --dataset {request.dataset} --fold {request.fold} --out DIR, "
            "then --backbone-weights DIR/weights.safetensors"
        )
    if request.backbone_weights is not None:
        if not request.backbone_weights.is_file():
            raise MissingError(f"there is no file {request.backbone_weights}", remedy)
        return request.backbone_weights
    registered = find_backbone(backbone, request.dataset, request.fold)
    if registered is not None:
        return locate(registered)[0]
    raise MissingError(
        f"{request.method} is trained on a frozen {backbone}, whose weights were not given and are not registered",
        remedy,
    )
