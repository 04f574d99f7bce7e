"""SSP's fast form: its convolutions are folded once."""

from __future__ import annotations

from fssbench.fast.folding import fold_form
from fssbench.fast.joint import FastJoint
from fssbench.methods.ssp import SSP


class FastSSP(FastJoint, SSP):
    """See `SSP`."""

    def prepare(self) -> None:
        """Fold the backbone."""
        fold_form(self, None)
