"""Copies images to where the method computes, on a graphics card while it computes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


class Copies:
    """Puts images into batches on a device.

    On a graphics card images are copied by a stream of their own, straight from pinned memory (`Loader`), where each
    image is: a batch that is put together on the CPU first is in ordinary memory, from which a copy holds up the CPU.

    Args:
        device: Where the method computes.
        channels_last: Whether a batch is laid out with the channels of a pixel next to each other.
    """

    def __init__(self, device: torch.device, *, channels_last: bool = False) -> None:
        self._device = device
        self._format = torch.channels_last if channels_last else torch.contiguous_format
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None  # type: ignore[no-untyped-call]

    def batch(self, images: Sequence[Tensor]) -> Tensor:
        """Return images of one shape, float32 (3, h, w), as (B, 3, h, w) on the device.

        The stream that computes waits for the copy; what it computes until then goes on meanwhile.
        """
        if self._stream is None:
            return torch.stack(list(images)).to(self._device).contiguous(memory_format=self._format)
        computing = torch.cuda.current_stream(self._device)
        with torch.cuda.stream(self._stream):
            # Allocated by this stream: memory that was free for the other may still be in use there.
            shape = (len(images), *images[0].shape)
            batch = torch.empty(shape, dtype=images[0].dtype, device=self._device)
            for place, image in zip(batch, images, strict=True):
                place.copy_(image, non_blocking=True)
            batch = batch.contiguous(memory_format=self._format)
        computing.wait_stream(self._stream)
        batch.record_stream(computing)  # its memory is not given to another copy before that is done
        return batch
