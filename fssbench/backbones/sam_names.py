"""The names of SAM's weights: those of its authors and those of transformers."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from fssbench.backbones.networks import renamed

_AUTHORS = "image_encoder."
_RENAMED = (
    (r"iou_prediction_head\.layers\.0\.", "iou_prediction_head.proj_in."),
    (r"iou_prediction_head\.layers\.1\.", "iou_prediction_head.layers.0."),
    (r"iou_prediction_head\.layers\.2\.", "iou_prediction_head.proj_out."),
    (r"output_upscaling\.0\.", "upscale_conv1."),
    (r"output_upscaling\.1\.", "upscale_layer_norm."),
    (r"output_upscaling\.3\.", "upscale_conv2."),
    (r"mask_downscaling\.0\.", "mask_embed.conv1."),
    (r"mask_downscaling\.1\.", "mask_embed.layer_norm1."),
    (r"mask_downscaling\.3\.", "mask_embed.conv2."),
    (r"mask_downscaling\.4\.", "mask_embed.layer_norm2."),
    (r"mask_downscaling\.6\.", "mask_embed.conv3."),
    (r"point_embeddings\.", "point_embed."),
    (r"pe_layer\.positional_encoding_gaussian_matrix", "shared_embedding.positional_embedding"),
    (r"^image_encoder\.", "vision_encoder."),
    (r"neck\.0\.", "neck.conv1."),
    (r"neck\.1\.", "neck.layer_norm1."),
    (r"neck\.2\.", "neck.conv2."),
    (r"neck\.3\.", "neck.layer_norm2."),
    (r"patch_embed\.proj\.", "patch_embed.projection."),
    (r"\.norm", ".layer_norm"),
    (r"\.blocks\.", ".layers."),
    (r"(output_hypernetworks_mlps\.\d+)\.layers\.0\.", r"\1.proj_in."),
    (r"(output_hypernetworks_mlps\.\d+)\.layers\.1\.", r"\1.layers.0."),
    (r"(output_hypernetworks_mlps\.\d+)\.layers\.2\.", r"\1.proj_out."),
)
"""The authors' names, and what replaces them; in this order."""
_POSITIONS = ("prompt_encoder.shared_embedding", "shared_image_embedding")
"""The two places of one matrix."""


def is_sam(state: Mapping[str, Tensor]) -> bool:
    """Return whether weights are those of a SAM, under any names."""
    return any(key.startswith("mask_decoder.") for key in state)


def transformers_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights of a SAM under transformers' names.

    Args:
        state: Weights under the authors' names or those of transformers.
    """
    named = dict(state)
    if any(key.startswith(_AUTHORS) for key in state):
        named = {renamed(key, _RENAMED): value for key, value in state.items()}
    for one, other in (_POSITIONS, _POSITIONS[::-1]):
        if (value := named.get(f"{one}.positional_embedding")) is not None:
            named.setdefault(f"{other}.positional_embedding", value)
    return named
