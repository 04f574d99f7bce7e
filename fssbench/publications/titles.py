"""Venues in little room: "NeurIPS 2021" as "NeurIPS'21"."""

from __future__ import annotations


def short_venue(venue: str) -> str:
    """Return a venue with the year's last two digits, e.g. "ICCV'21"."""
    name, _, year = venue.rpartition(" ")
    return f"{name}'{year[2:]}" if name and len(year) == 4 and year.isdigit() else venue


DATASETS = {
    "pascal5i": "PASCAL-5i",
    "coco20i": "COCO-20i",
    "fss1000": "FSS-1000",
    "folder": "own data",
    "shapes20i": "shapes20i",
    "suim": "SUIM",
    "deepglobe": "DeepGlobe",
    "isic2018": "ISIC 2018",
    "chestxray": "Chest X-ray",
}


BACKBONES = {"vgg16": "VGG16", "resnet50": "ResNet50", "resnet101": "ResNet101", "": "backbone not printed"}


def dataset_title(name: str) -> str:
    """Return a data set's name as papers print it; "A_to_B" is trained on A and tested on B."""
    return " → ".join(DATASETS.get(part, part) for part in name.split("_to_"))
