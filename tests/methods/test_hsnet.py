"""HSNet: what it refuses."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import fssbench
from fssbench.errors import UsageError


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_a_size_at_which_the_levels_do_not_meet_is_refused(mode: Any) -> None:
    method = fssbench.build("hsnet", "small")
    image, mask = torch.zeros(1, 3, 400, 400), torch.ones(1, 400, 400, dtype=torch.uint8)
    with mode():
        support = method.condition(method.encode(image), mask)
        with pytest.raises(UsageError, match=r"\(2, 2\).*instead of one size"):
            method.predict(method.encode(image), [[support]], (400, 400))
