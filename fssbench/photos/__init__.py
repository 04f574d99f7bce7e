"""One's own photos segmented by supports: `fssbench segment`, `fssbench.segment` and `fssbench.load`."""

from fssbench.photos.segment import segment
from fssbench.photos.segmentation import Segmentation
from fssbench.photos.trained import TrainedMethod, load

__all__ = ["Segmentation", "TrainedMethod", "load", "segment"]
