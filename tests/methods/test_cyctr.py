"""CyCTR: its draw of tokens, which the golden cases are too small for, and what of its release they do not hold."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import fssbench
from fssbench.backbones.frozen import FrozenBatchNorm2d, frozen
from fssbench.errors import UsageError
from fssbench.layers.cycle_consistency import CycleConsistentAttention, CycleConsistentTransformer, TokenBank
from fssbench.layers.deformable import DeformableAttention
from fssbench.layers.losses import dice_loss
from fssbench.layers.sine_position import sine_position
from fssbench.methods.cyctr import CyCTR

SIDE = 97


def _episode(shot: int = 1, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    masks = torch.zeros(1, shot, SIDE, SIDE, dtype=torch.uint8)
    masks[:, :, 20:70, 30:80] = 1
    images = torch.randn(1 + shot, 3, SIDE, SIDE, generator=generator)
    return images[0], images[None, 1:], masks


def _built(shot: int = 1, tokens: int = 12, seed: int = 0) -> CyCTR:
    torch.manual_seed(0)
    method = fssbench.build("cyctr", "small", shot=shot, width=16, tokens=tokens, seed=seed)
    assert isinstance(method, CyCTR)
    return method


def _bank(objects: int, background: int) -> TokenBank:
    """Return tokens whose value is their place, the object's last."""
    count = objects + background
    places = torch.arange(count, dtype=torch.float32)
    inside = places >= background
    return TokenBank(places.view(1, count, 1), inside[None], (places % 5 == 0)[None])


@pytest.mark.parametrize("shot", [1, 3])
def test_an_episode_draws_the_same_whatever_was_drawn_before(shot: int) -> None:
    method, episode = _built(shot), _episode(shot)
    first = method.segment(*episode)
    torch.rand(7)
    method.segment(*_episode(shot, seed=5))
    assert torch.equal(method.segment(*episode).logits, first.logits)
    assert torch.equal(_built(shot).segment(*episode).logits, first.logits)
    assert not torch.equal(_built(shot, seed=1).segment(*episode).logits, first.logits)


def test_the_seed_is_part_of_how_it_was_built_and_changes_nothing_when_every_token_is_kept() -> None:
    one, other = _built(tokens=300), _built(tokens=300, seed=1)
    assert other.built is not None
    assert other.built.options["seed"] == 1
    torch.testing.assert_close(one.segment(*_episode()).logits, other.segment(*_episode()).logits)


@pytest.mark.parametrize(
    ("objects", "background", "kept"), [(4, 30, (4, 16)), (30, 4, (16, 4)), (30, 40, (10, 10)), (3, 6, (3, 6))]
)
def test_both_kinds_are_drawn_alike_and_a_scarce_one_is_filled_up(
    objects: int, background: int, kept: tuple[int, int]
) -> None:
    transformer = CycleConsistentTransformer(8, 10, wide=True).eval()
    drawn = transformer.sampled(_bank(objects, background), seed=3)
    places = drawn.tokens[0, :, 0].long()
    assert places.unique().numel() == len(places) == sum(kept)
    assert ((places >= background)[: kept[0]]).all()
    assert ((places < background)[kept[0] :]).all()


def test_flags_of_a_draw_are_those_of_other_tokens() -> None:
    """The release's quirk: the place among the background is looked up in the whole mask."""
    bank = _bank(objects=3, background=6)
    bank = TokenBank(bank.tokens, bank.inside.flip(1), bank.padded)  # the object first
    drawn = CycleConsistentTransformer(8, 10, wide=True).eval().sampled(bank, seed=0)
    assert int(drawn.inside.sum()) == 3 + 3
    assert drawn.inside[0, :3].all()


def test_training_draws_anew_for_each_block() -> None:
    transformer = CycleConsistentTransformer(8, 10, wide=False).train()
    torch.manual_seed(0)
    sizes = {transformer.sampled(_bank(100, 100), seed=0).tokens.shape[1] for _ in range(20)}
    assert min(sizes) >= 12
    assert max(sizes) <= 28
    assert len(sizes) > 3


def test_a_token_is_left_out_if_its_cycle_ends_on_the_other_side() -> None:
    attention = CycleConsistentAttention(8, 1)
    scores = torch.tensor([[[[5.0, 1.0, 4.0], [0.0, 6.0, 1.0]]]])  # tokens 0 and 2 lead to query 0, which prefers 0
    assert attention.inconsistent(scores, torch.tensor([[True, False, False]])).tolist() == [[[False, False, True]]]
    assert not attention.inconsistent(scores, torch.tensor([[True, False, True]])).any()


def test_padding_of_the_query_has_no_value_and_moves_the_encoding() -> None:
    padded = torch.zeros(1, 4, 6, dtype=torch.bool)
    padded[:, :, 4:] = True
    assert not torch.equal(sine_position(padded, 8), sine_position(~torch.ones_like(padded), 8))
    torch.testing.assert_close(
        sine_position(padded, 8).unflatten(1, (4, 6))[:, :, :4].flatten(1, 2), sine_position(padded[:, :, :4], 8)
    )
    method, (query, images, masks) = _built(), _episode()
    ignored = torch.zeros(SIDE, SIDE, dtype=torch.bool)
    ignored[:, 60:] = True
    plain = method.segment(query, images, masks)
    assert not torch.equal(method.segment(query, images, masks, query_ignored=ignored).logits, plain.logits)


def test_deformable_attention_reads_where_its_offsets_lead() -> None:
    attention = DeformableAttention(8, heads=2, points=1).eval()
    with torch.no_grad():
        attention.sampling_offsets.bias.copy_(torch.tensor([1.0, 0.0, 0.0, 2.0]))  # x + 1, and y + 2
        attention.value_proj.weight.copy_(torch.eye(8))
        attention.output_proj.weight.copy_(torch.eye(8))
    values = torch.randn(1, 5 * 6, 8)
    maps = values.view(5, 6, 8)
    padded = torch.zeros(1, 30, dtype=torch.bool)
    padded[0, 6 * 4 + 5] = True
    read = attention(torch.randn(1, 30, 8), values, (5, 6), padded).view(5, 6, 8)
    torch.testing.assert_close(read[:4, :5, :4], maps[:4, 1:, :4])
    torch.testing.assert_close(read[:2, :5, 4:], maps[2:4, :5, 4:])
    assert not read[:, 5, :4].abs().gt(1e-5).any()  # outside the map
    assert not read[4, 4, :4].abs().gt(1e-5).any()  # of the padding


def test_norms_of_the_backbone_never_move() -> None:
    network = frozen("resnet50").train()
    norms = [part for part in network.modules() if isinstance(part, FrozenBatchNorm2d)]
    assert len(norms) == 3 + 3 * 16 + 4
    before = {key: value.clone() for key, value in network.state_dict().items()}
    with torch.no_grad():
        layer2, _ = network.shallow(torch.randn(2, 3, 33, 33))
    assert layer2.shape == (2, 512, 5, 5)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    assert not [name for name, _ in network.named_parameters() if ".bn" in name]


def test_the_dice_loss_of_a_perfect_and_of_a_wrong_prediction() -> None:
    mask = torch.tensor([[[0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0], [0, 0, 0, 255]]], dtype=torch.uint8)
    sure = 50 * torch.stack([torch.where(mask == 0, 1.0, -1.0), torch.where(mask == 1, 1.0, -1.0)], dim=1)
    assert dice_loss(sure, mask).item() == pytest.approx(0.0, abs=1e-6)
    assert dice_loss(-sure, mask).item() == pytest.approx(2.0, abs=1e-6)
    # Of 4 object pixels and 11 of background half is predicted: 1 - 2 * 2 / (4 * 0.25 * 4 + 4) and so on.
    expected = 2 - 2 * 0.5 * 4 / (16 * 0.25 + 4) - 2 * 0.5 * 11 / (16 * 0.25 + 11)
    assert dice_loss(torch.zeros(1, 2, 4, 4), mask).item() == pytest.approx(expected)
    assert dice_loss(torch.zeros(1, 2, 4, 4), mask, foreground_weight=3.0).item() != pytest.approx(expected)


def test_a_width_without_heads_is_refused() -> None:
    with pytest.raises(UsageError, match="width 20 can't be divided into heads"):
        fssbench.build("cyctr", "small", width=20)


@pytest.mark.parametrize("label", [0, 1])
def test_a_mask_without_one_kind_gets_a_little_of_it(label: int) -> None:
    method = _built()
    with torch.inference_mode():
        maps = method.encode(torch.randn(1, 3, SIDE, SIDE))
        support = method.condition(maps, torch.full((1, SIDE, SIDE), label, dtype=torch.uint8))
    assert int((support.inside == (label == 0)).sum()) == 4
