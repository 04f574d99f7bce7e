"""Short venues ("NeurIPS'21" for "NeurIPS 2021"), and backbones as papers print them."""

from __future__ import annotations


def short_venue(venue: str) -> str:
    """Return a venue with the last two digits of the year, e.g. "ICCV'21"."""
    name, _, year = venue.rpartition(" ")
    return f"{name}'{year[2:]}" if name and len(year) == 4 and year.isdigit() else venue


BACKBONES = {
    "vgg16": "VGG16",
    "resnet50": "ResNet50",
    "resnet101": "ResNet101",
    **{f"efficientnet-lite{n}": f"EfficientNet-Lite{n}" for n in range(3)},
    "swin-b": "Swin-B",
    "vit-b16-384": "ViT-B/16 at 384",
    "deit-t16": "DeiT-T/16",
    "deit-s16": "DeiT-S/16",
    "deit-b16-384": "DeiT-B/16 at 384",
    "stable-diffusion-2.1": "Stable Diffusion 2.1",
    "": "backbone not printed",
}
