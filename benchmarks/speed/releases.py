"""Released models, built from a checkout of their repositories with random weights; nothing of them is kept here.

The repositories: juhongm999/hsnet, dahyun-kang/ifsl, dvlab-research/PFENet, LIUYUANWEI98/NERTNet, chunbolang/BAM, each
cloned into a folder of the repository's name. What they import and do not need for an answer (torchvision's download,
Lightning, plots) is replaced by stand-ins.
"""

from __future__ import annotations

import sys
import types
from argparse import Namespace
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import torch
from torch import Tensor, nn

from fssbench.backbones.resnet import resnet50

FOLDERS = {"hsnet": "hsnet", "asnet": "ifsl/fs-s", "pfenet": "PFENet", "ntrenet": "NERTNet", "bam": "BAM"}
Answer = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Gives the logits (K, 2, h, w) of each shot, or (1, 2, h, w) of the episode, for a query (1, 3, H, W), supports
(1, K, 3, H, W) and masks (1, K, H, W)."""


def released(name: str, folder: Path, shots: int) -> tuple[nn.Module, Answer]:
    """Return a released model in eval mode, and how it is asked."""
    root = folder / FOLDERS[name]
    if not root.is_dir():
        raise SystemExit(f"there is no {root}; clone the releases there (see {Path(__file__).name})")
    _stand_ins()
    sys.path.insert(0, str(root))
    torch.manual_seed(0)
    model = {"hsnet": _hsnet, "asnet": _asnet, "pfenet": _pfenet, "ntrenet": _ntrenet, "bam": _bam}[name](root, shots)
    model.eval()

    def pairwise(query: Tensor, images: Tensor, masks: Tensor) -> Tensor:
        # As in predict_mask_nshot: the whole network once a shot, the query's features included.
        return torch.cat([model(query, images[:, k], masks[:, k].float()) for k in range(shots)])

    def staged(query: Tensor, images: Tensor, masks: Tensor) -> Tensor:
        if name == "pfenet":
            return model(x=query, s_x=images, s_y=masks, y=masks[:, 0].long())
        if name == "bam":
            empty = torch.zeros_like(masks[:, 0]).long()
            return model(query, images, masks, empty, empty, cat_idx=None)[0]
        said = model(images, masks, query, masks[:, 0].long(), torch.zeros(1))
        return said[0] if isinstance(said, tuple) else said

    return model, pairwise if name in ("hsnet", "asnet") else staged


def _stand_ins() -> None:
    class Lightning(types.ModuleType):
        LightningModule = nn.Module

    def module(name: str, **members: object) -> types.ModuleType:
        made = types.ModuleType(name)
        made.__dict__.update(members)
        sys.modules[name] = made
        return made

    def backbone(**_options: object) -> nn.Module:
        """Return torchvision's ResNet-50 as the releases run it: module by module."""
        made = resnet50()
        made.relu, made.maxpool = nn.ReLU(inplace=True), nn.MaxPool2d(3, stride=2, padding=1)
        for layer in (made.layer1, made.layer2, made.layer3, made.layer4):
            for block in layer:
                block.relu = nn.ReLU(inplace=True)
        return made

    resnet, vgg = module("torchvision.models.resnet", resnet50=backbone), module("torchvision.models.vgg")
    models = module("torchvision.models", resnet=resnet, vgg=vgg)
    module("torchvision", models=models, transforms=MagicMock())
    sys.modules["torchvision.transforms"] = MagicMock()
    sys.modules["pytorch_lightning"] = Lightning("pytorch_lightning")
    unused = "matplotlib matplotlib.pyplot matplotlib.ticker seaborn seaborn.distributions tqdm tensorboardX"
    for name in (*unused.split(), "model.vgg", "model.base.vgg", "util.util"):
        stand_in = sys.modules[name] = MagicMock()
        stand_in.__spec__ = ModuleSpec(name, None)  # torch looks for it
    # Default arguments of the releases are made on a graphics card.
    Tensor.cuda = lambda self, *_arguments, **_options: self  # type: ignore[method-assign, assignment]
    nn.Module.cuda = lambda self, *_arguments, **_options: self  # type: ignore[method-assign, assignment]


def _hsnet(_root: Path, _shots: int) -> nn.Module:
    from model.hsnet import HypercorrSqueezeNetwork

    return HypercorrSqueezeNetwork("resnet50", use_original_imgsize=True)


def _asnet(_root: Path, _shots: int) -> nn.Module:
    from model.asnet import AttentiveSqueezeNetwork

    return AttentiveSqueezeNetwork(Namespace(backbone="resnet50"), use_original_imgsize=True)


def _pfenet(_root: Path, shots: int) -> nn.Module:
    from model.PFENet import PFENet

    return PFENet(layers=50, classes=2, zoom_factor=8, pretrained=False, shot=shots)


def _ntrenet(root: Path, shots: int) -> nn.Module:
    # The released constructor has a full-width comma, with which Python does not read it.
    source = (root / "model/ourmodel.py").read_text(encoding="utf-8").replace("\uff0c", ",")
    made: dict[str, Any] = {"__name__": "ourmodel"}
    exec(compile(source, "ourmodel.py", "exec"), made)
    return made["NTRENet"](layers=50, classes=2, zoom_factor=8, pretrained=False, shot=shots)


def _bam(_root: Path, shots: int) -> nn.Module:
    import model.resnet as networks

    plain = networks.resnet50
    networks.resnet50 = lambda **options: plain(**{**options, "pretrained": False})
    from model.BAM import OneModel
    from model.PSPNet import OneModel as BaseLearner

    settings = Namespace(
        layers=50, zoom_factor=8, shot=shots, vgg=False, data_set="pascal", ignore_label=255, print_freq=10, split=0,
        low_fea="layer2", kshot_trans_dim=2, ppm_scales=[60, 30, 15, 8], bins=[1, 2, 3, 6],
    )  # fmt: skip
    weights = {"state_dict": BaseLearner(settings).state_dict()}
    load = torch.load
    torch.load = lambda *_arguments, **_options: weights
    try:
        return OneModel(settings)
    finally:
        torch.load = load
