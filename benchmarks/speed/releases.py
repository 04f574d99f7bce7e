"""Released models, built from a checkout of their repositories with random weights; nothing of them is kept here.

The repositories: juhongm999/hsnet, dahyun-kang/ifsl, dvlab-research/PFENet, LIUYUANWEI98/NERTNet, chunbolang/BAM,
Xiangyi1996/PPNet-PyTorch, Yang-Bob/PMMs, LiheYoung/MiningFSS, fanq15/SSP, slei109/PATNet, YanFangCS/CyCTR-Pytorch,
Sam1224/SCCAN, pawn-sxy/DCAMA, Seokju-Cho/Volumetric-Aggregation-Transformer, Pbihao/HDMNet, Jarvis73/FPTrans,
Aldrich2y/MIANet, each cloned into a folder of the repository's name. What they import and do not need for an answer
(torchvision's download, Lightning, plots) is replaced by stand-ins. HDMNet and VAT also need the package einops.
release_models.py builds each.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from unittest.mock import MagicMock

import numpy as np
import torch
from release_models import MADE, Layers, Lazy
from torch import Tensor, nn

from fssbench.backbones.resnet import resnet50

FOLDERS = {"hsnet": "hsnet", "asnet": "ifsl/fs-s", "pfenet": "PFENet", "ntrenet": "NERTNet", "bam": "BAM",
           "ppnet": "PPNet-PyTorch", "rpmm": "PMMs", "mlc": "MiningFSS", "ssp": "SSP", "patnet": "PATNet",
           "cyctr": "CyCTR-Pytorch", "sccan": "SCCAN", "hdmnet": "HDMNet",
           "dcama": "DCAMA", "vat": "Volumetric-Aggregation-Transformer", "fptrans": "FPTrans",
           "mianet": "MIANet"}  # fmt: skip
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
    model = MADE[name](root, shots)
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

    def prompted(query: Tensor, images: Tensor, masks: Tensor) -> Tensor:
        # From where each episode draws here.
        model.encoder.backbone.sampler, model.bg_sampler = np.random.RandomState(1234), np.random.RandomState(1289)
        finer = [side // 8 for side in query.shape[-2:]]
        return model(query, images, masks.float(), out_shape=finer)["out"]

    def named(query: Tensor, images: Tensor, masks: Tensor, class_id: int) -> Tensor:
        found = model(query, images, masks, class_chosen=[class_id])
        return found[0] if isinstance(found, tuple) else found

    asked = {"hsnet": pairwise, "asnet": pairwise, "ppnet": parts, "rpmm": mixtures,
             "mlc": own_sizes, "ssp": own_sizes, "patnet": pairwise, "cyctr": padded, "sccan": windows,
             "dcama": together, "vat": pairwise, "fptrans": prompted, "mianet": named}  # fmt: skip
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
    module("torchvision.models._utils", IntermediateLayerGetter=Layers)
    module("torchvision.models.utils", load_state_dict_from_url=None)
    module("MultiScaleDeformableAttention")
    module("timm")
    module("timm.models")
    drawn = nn.init.trunc_normal_
    module("timm.models.layers", DropPath=nn.Identity, to_2tuple=lambda side: (side, side), trunc_normal_=drawn)
    module("pykeops")
    module("pykeops.torch", LazyTensor=Lazy)
    sys.modules["torchvision.transforms"] = MagicMock()
    sys.modules["pytorch_lightning"] = Lightning("pytorch_lightning")
    module("dropblock", DropBlock2D=None)
    module("scipy.ndimage.morphology", distance_transform_edt=None)
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
