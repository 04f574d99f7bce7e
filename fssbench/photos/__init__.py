"""One's own photos segmented by supports: `fssbench segment` and `fssbench.segment`."""

from fssbench.photos.segment import Segmentation, segment

__all__ = ["Segmentation", "segment"]
