"""Released models, built from a checkout of their repositories with random weights; nothing of them is kept here.

The repositories: juhongm999/hsnet, dahyun-kang/ifsl, dvlab-research/PFENet, LIUYUANWEI98/NERTNet, chunbolang/BAM,
Xiangyi1996/PPNet-PyTorch, Yang-Bob/PMMs, LiheYoung/MiningFSS, fanq15/SSP, slei109/PATNet, YanFangCS/CyCTR-Pytorch,
Sam1224/SCCAN, pawn-sxy/DCAMA, Seokju-Cho/Volumetric-Aggregation-Transformer, each cloned into a folder of the
repository's name. What they import and do not need for an answer (torchvision's download, Lightning, plots) is replaced
by stand-ins; PPNet's distances, which pykeops computes on a graphics card, are computed by torch. RPMM begins with the
prototypes that it begins with here. CyCTR has its own reference in place of its CUDA kernel, and draws the tokens that
are drawn here. HDMNet (Pbihao/HDMNet) and VAT also need the package einops; what HDMNet imports of mmcv and mmseg is in
openmmlab.py.
"""

from __future__ import annotations

import sys
import types
from argparse import Namespace
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import torch
from torch import Tensor, nn

import fssbench
from fssbench.backbones.resnet import resnet50

FOLDERS = {"hsnet": "hsnet", "asnet": "ifsl/fs-s", "pfenet": "PFENet", "ntrenet": "NERTNet", "bam": "BAM",
           "ppnet": "PPNet-PyTorch", "rpmm": "PMMs", "mlc": "MiningFSS", "ssp": "SSP", "patnet": "PATNet",
           "cyctr": "CyCTR-Pytorch", "sccan": "SCCAN", "hdmnet": "HDMNet",
           "dcama": "DCAMA", "vat": "Volumetric-Aggregation-Transformer"}  # fmt: skip
Answer = Callable[..., Tensor]
"""Gives the logits (K, 2, h, w) of each shot, or (1, 2, h, w) of the episode, for a query (1, 3, H, W), supports
(1, K, 3, H, W) and masks (1, K, H, W). If images keep their own sizes, it takes lists of K supports (1, 3, H, W) and of
masks (1, H, W) in {0, 1, 255}."""


def released(name: str, folder: Path, shots: int) -> tuple[nn.Module, Answer]:
    """Return a released model in eval mode, and how it is asked."""
    root = folder / FOLDERS[name]
    if not root.is_dir():
        raise SystemExit(f"there is no {root}; clone the releases there (see {Path(__file__).name})")
    _stand_ins()
    sys.path.insert(0, str(root))
    torch.manual_seed(0)
    made = {"hsnet": _hsnet, "asnet": _asnet, "pfenet": _pfenet, "ntrenet": _ntrenet, "bam": _bam, "ppnet": _ppnet,
            "rpmm": _rpmm, "mlc": _mlc, "ssp": _ssp, "patnet": _patnet, "cyctr": _cyctr, "sccan": _sccan,
            "hdmnet": _hdmnet, "dcama": _dcama, "vat": _vat}  # fmt: skip
    model = made[name](root, shots)
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
        if name == "hdmnet":
            return model(x=query, s_x=images, s_y=masks.float())[0]
        said = model(images, masks, query, masks[:, 0].long(), torch.zeros(1))
        return said[0] if isinstance(said, tuple) else said

    def parts(query: Tensor, images: Tensor, masks: Tensor) -> Tensor:
        np.random.seed(1234)  # noqa: NPY002 - the generator of the release
        inside = masks.float().unbind(1)
        return model([list(images.unbind(1))], [list(inside)], [[1 - mask for mask in inside]], [query])[0]

    def mixtures(query: Tensor, images: Tensor, masks: Tensor) -> Tensor:
        inside = masks.float()
        if shots > 1:
            return model.forward_5shot(query, images, inside[:, :, None])[0]
        return model(query, images[:, 0], inside)[3]

    def padded(query: Tensor, images: Tensor, masks: Tensor, outside: Tensor) -> Tensor:
        torch.manual_seed(123)  # from which every episode draws here
        return model(query, images, masks, None, 255 * outside, torch.where(masks == 255, 255, 0))

    def windows(query: Tensor, images: Tensor, masks: Tensor) -> Tensor:
        return model(query, images, masks, None)

    def own_sizes(query: Tensor, images: Sequence[Tensor], masks: Sequence[Tensor]) -> Tensor:
        found = (
            model(list(images), list(masks), query, None) if name == "ssp" else model(list(images), list(masks), query)
        )
        return found[0] if isinstance(found, list) else found

    def together(query: Tensor, images: Tensor, masks: Tensor) -> Tensor:
        # As in predict_mask_nshot, which returns labels.
        if shots == 1:
            return model(query, images[:, 0], masks[:, 0])
        each = [model.extract_feats(image) for image in images.unbind(1)]
        return model.model(model.extract_feats(query), each, masks.float(), shots)

    asked = {"hsnet": pairwise, "asnet": pairwise, "ppnet": parts, "rpmm": mixtures,
             "mlc": own_sizes, "ssp": own_sizes, "patnet": pairwise, "cyctr": padded, "sccan": windows,
             "dcama": together, "vat": pairwise}  # fmt: skip
    return model, asked.get(name, staged)


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
    module("torchvision.models._utils", IntermediateLayerGetter=_Layers)
    module("torchvision.models.utils", load_state_dict_from_url=None)
    module("MultiScaleDeformableAttention")
    module("timm")
    module("timm.models")
    drawn = nn.init.trunc_normal_
    module("timm.models.layers", DropPath=nn.Identity, to_2tuple=lambda side: (side, side), trunc_normal_=drawn)
    module("pykeops")
    module("pykeops.torch", LazyTensor=_Lazy)
    sys.modules["torchvision.transforms"] = MagicMock()
    sys.modules["pytorch_lightning"] = Lightning("pytorch_lightning")
    unused = "matplotlib matplotlib.pyplot matplotlib.ticker seaborn seaborn.distributions tqdm tensorboardX"
    for name in (*unused.split(), "model.vgg", "model.base.vgg", "util.util"):
        stand_in = sys.modules[name] = MagicMock()
        stand_in.__spec__ = ModuleSpec(name, None)  # torch looks for it
    # Default arguments of the releases are made on a graphics card.
    moved = Tensor.to
    Tensor.to = lambda self, *places, **options: (  # type: ignore[method-assign, assignment]
        self if places and str(places[0]) == "cuda" else moved(self, *places, **options)
    )
    Tensor.cuda = lambda self, *_arguments, **_options: self  # type: ignore[method-assign, assignment]
    nn.Module.cuda = lambda self, *_arguments, **_options: self  # type: ignore[method-assign, assignment]


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


class _Layers(nn.ModuleDict):
    """What the releases take of torchvision's IntermediateLayerGetter: layers, and the names of their maps."""

    def __init__(self, network: nn.Module, return_layers: dict[str, str]) -> None:
        children = dict(network.named_children())
        last = max(list(children).index(name) for name in return_layers)
        super().__init__(dict(list(children.items())[: last + 1]))
        self.kept = return_layers

    def forward(self, x: Tensor) -> dict[str, Tensor]:
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


class _Lazy:
    """What the release's k-means asks of a LazyTensor: squared distances of points (n, 1, C) and centres (1, k, C)."""

    def __init__(self, vectors: Tensor) -> None:
        self.vectors = vectors

    def __sub__(self, other: _Lazy) -> _Lazy:
        return _Lazy(torch.cdist(self.vectors[:, 0], other.vectors[0], compute_mode="donot_use_mm_for_euclid_dist"))

    def __pow__(self, _power: int) -> _Lazy:
        return self

    def sum(self, _axis: int) -> Tensor:
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
