"""Fast form of CANet: convolutions are folded once."""

from __future__ import annotations

from fssbench.fast.folding import fold_form
from fssbench.fast.joint import FastJoint
from fssbench.methods.canet import CANet


class FastCANet(FastJoint, CANet):
    """See `CANet`."""

    def prepare(self) -> None:
        """Fold the backbone, for all who share it, and the head."""
        fold_form(self, self.stages)
