"""What is kept of a support serves runs of every number of shots, but for methods that say otherwise."""

from __future__ import annotations

import pytest
import torch

import fssbench
from fssbench.fast.form import fast_form
from fssbench.fast.pytree import kind_of, tensors_of
from fssbench.methods.catalogue import method_info
from tests.methods.narrow import SIDE, narrow

CASES = [
    pytest.param(name, variant, id=f"{name}-{variant}")
    for name in fssbench.list_methods()
    for variant in method_info(name).tasks
    if method_info(name).backbones
]


@pytest.mark.parametrize(("name", "variant"), CASES)
@torch.inference_mode()
def test_a_support_serves_every_number_of_shots_unless_its_method_says_otherwise(name: str, variant: str) -> None:
    one, two = (narrow(name, variant, 1, shot) for shot in (1, 2))
    state = {key: value for key, value in one.state_dict().items() if key in two.state_dict()}
    first = method_info(name).k_shot.get(one.task) == "first"  # which runs say of the method
    assert first == (one.shots_read == 1)
    if any(value.shape != two.state_dict()[key].shape for key, value in state.items()):
        assert name == "fptrans"  # each number of shots has weights of its own: nothing is shared
        return
    two.load_state_dict(state, strict=False)
    image = torch.randn(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(3))
    mask = torch.zeros(1, SIDE, SIDE, dtype=torch.uint8)
    mask[:, 20:90, 40:120] = 1
    forms = [fast_form(method) for method in (one, two)]
    kept = [method.condition(method.encode(image), mask) for method in forms]
    alike = kind_of(kept[0]) == kind_of(kept[1]) and all(
        torch.equal(*pair) for pair in zip(*map(tensors_of, kept), strict=True)
    )
    assert alike != forms[0].conditions_by_shot
