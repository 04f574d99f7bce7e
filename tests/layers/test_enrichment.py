"""The feature enrichment module, on maps whose result can be computed by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from fssbench.errors import UsageError
from fssbench.layers.enrichment import FRACTIONS, FeatureEnrichment


def _module(inputs: int, bins: tuple[float, ...], width: int = 1) -> FeatureEnrichment:
    """A module all of whose weights are 0, so that a test sets those it speaks of."""
    module = FeatureEnrichment(inputs, width, bins).eval()
    for parameter in module.parameters():
        nn.init.zeros_(parameter)
    return module


def _set(convolution: nn.Module, *values: float) -> None:
    assert isinstance(convolution, nn.Conv2d)
    weight = torch.zeros_like(convolution.weight)
    middle = weight.shape[-1] // 2
    weight[0, :, middle, middle] = torch.tensor(values)
    convolution.weight.data = weight


def _random(shape: tuple[int, ...], seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_inputs_are_pooled_spread_and_resized_and_put_together_in_this_order() -> None:
    module = _module(3, bins=(2,))
    pooled = torch.arange(16.0).view(1, 1, 4, 4)
    vector = torch.full((1, 1, 1, 1), 7.0)
    resized = torch.tensor([[0.0, 0.3, 0.6, 0.9]]).expand(4, 4)[None, None]
    convolution = module.get_submodule("init_merge.0.0")

    _set(convolution, 1, 0, 0)
    assert module.enrich(pooled, [vector], [resized])[0].flatten().tolist() == [2.5, 4.5, 10.5, 12.5]
    _set(convolution, 0, 1, 0)
    assert module.enrich(pooled, [vector], [resized])[0].flatten().tolist() == [7, 7, 7, 7]
    _set(convolution, 0, 0, 1)
    corners = module.enrich(pooled, [vector], [resized])[0].flatten()
    torch.testing.assert_close(corners, torch.tensor([0.0, 0.9, 0.0, 0.9]))


def test_a_coarser_scale_takes_from_the_finer_one_and_adds_to_itself() -> None:
    module = _module(1, bins=(4, 2))
    for scale, weight in enumerate((2.0, 3.0)):
        _set(module.get_submodule(f"init_merge.{scale}.0"), weight)
    _set(module.get_submodule("alpha_conv.0.0"), 10.0, 100.0)
    fine, coarse = module.enrich(torch.ones(1, 1, 4, 4))
    assert fine.unique().tolist() == [2]
    # Own 3; the interaction adds 10 times the own and 100 times the finer: 3 + 30 + 200.
    assert coarse.unique().tolist() == [233]


def test_the_two_convolutions_of_a_scale_are_a_residual() -> None:
    module = _module(1, bins=(1,))
    _set(module.get_submodule("init_merge.0.0"), 1.0)
    _set(module.get_submodule("beta_conv.0.0"), 2.0)
    _set(module.get_submodule("beta_conv.0.2"), 3.0)
    assert module.enrich(torch.full((1, 1, 1, 1), 5.0))[0].item() == 35


def test_all_scales_are_put_together_and_classified() -> None:
    module = _module(1, bins=(2, 1))
    _set(module.get_submodule("res1.0"), 1.0, 10.0)
    _set(module.get_submodule("res2.0"), 1.0)
    _set(module.get_submodule("res2.2"), 1.0)
    _set(module.get_submodule("cls.0"), 1.0)
    last = module.get_submodule("cls.3")
    assert isinstance(last, nn.Conv2d)
    last.weight.data = torch.tensor([1.0, -1.0]).view(2, 1, 1, 1)
    last.bias.data = torch.tensor([0.0, 0.5])
    logits = module.classify([torch.ones(1, 1, 2, 2), torch.full((1, 1, 1, 1), 2.0)], (3, 5))
    assert logits.shape == (1, 2, 3, 5)
    # 1 + 10 * 2 = 21, doubled by the residual; the second channel is its negative and the bias.
    assert logits[:, 0].unique().tolist() == [42]
    assert logits[:, 1].unique().tolist() == [-41.5]


def test_fractions_follow_both_sides_of_the_map() -> None:
    module = FeatureEnrichment(4, 4, "fractions")
    sizes = [tuple(enriched.shape[-2:]) for enriched in module.enrich(torch.zeros(1, 4, 60, 41))]
    assert sizes == [(60, 41), (30, 20), (15, 10), (7, 5)]
    tiny = [tuple(enriched.shape[-2:]) for enriched in module.enrich(torch.zeros(1, 4, 5, 5))]
    assert tiny == [(5, 5), (2, 2), (1, 1), (1, 1)]


def test_positions_do_not_follow_the_map() -> None:
    module = FeatureEnrichment(4, 4, (6, 3))
    maps = module.enrich(torch.zeros(1, 4, 24, 16))
    assert [tuple(enriched.shape) for enriched in maps] == [(1, 4, 6, 6), (1, 4, 3, 3)]
    assert [tuple(enriched.shape) for enriched in module.inner_logits(maps)] == [(1, 2, 6, 6), (1, 2, 3, 3)]


def test_a_batch_of_three_equals_three_of_one() -> None:
    torch.manual_seed(0)
    module = FeatureEnrichment(17, 8, FRACTIONS).eval()
    query, vector, prior = _random((3, 8, 9, 13)), _random((3, 8, 1, 1), 1), _random((3, 1, 9, 13), 2)
    together = module.classify(module.enrich(query, [vector], [prior]), (9, 13))
    for n in range(3):
        alone = module.classify(module.enrich(query[n : n + 1], [vector[n : n + 1]], [prior[n : n + 1]]), (9, 13))
        torch.testing.assert_close(together[n : n + 1], alone)


def test_a_second_set_of_first_convolutions_can_be_given() -> None:
    module = _module(1, bins=(2,))
    second = FeatureEnrichment(3, 1, (2,), merge="corr_conv")
    assert "corr_conv.0.0.weight" in second.state_dict()
    _set(second.get_submodule("corr_conv.0.0"), 1.0, 2.0, 3.0)
    merge = second.get_submodule("corr_conv")
    assert isinstance(merge, nn.ModuleList)
    assert module.enrich(torch.ones(1, 3, 2, 2), merge=merge)[0].unique().tolist() == [6]


@pytest.mark.parametrize("bins", [(), (0,), (-1.0, 3), (60, 7.5)])
def test_bins_that_are_neither_positions_nor_fractions_are_refused(bins: tuple[float, ...]) -> None:
    with pytest.raises(UsageError, match="bins"):
        FeatureEnrichment(3, 1, bins)
