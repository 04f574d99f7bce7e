"""Images as a method sees them: read, encoded, conditioned, and kept for as long as they are likely to come again."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import torch

from fssbench.datasets.dataset import Dataset
from fssbench.methods.method import Method
from fssbench.protocols import Protocol
from fssbench.transforms import input_image, support_mask

AnyMethod = Method[Any, Any]

KEPT = 8
"""Images whose features are kept: an episode's own, so that a support that repeats is encoded once."""


class EncodedImages:
    """The features of the images used last.

    Args:
        method: Who encodes.
        dataset: Where photos and label maps come from.
        protocol: At which size the method sees them, and how they get there.
        device: Where the features stay.
    """

    def __init__(self, method: AnyMethod, dataset: Dataset, protocol: Protocol, device: torch.device) -> None:
        self._method, self._dataset, self._device = method, dataset, device
        self._size, self._rule = protocol.input, protocol.resize
        self._kept: OrderedDict[str, tuple[Any, tuple[int, int]]] = OrderedDict()

    def features(self, name: str) -> Any:  # noqa: ANN401 - each method has its own type
        """Return what the method's `encode` gives for an image, batch 1."""
        return self._entry(name)[0]

    def size(self, name: str) -> tuple[int, int]:
        """Return (height, width) of the photo itself."""
        return self._entry(name)[1]

    def support(self, name: str, class_id: int) -> Any:  # noqa: ANN401 - each method has its own type
        """Return what the method's `condition` gives for an image as a support of a class, batch 1."""
        mask = torch.from_numpy(support_mask(self._dataset.label(name), class_id, self._size, self._rule))
        return self._method.condition(self.features(name), mask[None].to(self._device))

    def _entry(self, name: str) -> tuple[Any, tuple[int, int]]:
        if name not in self._kept:
            photo = self._dataset.image(name)
            seen = input_image(photo, self._size, self._rule)
            features = self._method.encode(seen[None].to(self._device))
            self._kept[name] = features, (photo.shape[0], photo.shape[1])
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(name)
        return self._kept[name]
