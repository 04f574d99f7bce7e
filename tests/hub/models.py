"""Tiny models with random weights of each family, as save_pretrained writes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

_BLOCKS = {"hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 2}
_STAGES = {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 2, 1]}
CONFIGS: dict[str, dict[str, Any]] = {
    "dinov2": {**_BLOCKS, "image_size": 56, "patch_size": 14},
    "dinov2_with_registers": {**_BLOCKS, "image_size": 56, "patch_size": 14, "num_register_tokens": 4},
    "dinov3_vit": {**_BLOCKS, "intermediate_size": 64, "patch_size": 16, "num_register_tokens": 4},
    "vit": {**_BLOCKS, "intermediate_size": 64, "image_size": 32, "patch_size": 8},
    "clip_vision_model": {**_BLOCKS, "intermediate_size": 64, "image_size": 32, "patch_size": 8},
    "sam_vision_model": {
        **_BLOCKS,
        "output_channels": 16,
        "image_size": 64,
        "patch_size": 16,
        "window_size": 2,
        "global_attn_indexes": [1, 3],
        "mlp_dim": 64,
    },
    "swin": {"embed_dim": 16, "depths": [1, 1, 2, 1], "num_heads": [1, 2, 2, 4], "window_size": 3, "image_size": 64},
    "convnext": _STAGES,
    "convnextv2": _STAGES,
    "dinov3_convnext": _STAGES,
    "resnet": {**_STAGES, "embedding_size": 8, "layer_type": "bottleneck"},
}
"""The arguments of the configuration of each family, by its model_type."""


def saved(kind: str, folder: Path, **options: Any) -> Any:
    """Write a model of a family into a folder and return it, in eval mode."""
    import transformers

    torch.manual_seed(0)
    model = transformers.AutoModel.from_config(transformers.AutoConfig.for_model(kind, **CONFIGS[kind]))
    # Norms and scales that are not those of an untrained network, and visible in the output.
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    transformers.utils.logging.disable_progress_bar()
    model.eval().save_pretrained(folder, **options)
    return model
