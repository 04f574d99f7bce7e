"""COCO-20i."""
