"""The memory bank's equations, on numbers small enough to reckon by hand."""

from __future__ import annotations

import math

import pytest
import torch

from fssbench.layers.style_memory import StyleMemory, restyled, style


def _memory(
    means: list[list[float]], deviations: list[list[float]], momentum: float = 0.9, mix: float = 0.5
) -> StyleMemory:
    memory = StyleMemory(len(means), len(means[0]), momentum, mix)
    with torch.no_grad():
        memory.means.copy_(torch.tensor(means))
        memory.deviations.copy_(torch.tensor(deviations))
    memory.written.fill_(len(means))
    return memory


def test_a_style_is_mean_and_standard_deviation_of_each_channel() -> None:
    mean, deviation = style(torch.tensor([[[[1.0, 3.0]], [[5.0, 5.0]]]]))
    torch.testing.assert_close(mean, torch.tensor([[2.0, 5.0]]))
    torch.testing.assert_close(deviation, torch.tensor([[math.sqrt(1 + 1e-5), math.sqrt(1e-5)]]))


def test_a_map_can_be_given_another_style() -> None:
    features = torch.randn(2, 3, 5, 7)
    mean, deviation = torch.randn(2, 3), torch.rand(2, 3) + 0.5
    found_mean, found_deviation = style(restyled(features, mean, deviation))
    torch.testing.assert_close(found_mean, mean, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found_deviation, deviation, atol=1e-4, rtol=1e-4)


def test_the_first_instances_fill_the_bank() -> None:
    memory = StyleMemory(3, 2, momentum=0.5, mix=0.5)
    first, second = torch.tensor([[1.0, 0.0], [2.0, 1.0]]), torch.tensor([[3.0, 2.0], [4.0, 3.0]])
    memory.write(first, first + 1)
    assert int(memory.written) == 2
    assert torch.equal(memory.means[:2], first)
    # What is not yet written is not recalled.
    torch.testing.assert_close(memory.recall(first[:1], first[:1] + 1)[0].sum(), first.sum(dim=1) @ _shares(first))
    memory.write(second, second + 1)
    assert int(memory.written) == 3
    assert torch.equal(memory.means, torch.cat([first, second[:1]]))
    assert torch.equal(memory.deviations, memory.means + 1)


def _shares(items: torch.Tensor) -> torch.Tensor:
    """The recall weights of items for the first of them."""
    units = items / items.norm(dim=1, keepdim=True)
    return (50 * units @ units[0]).softmax(dim=0)


# A direction whose cosine with (1, 0) is 0.98: at temperature 0.02 the odds of being taken for it are 1 to e.
X, Y = torch.tensor([1.0, 0.0]), torch.tensor([0.98, math.sqrt(1 - 0.98**2)])
OWN = math.e / (1 + math.e)


def test_the_update_is_that_of_the_paper() -> None:
    memory = _memory([(2 * X).tolist(), (3 * Y).tolist()], [[1.0, 1.0], [1.0, 1.0]], momentum=0.75)
    memory.write(torch.stack([4 * X, 5 * X, 8 * Y]), torch.tensor([[1.0, 3.0], [3.0, 1.0], [2.0, 2.0]]))
    # Item 1 has the shares OWN, OWN, 1 - OWN of the three instances, item 2 the rest, each divided by its own sum.
    first = (OWN * 4 * X + OWN * 5 * X + (1 - OWN) * 8 * Y) / (1 + OWN)
    second = ((1 - OWN) * 4 * X + (1 - OWN) * 5 * X + OWN * 8 * Y) / (2 - OWN)
    expected = torch.stack([0.75 * 2 * X + 0.25 * first, 0.75 * 3 * Y + 0.25 * second])
    torch.testing.assert_close(memory.means.detach(), expected, rtol=1e-4, atol=1e-4)
    # All instances are equally like both items of deviations: s_E is a third.
    torch.testing.assert_close(memory.deviations.detach(), torch.full((2, 2), 0.75 + 0.25 * 2))


def test_an_item_that_few_instances_are_like_keeps_the_rest_of_itself() -> None:
    memory = _memory([(2 * X).tolist(), (3 * Y).tolist()], [[1.0, 1.0], [1.0, 1.0]], momentum=0.0)
    memory.write(4 * X[None], torch.tensor([[1.0, 1.0]]))
    expected = torch.stack([OWN * 4 * X + (1 - OWN) * 2 * X, (1 - OWN) * 4 * X + OWN * 3 * Y])
    torch.testing.assert_close(memory.means.detach(), expected, rtol=1e-4, atol=1e-4)


def test_recall_weighs_the_items_by_their_similarity() -> None:
    memory = _memory([(2 * X).tolist(), (3 * Y).tolist()], [[1.0, 0.0], [0.0, -1.0]])
    mean, deviation = memory.recall(5 * X[None], torch.tensor([[1.0, -1.0]]))
    torch.testing.assert_close(mean, (OWN * 2 * X + (1 - OWN) * 3 * Y)[None], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(deviation, torch.tensor([[0.5, 0.0]]))  # a deviation is not below 0
    assert not mean.requires_grad


def test_items_of_a_long_trained_bank_are_still_different_styles() -> None:
    generator = torch.Generator().manual_seed(0)
    kinds = 0.5 + torch.eye(3).repeat_interleave(3, dim=1)[:, :8]  # most batches below lack one of the three
    memory = StyleMemory(3, 8, momentum=0.9, mix=0.5)
    memory.write(kinds, kinds)
    for _ in range(200):
        styles = kinds[torch.randint(3, (3,), generator=generator)] * (1 + 0.05 * torch.rand(3, 8, generator=generator))
        memory.write(styles, styles)
    apart = torch.cdist(memory.means.detach(), memory.means.detach()).fill_diagonal_(torch.inf).min()
    assert apart > 0.5 * torch.cdist(kinds, kinds).fill_diagonal_(torch.inf).min()


def test_orthogonality_is_that_of_the_paper() -> None:
    assert _memory([[1.0, 0.0], [0.0, 3.0]], [[0.0, 2.0], [1.0, 0.0]]).orthogonality().item() == 0
    # h_M: |cos| = 1 twice; h_E: cos 45 degrees twice; over 2 * 2^2.
    memory = _memory([[1.0, 0.0], [-3.0, 0.0]], [[1.0, 0.0], [1.0, 1.0]])
    assert memory.orthogonality().item() == pytest.approx((2 + 2 * math.sqrt(0.5)) / 8)


def test_orthogonality_turns_the_items_away_from_each_other() -> None:
    memory = _memory([[1.0, 0.2], [0.2, 1.0]], [[1.0, 0.2], [0.2, 1.0]])
    before = memory.orthogonality()
    before.backward()
    with torch.no_grad():
        for kept in memory.parameters():
            kept -= 0.1 * kept.grad
    assert memory.orthogonality() < before


def test_enhancement_keeps_the_part_alpha_of_an_instances_own_style() -> None:
    features = torch.randn(2, 2, 6, 4) * 3 + 1
    kept = _memory([[1.0, 2.0]], [[3.0, 4.0]], mix=1.0).enhance(features)
    torch.testing.assert_close(kept, features, atol=1e-5, rtol=1e-5)
    mean, deviation = style(features)
    mixed = style(_memory([[1.0, 2.0]], [[3.0, 4.0]], mix=0.25).enhance(features))
    torch.testing.assert_close(mixed[0], 0.25 * mean + 0.75 * torch.tensor([1.0, 2.0]), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(mixed[1], 0.25 * deviation + 0.75 * torch.tensor([3.0, 4.0]), atol=1e-4, rtol=1e-4)


def test_enhancement_brings_a_shifted_style_nearer_to_the_source() -> None:
    generator = torch.Generator().manual_seed(0)
    strength = torch.rand(8, generator=generator)[None, :, None, None] + 0.5
    source = [torch.rand(4, 8, 6, 6, generator=generator) * strength for _ in range(40)]
    memory = StyleMemory(4, 8, momentum=0.9, mix=0.5)
    for batch in source:
        memory.write(*style(batch))
    shifted = source[0] * torch.linspace(0.3, 2.0, 8)[None, :, None, None] + torch.linspace(1.0, -0.2, 8)[:, None, None]
    centre = torch.cat(style(torch.cat(source)), dim=1).mean(dim=0)
    before = (torch.cat(style(shifted), dim=1) - centre).norm(dim=1)
    after = (torch.cat(style(memory.enhance(shifted)), dim=1) - centre).norm(dim=1)
    assert bool((after < 0.7 * before).all())


def test_an_instance_is_enhanced_without_regard_to_the_others() -> None:
    features = torch.randn(3, 2, 4, 5)
    memory = _memory([[1.0, 2.0], [2.0, 0.5]], [[3.0, 4.0], [1.0, 1.0]])
    torch.testing.assert_close(memory.enhance(features)[1:2], memory.enhance(features[1:2]))
