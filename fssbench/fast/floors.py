"""The fast form of the floor that has a backbone: its batch norms are folded once."""

from __future__ import annotations

from fssbench.fast.folding import folded_encoder
from fssbench.fast.form import FastForm
from fssbench.methods.floors import PrototypeCosine


class FastPrototypeCosine(FastForm, PrototypeCosine):
    """See `PrototypeCosine`."""

    def prepare(self) -> None:
        """Replace the backbone by its folded copy."""
        self.backbone = folded_encoder(self.backbone)
