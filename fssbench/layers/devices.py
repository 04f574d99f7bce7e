"""Which devices take the episodes of a call one after the other."""

from __future__ import annotations

import torch

SERIAL_ON = frozenset({"cpu"})
"""Types of devices; see `serial_on`."""


def serial_on(device: torch.device) -> bool:
    """Return whether a device answers the episodes of a call (and scores their pairs) one after the other.

    A processor does, on each of its cores: joined they take as long there and more memory, a lone one has paths of its
    own that leave out more, and the last digits of a convolution depend on how many images it is given: so what is said
    of given features is the same there to the last bit, however many episodes a call has. A graphics card, which one
    episode does not keep busy, takes them together.
    """
    return device.type in SERIAL_ON
