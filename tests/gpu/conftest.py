"""The graphics card that the tests of this folder compute on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch


@pytest.fixture
def card() -> Iterator[torch.device]:
    """The first graphics card, in full float32 as `fssbench eval` computes by default."""
    if not torch.cuda.is_available():
        pytest.skip("there is no graphics card that PyTorch sees; make gpu runs this on a machine that has one")
    convolutions, products = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    yield torch.device("cuda", 0)
    torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = convolutions, products
    torch.cuda.empty_cache()
