"""How each released model is built; releases.py finds their repositories, and says how they are used.

PPNet's distances, which pykeops computes on a graphics card, are computed by torch. RPMM begins with the prototypes
that it begins with here. CyCTR has its own reference in place of its CUDA kernel, and draws the tokens that are drawn
here. What HDMNet imports of mmcv and mmseg is in openmmlab.py.
"""

from __future__ import annotations

import sys
import types
from argparse import Namespace
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import torch
from torch import Tensor, nn

import fssbench
from fssbench.backbones.resnet import resnet50
from fssbench.datasets.pascal5i.dataset import facts
from fssbench.methods.base.word_vectors import vector_of


def _hsnet(_root: Path, _shots: int) -> nn.Module:
    from model.hsnet import HypercorrSqueezeNetwork

    return HypercorrSqueezeNetwork("resnet50", use_original_imgsize=True)


def _patnet(_root: Path, _shots: int) -> nn.Module:
    from model.patnet import PATNetwork

    return PATNetwork("resnet50")


def _vat(_root: Path, _shots: int) -> nn.Module:
    from model.vat import VAT

    training = Namespace(BACKBONE="resnet50", BENCHMARK="pascal", MASK=True)
    return VAT(Namespace(TRAIN=training), use_original_imgsize=True)


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


def _hdmnet(_root: Path, shots: int) -> nn.Module:
    import openmmlab

    openmmlab.stand_in()
    import model.resnet as networks

    plain = networks.resnet50
    networks.resnet50 = lambda **options: plain(**{**options, "pretrained": False})
    from model.HDMNet import OneModel
    from model.PSPNet import OneModel as BaseLearner

    settings = Namespace(
        layers=50, zoom_factor=8, shot=shots, vgg=False, data_set="pascal", ignore_label=255, low_fea="layer2",
        kshot_trans_dim=2, pre_weight="weights",
    )  # fmt: skip
    weights = {"state_dict": BaseLearner(settings).state_dict()}
    load = torch.load
    torch.load = lambda *_arguments, **_options: weights
    try:
        return OneModel(settings, cls_type="Base")
    finally:
        torch.load = load


def _mlc(_root: Path, _shots: int) -> nn.Module:
    import model.resnet as networks

    plain = networks.resnet50
    networks.resnet50 = lambda **_options: plain(pretrained=False)
    from model.matching import MatchingNet

    return MatchingNet("resnet50")


def _ssp(_root: Path, _shots: int) -> nn.Module:
    import model.resnet as networks

    plain = networks.resnet50
    networks.resnet50 = lambda **_options: plain(pretrained=False)
    from model.SSP_matching import SSP_MatchingNet

    return SSP_MatchingNet("resnet50")


def _dcama(_root: Path, _shots: int) -> nn.Module:
    sys.modules["model.base.swin_transformer"] = MagicMock()
    load, torch.load = torch.load, lambda *_arguments, **_options: resnet50().state_dict()
    try:
        from model.DCAMA import DCAMA

        return DCAMA("resnet50", "", use_original_imgsize=False)
    finally:
        torch.load = load


def _ppnet(_root: Path, _shots: int) -> nn.Module:
    load, torch.load = torch.load, lambda *_arguments, **_options: {}
    try:
        from models.FewShotSegPartResnet import FewShotSegPart

        return FewShotSegPart(cfg={"center": 5})
    finally:
        torch.load = load


class Layers(nn.ModuleDict):
    """What the releases take of torchvision's IntermediateLayerGetter: layers, and the names of their maps."""

    def __init__(self, network: nn.Module, return_layers: dict[str, str]) -> None:
        children = dict(network.named_children())
        last = max(list(children).index(name) for name in return_layers)
        super().__init__(dict(list(children.items())[: last + 1]))
        self.kept = return_layers

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Return the maps by their names."""
        maps = {}
        for name, layer in self.items():
            x = layer(x)
            if name in self.kept:
                maps[self.kept[name]] = x
        return maps


def _cyctr(_root: Path, shots: int) -> nn.Module:
    import model.backbone_utils as backbones
    import model.ops.functions.ms_deform_attn_func as kernels
    import model.ops.modules.ms_deform_attn as attention

    def sampled(value: Tensor, sizes: Tensor, _start: Tensor, places: Tensor, weights: Tensor, _step: int) -> Tensor:
        return kernels.ms_deform_attn_core_pytorch(value, [tuple(map(int, size)) for size in sizes], places, weights)

    attention.MSDeformAttnFunction = types.SimpleNamespace(apply=sampled)
    backbones.resnets_dict = {name: (made, False) for name, (made, _) in backbones.resnets_dict.items()}
    from model.CyCTR import CyCTR

    return CyCTR(layers=50, shot=shots, reduce_dim=256)


def _sccan(_root: Path, shots: int) -> nn.Module:
    import model.backbone_res as networks

    networks._resnet = lambda _name, block, layers, *_weights, **options: networks.ResNet(block, layers, **options)
    from model.SCCAN import OneModel

    settings = Namespace(layers=50, zoom_factor=8, shot=shots, vgg=False, data_set="pascal", ignore_label=255,
                         print_freq=10, low_fea="layer2")  # fmt: skip
    return OneModel(settings)


class Lazy:
    """What the release's k-means asks of a LazyTensor: squared distances of points (n, 1, C) and centres (1, k, C)."""

    def __init__(self, vectors: Tensor) -> None:
        self.vectors = vectors

    def __sub__(self, other: Lazy) -> Lazy:
        return Lazy(torch.cdist(self.vectors[:, 0], other.vectors[0], compute_mode="donot_use_mm_for_euclid_dist"))

    def __pow__(self, _power: int) -> Lazy:
        return self

    def sum(self, _axis: int) -> Tensor:
        """Return the distances."""
        return self.vectors


def _rpmm(_root: Path, _shots: int) -> nn.Module:
    prototypes = import_module("models.PMMs")
    from models.backbone import resnet_dialated

    resnet_dialated.load_resnet50_param = lambda network, **_options: network
    ours = fssbench.build("rpmm")

    def begin(self: nn.Module, channels: int, components: int = 3, stage_num: int = 10) -> None:
        nn.Module.__init__(self)
        self.stage_num, self.num_pro, self.kappa = stage_num, components, 20
        self.mu = self._l2norm(ours.first_prototypes(channels, components).float(), dim=1)

    prototypes.PMMs.__init__ = begin
    from networks.FRPMMs import OneModel

    network = OneModel(Namespace(batch_size=1))
    # The release begins with ImageNet's weights; its own first ones let a deep network's maps vanish.
    for part in network.model_res.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight)
    return network


def _fptrans(_root: Path, shots: int) -> nn.Module:
    from networks.FPTrans import FPTrans

    FPTrans.get_or_download_pretrained = staticmethod(lambda *_arguments: "")
    settings = Namespace(
        backbone="ViT-B/16-384", vit_depth=10, vit_stride=None, height=480, width=480, shot=shots, dataset="PASCAL",
        coco2pascal=False, bg_num=5, num_prompt=12 * (1 + 5 * shots), pt_std=0.02, drop_dim=1, drop_rate=0.1,
        block_size=4, tqdm=False, loss="cedt", sigma=5.0, precompute_weight=False,
    )  # fmt: skip
    return FPTrans(settings, MagicMock())


def _mianet(_root: Path, shots: int) -> nn.Module:
    import model.resnet as networks

    plain = networks.resnet50
    networks.resnet50 = lambda **options: plain(**{**options, "pretrained": False})
    import model.mianet as release
    from model.PSPNet import OneModel as BaseLearner

    # Word vectors as random weights have them here, a row for each class; the first is that of the background.
    names = ("background", *facts().classes)
    release.load_obj = lambda _name: torch.stack([torch.from_numpy(vector_of(name, "characters")) for name in names])
    settings = Namespace(
        layers=50, zoom_factor=8, shot=shots, vgg=False, data_set="pascal", ignore_label=255, split=0, classes=2,
        print_freq=10,
    )  # fmt: skip
    weights = {"state_dict": BaseLearner(settings).state_dict()}
    load, torch.load = torch.load, lambda *_arguments, **_options: weights
    try:
        return release.MIANet(settings, layers=50, shot=shots)
    finally:
        torch.load = load


MADE: dict[str, Callable[[Path, int], nn.Module]] = {
    "hsnet": _hsnet, "asnet": _asnet, "pfenet": _pfenet, "ntrenet": _ntrenet, "bam": _bam, "ppnet": _ppnet,
    "rpmm": _rpmm, "mlc": _mlc, "ssp": _ssp, "patnet": _patnet, "cyctr": _cyctr, "sccan": _sccan,
    "hdmnet": _hdmnet, "dcama": _dcama, "vat": _vat, "fptrans": _fptrans, "mianet": _mianet,
}  # fmt: skip
"""What builds each method's released model, given its folder and the number of shots."""
