"""Explains, from their names, why weights do not fit a method."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

_NETWORKS = (
    ("asnet", r"\.attn\.qhead\."),
    ("patnet", r"^reference_layer1\."),
    ("hsnet", r"^(hpn_)?learner\.encoder_layer4\.0\.conv1\."),
    ("bam", r"^learner_base\."),
    ("hdmnet", r"^base_learnear\."),
    ("rpmm", r"^layer56\."),
    ("cyctr", r"^addtional_proj\."),
    ("sccan", r"^transformer\.layers\.0\.blocks\.0\.attn_q\.q\."),
    ("scl", r"^(supp_init_merge|FPM_Decoder)\."),
    ("canet", r"^layer55\."),
    ("ppnet", r"^encoder\.layer4\."),
    ("ssp", r"^layer0\.0\.6\.weight$"),
    ("ntrenet", r"^bg_prototype$"),
    ("mmt", r"^memory\."),
    ("asgnet", r"^corr_conv\."),
    ("dcama", r"^model\.DCAMA_blocks\."),
    ("fptrans", r"^encoder\.backbone\.prompt_tokens$"),
    ("vat", r"^hpn_learner\.ours\."),
    ("mmnet", r"^part_emb_2_level$"),
    ("mianet", r"^GIG\.model\.0\."),
    ("pfenet", r"^(learner\.)?init_merge\.0\.0\."),
)
"""A name that only this network's weights have; searched in this order."""

_FSCS = {"hsnet": r"^learner\.", "pfenet": r"^learner\."}
"""Networks whose two variants have different names: a name that only the FS-CS variant has."""

_LAYER3 = re.compile(
    r"^((backbone|backbone\.body|encoder|feature_extractor|model_res)\.layer3|layer3|backbone3)\.\d+\.conv1\.weight$"
)
"""The blocks of a ResNet's third stage, as methods name them. Their number gives the depth."""

_LITE = {(320, 1152): "efficientnet-lite0", (192, 672): "efficientnet-lite1", (208, 720): "efficientnet-lite2"}
"""Output and input channels of the sixteenth projection: no two of the networks share them."""

_VIT = {
    (768, False): "vit-b16-384",
    (768, True): "deit-b16-384",
    (384, True): "deit-s16",
    (192, True): "deit-t16",
    (48, False): "small",
}
"""Channels, and whether there is a token of distillation."""

_SHOTS = ("kshot_rw.0.weight", 1)
_CLASSES = {"bam": ("learner_base.1.4.weight", 0), "hdmnet": ("base_learnear.2.weight", 0)}
"""The axes of weights whose lengths are K (absent for one shot), and the base classes and background."""

_PROMPTS = "encoder.backbone.prompt_tokens"
_SETS = {15: "pascal5i", 60: "coco20i"}
"""FPTrans has so many sets of prompts; in a set there are 1 + 5 K of them."""

_OF = {"bam": "BAM's", "hdmnet": "HDMNet's", "fptrans": "FPTrans's"}


def explain_mismatch(own: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> str:
    """Return how the weights of a method and other weights differ, in words; "" if that is unknown."""
    ours, theirs = _backbone(own), _backbone(weights)
    if ours and theirs and ours != theirs:
        return f"they are for {theirs}, the method was built with {ours}"
    network, other = _network(own), _network(weights)
    if not network or not other:
        return ""
    if network != other:
        return f"they belong to {other}, not to {network}"
    variant, other_variant = _variant(own, network), _variant(weights, network)
    if variant != other_variant:
        return f"they belong to variant {other_variant}, the method was built as variant {variant}"
    if network == "fptrans":
        return _prompted(own, weights)
    return _numbers(own, weights, network) if network in _CLASSES else ""


def _backbone(state: Mapping[str, Tensor]) -> str:
    # VGG's convolutions have a bias; a ResNet's have none.
    if any(key.startswith("backbone.features.") for key in state) or "layer0.0.bias" in state:
        return "vgg16"
    if any(key.startswith(("backbone.stem.", "feature_extractor.stem.")) for key in state):
        return "small"
    if any(key.startswith("feature_extractor.patch_embed.") for key in state):
        return "swin-b"
    if found := _transformer(state, "encoder.backbone"):
        return found
    # The file of a backbone has the names without that of the backbone in a method.
    projection = state.get("backbone._blocks.15._project_conv.weight", state.get("_blocks.15._project_conv.weight"))
    if projection is not None and projection.ndim == 4:
        return _LITE.get((projection.shape[0], projection.shape[1]), "")
    depth = sum(_LAYER3.match(key) is not None for key in state)
    return {6: "resnet50", 23: "resnet101"}.get(depth, "")


def _network(state: Mapping[str, Tensor]) -> str:
    return next((name for name, marker in _NETWORKS if any(re.search(marker, key) for key in state)), "")


def _variant(state: Mapping[str, Tensor], network: str) -> str:
    if network not in _FSCS:
        return ""
    return "fscs" if any(re.search(_FSCS[network], key) for key in state) else "fss"


def _numbers(own: Mapping[str, Tensor], weights: Mapping[str, Tensor], network: str) -> str:
    if shots := _other_shots(network, _size(own, _SHOTS, 1), _size(weights, _SHOTS, 1)):
        return shots
    classes, other_classes = (_size(state, _CLASSES[network], 0) - 1 for state in (own, weights))
    if classes != other_classes:
        return f"they have {other_classes} base classes, the method was built for {classes}"
    return ""


def _other_shots(network: str, shots: int, other_shots: int) -> str:
    if shots == other_shots:
        return ""
    return (
        f"they are {_OF[network]} for {other_shots}-shot episodes, the method was built for {shots}-shot ones; "
        "each number of shots has its own weights"
    )


def _sets_and_shots(state: Mapping[str, Tensor]) -> tuple[int, int]:
    """Return the number of FPTrans's sets of prompts, and K; zeros if there is no such bank."""
    bank = _size(state, (_PROMPTS, 0), 0)
    return next(((sets, bank // sets // 5) for sets in _SETS if bank % sets == 0 and bank // sets % 5 == 1), (0, 0))


def _prompted(own: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> str:
    (sets, shots), (other_sets, other_shots) = _sets_and_shots(own), _sets_and_shots(weights)
    if sets and other_sets and shots != other_shots:
        return _other_shots("fptrans", shots, other_shots)
    if sets and other_sets and sets != other_sets:
        return (
            f"they were trained on {_SETS[other_sets]}, the method was built for weights of {_SETS[sets]} "
            "(--train-dataset, in Python trained_on)"
        )
    frozen, other = (_transformer(state, "original_encoder") for state in (own, weights))
    if frozen and other and frozen != other:
        return f"the file of the backbone has {other}, the method was built with {frozen}"
    blocks, other_blocks = (
        len({key.split(".")[3] for key in state if key.startswith("encoder.backbone.blocks.")})
        for state in (own, weights)
    )
    return f"they have {other_blocks} blocks, the method has {blocks}" if blocks != other_blocks else ""


def _transformer(state: Mapping[str, Tensor], network: str) -> str:
    """Return which vision transformer stands under a name; "" if none."""
    token = state.get(f"{network}.cls_token")
    return "" if token is None else _VIT.get((token.shape[-1], f"{network}.dist_token" in state), "")


def _size(state: Mapping[str, Tensor], place: tuple[str, int], absent: int) -> int:
    """Return the length of an axis of a weight; `absent` if there is no such weight."""
    key, axis = place
    shape = state[key].shape if key in state else ()
    return int(shape[axis]) if axis < len(shape) else absent
