"""MLC's fast form: its convolutions are folded once."""

from __future__ import annotations

from fssbench.fast.folding import fold_form
from fssbench.fast.joint import FastJoint
from fssbench.methods.mlc import MLC


class FastMLC(FastJoint, MLC):
    """See `MLC`."""

    def prepare(self) -> None:
        """Fold the backbone."""
        fold_form(self, None)
