"""Values of label maps that mean the same in every data set, protocol and loss."""

IGNORE = 255
"""Pixels with this value count nowhere: neither as a class nor as background (the rim in VOC's masks, padding)."""
