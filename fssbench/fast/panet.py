"""PANet's fast form: its convolutions are folded once."""

from __future__ import annotations

from fssbench.fast.folding import fold_form
from fssbench.fast.form import FastForm
from fssbench.methods.panet import PANet


class FastPANet(FastForm, PANet):
    """See `PANet`."""

    def prepare(self) -> None:
        """Fold the backbone."""
        fold_form(self, None)
