"""On which devices the episodes of a call are predicted one after the other."""

from __future__ import annotations

import torch

SERIAL_ON = frozenset({"cpu"})
"""Types of such devices; see `serial_on`."""


def serial_on(device: torch.device) -> bool:
    """Return whether a device predicts the episodes of a call, and scores their pairs, one after the other.

    On a CPU each core does so. A batch of episodes would take as long there, and more memory; single episodes have code
    paths that leave out more; and the last digits of a convolution depend on the batch size. So on a CPU a prediction
    is the same to the last bit for any number of episodes in the call. A graphics card, which a single episode does not
    keep busy, predicts them in one batch.
    """
    return device.type in SERIAL_ON
