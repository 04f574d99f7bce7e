"""VAT: its steps, what its release keeps in checkpoints, which maps guide the decoder, and sizes of its own."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import fssbench
from fssbench.errors import UsageError
from fssbench.methods.vat import VAT, Aggregation, Appearance, PooledConv4d, VolumetricSwin, over_query, over_support


def _vat(**options: object) -> VAT:
    torch.manual_seed(0)
    method = fssbench.build("vat", "small", **{"width": 16, "side": 64, **options})
    assert isinstance(method, VAT)
    return method


def _aggregation(method: VAT) -> Aggregation:
    learnt = method.hpn_learner["ours"]
    assert isinstance(learnt, Aggregation)
    return learnt


@torch.no_grad()
def test_maps_have_the_same_sides_whatever_the_size_of_the_image() -> None:
    method = _vat()
    for size in ((96, 96), (97, 130)):
        maps = method.encode(torch.randn(2, 3, *size))
        assert [one.shape[-2:] for one in maps] == [(side, side) for side in (64, 32, 32, 16, 16, 8, 8)]
        support = method.condition(maps, torch.ones(2, *size, dtype=torch.uint8))
        assert method.score(maps, support).shape == (2, 2, 64, 64)


@torch.no_grad()
def test_a_convolution_keeps_the_largest_of_what_a_stride_leaves_out() -> None:
    torch.manual_seed(0)
    convolution = PooledConv4d(2, 3, 2, 1)
    volume = torch.randn(1, 2, 4, 6, 4, 2)
    found = convolution(volume)
    assert found.shape == (1, 3, 2, 3, 4, 2)
    # One position: the query's neighbourhood at its support position, and the support's at the best of four queries.
    queries = convolution.query_conv(volume[:, :, :, :, 1, 0])[0, :, 1, 2]
    best = volume[:, :, 2:4, 4:6].amax(dim=(2, 3))
    torch.testing.assert_close(found[0, :, 1, 2, 1, 0], queries + convolution.supp_conv(best)[0, :, 1, 0])


@torch.no_grad()
def test_maps_of_each_position_go_through_a_function() -> None:
    volume = torch.randn(2, 3, 4, 5, 6, 7)
    pooled = over_support(volume, lambda x: F.max_pool2d(x, 2, ceil_mode=True))
    assert pooled.shape == (2, 3, 4, 5, 3, 4)
    assert torch.equal(pooled[1, 2, 3, 4], F.max_pool2d(volume[1, 2, 3, 4][None], 2, ceil_mode=True)[0])
    pooled = over_query(volume, lambda x: F.max_pool2d(x, 2, ceil_mode=True))
    assert torch.equal(pooled[1, 2, :, :, 5, 6], F.max_pool2d(volume[1, 2, :, :, 5, 6][None], 2, ceil_mode=True)[0])


@torch.no_grad()
def test_the_last_norm_of_a_volumetric_transformer_is_not_applied() -> None:
    torch.manual_seed(0)
    transformer, volume = VolumetricSwin(16, 2), torch.randn(1, 16, 8, 8, 4, 4)
    before = transformer(volume)
    norm = transformer.transformer["norm"]
    assert isinstance(norm, nn.LayerNorm)
    norm.weight.mul_(3)
    assert torch.equal(transformer(volume), before)


@pytest.mark.parametrize(
    ("appearance", "used"), [("finer", [False, False]), ("shallow", [False, True]), ("middle", [True, True])]
)
def test_deeper_levels_guide_where_the_configuration_says_so(appearance: Appearance, used: list[bool]) -> None:
    learnt = _aggregation(_vat(appearance=appearance)).eval()
    x = torch.randn(1, 16, 16, 16)
    maps = [torch.randn(1, 96, 16, 16), torch.randn(1, 64, 32, 32), torch.randn(1, 32, 64, 64)]
    maps = [one.requires_grad_() for one in maps]
    learnt.decode(x, learnt.guide(maps)).sum().backward()
    grads = [one.grad for one in maps]
    assert [bool(grad is not None and grad.any()) for grad in grads] == [*used, True]


def test_what_guides_follows_the_data_set_of_the_training() -> None:
    guided = {data: _aggregation(_vat_of(data)).guided for data in ("pascal5i", "coco20i", "fss1000")}
    assert guided == {
        "pascal5i": (False, True, True),
        "coco20i": (False, False, True),
        "fss1000": (True, True, True),
    }


def _vat_of(data: str) -> VAT:
    method = fssbench.build("vat", "small", trained_on=data, width=16, side=64)
    assert isinstance(method, VAT)
    return method


def test_training_drops_channels_of_the_first_two_guides_together() -> None:
    learnt = _aggregation(_vat())
    maps = [torch.randn(1, channels, 8, 8) for channels in (96, 64, 32)]
    kept = [guide.detach() for guide in learnt.eval().guide(maps)]
    dropped = learnt.train().guide(maps)
    ratios = torch.cat([(new / old)[0, :, 0, 0] for new, old in zip(dropped[:2], kept[:2], strict=True)])
    assert set(ratios[~ratios.isnan()].detach().round(decimals=4).tolist()) == {0.0, 2.0}
    assert torch.equal(dropped[2], kept[2])


def test_tables_of_the_release_s_checkpoints_are_left_out() -> None:
    method = _vat()
    assert not any(key.endswith(("attn_mask", "relative_position_index", "index")) for key in method.state_dict())
    state: dict[str, Tensor] = {f"module.{key}": value.clone() for key, value in method.state_dict().items()}
    bias = "hpn_learner.ours.decoder.2.bias"
    state[f"module.{bias}"] += 1
    blocks = "module.hpn_learner.ours.transformer.0.transformer.layer.blocks.1"
    tables = {f"{blocks}.attn_mask": torch.zeros(16, 4, 4), f"{blocks}.attn.relative_position_index": torch.zeros(4, 4)}
    fssbench.load_release(method, state | tables)
    torch.testing.assert_close(method.get_parameter(bias), state[f"module.{bias}"])


@pytest.mark.parametrize("options", [{"width": 24}, {"side": 96}, {"side": 0}])
def test_sizes_that_windows_and_norms_do_not_divide_are_refused(options: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="a multiple of 16 and its side one of 64"):
        _vat(**options)


def test_a_backbone_without_a_finer_map_is_refused() -> None:
    with pytest.raises(UsageError, match="'vgg16' has no map of a quarter"):
        VAT("vgg16", 1, 1)
