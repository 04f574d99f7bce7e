"""RePRI's fit, written down by hand, and beside another method."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import fssbench
from fssbench.engine.features.jobs import FoldJob
from fssbench.engine.loop import evaluate_jobs
from fssbench.fast.form import fast_form
from fssbench.fast.repri import FastRePRI
from fssbench.layers.losses import smoothed_pixel_loss
from fssbench.methods.repri import Classifier, RePRI, divergence, entropy, posterior, proportion
from fssbench.planning.settings import Settings
from fssbench.protocols.rules import protocol
from fssbench.results.rows import Row

CPU = torch.device("cpu")


def _build(shot: int = 1) -> RePRI:
    torch.manual_seed(0)
    method = fssbench.build("repri", "small", shot=shot, width=16)
    assert isinstance(method, RePRI)
    return method


def _positions(shots: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Queries of which a part is counted, and supports with labels 0, 1 and 255, of two episodes."""
    generator = torch.Generator().manual_seed(1)
    z = F.normalize(torch.rand(2, shots + 1, 16, 5, 6, generator=generator, dtype=torch.float64) ** 4, dim=2)
    counted = (torch.rand(2, 5, 6, generator=generator) > 0.3).double()
    labels = torch.randint(0, 3, (2, shots, 5, 6), generator=generator)
    return z[:, 0], counted, z[:, 1:], torch.where(labels == 2, 255, labels).to(torch.uint8)


@pytest.mark.parametrize("shots", [1, 3])
def test_the_written_down_gradient_is_autograds(shots: int) -> None:
    method, given = _build(shots), _positions(shots)
    expected, found = RePRI.fit(method, *given), FastRePRI.fit(method, *given)
    first = method.first(given[0], given[2], given[3])
    assert (expected.w - first.w).abs().max() > 1e-3
    torch.testing.assert_close((found.w, found.b), (expected.w, expected.b), rtol=0, atol=1e-13)


def test_episodes_are_fitted_apart() -> None:
    method, given = _build(), _positions(1)
    both = method.fit(*given)
    for n in range(2):
        alone = method.fit(*(part[n : n + 1] for part in given))
        torch.testing.assert_close((alone.w[0], alone.b[0]), (both.w[n], both.b[n]), rtol=0, atol=1e-13)


def test_the_terms_by_hand() -> None:
    p = posterior(torch.tensor([[[0.0, 100.0]]]), torch.zeros(1))
    torch.testing.assert_close(p[0, 1], torch.tensor([[0.5, 1.0]]))
    whole, left = torch.ones(1, 1, 2), torch.tensor([[[1.0, 0.0]]])
    torch.testing.assert_close(proportion(p, whole), torch.tensor([[0.25, 0.75]]))
    torch.testing.assert_close(proportion(p, left), torch.tensor([[0.5, 0.5]]))
    torch.testing.assert_close(entropy(p, left), torch.tensor([2.0]).log())
    torch.testing.assert_close(divergence(torch.tensor([[0.5, 0.5]]), torch.tensor([[0.25, 0.75]])),
                               0.5 * torch.tensor([4 / 3]).log())  # fmt: skip


def test_smoothed_labels() -> None:
    scores = torch.tensor([[[[2.0, 0.0]], [[0.0, 0.0]], [[0.0, 1.0]]]])
    log_p = scores.log_softmax(dim=1)[0, :, 0, 0]
    expected = -(0.9 * log_p[0] + 0.05 * log_p[1] + 0.05 * log_p[2])
    torch.testing.assert_close(smoothed_pixel_loss(scores, torch.tensor([[[0, 255]]]), 0.1), expected)


def test_what_is_ignored_of_the_query_is_left_out_of_the_fit() -> None:
    method = _build()
    images = torch.randn(2, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    mask = torch.zeros(1, 1, 96, 96, dtype=torch.uint8)
    mask[..., 20:60, 30:70] = 1
    ignored = torch.zeros(96, 96, dtype=torch.bool)
    plain = method.segment(images[0], images[None, None, 1], mask)
    assert torch.equal(
        plain.logits, method.segment(images[0], images[None, None, 1], mask, query_ignored=ignored).logits
    )
    ignored[48:] = True
    assert not torch.equal(
        plain.logits, method.segment(images[0], images[None, None, 1], mask, query_ignored=ignored).logits
    )


def test_gradients_reach_nothing_that_is_the_methods() -> None:
    method = _build()
    images = torch.randn(2, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    mask = torch.zeros(1, 96, 96, dtype=torch.uint8)
    mask[:, 20:60, 30:70] = 1
    inside = method.segment(images[0], images[None, None, 1], mask[None])
    # Not in inference mode, where parameters could be reached.
    features, support = method.encode(images[:1]), method.condition(method.encode(images[1:]), mask)
    outside = method.predict(features, [[support]], (96, 96))
    assert torch.equal(inside.logits, outside.logits)
    assert not outside.logits.requires_grad
    assert all(parameter.grad is None for parameter in method.parameters())
    assert torch.is_inference_mode_enabled() is False
    assert torch.is_grad_enabled()


def test_beside_another_method_rows_are_those_of_separate_passes() -> None:
    dataset = fssbench.open_dataset("shapes20i")
    episodes = fssbench.episodes(dataset, 0, 1, 1, "shapes", 4)
    rules = replace(protocol("shapes").on("shapes20i"), input=(96, 96))
    torch.manual_seed(0)
    other = fast_form(fssbench.build("pfenet", "small", width=8, bins="fractions"))
    jobs = [FoldJob(method, episodes, rules, range(4)) for method in (fast_form(_build()), other)]

    def rows(*chosen: FoldJob) -> dict[tuple[int, int], Row]:
        found = evaluate_jobs(chosen, dataset, CPU, Settings())
        return {(which, row.episode): replace(row, seconds=0.0) for which, row, _ in found}

    together, alone = rows(*jobs), [rows(job) for job in jobs]
    assert len(together) == 8
    for (which, number), row in together.items():
        assert row == alone[which][0, number]
    assert all(parameter.grad is None for job in jobs for parameter in job.method.parameters())


def test_the_first_classifier_takes_all_shots_in_one_mean() -> None:
    method = _build(2)
    z_s = torch.zeros(1, 2, 2, 1, 2)
    z_s[0, 0, 0] = 1.0
    z_s[0, 1, 1] = 1.0
    labels = torch.tensor([[[[1, 1]], [[1, 0]]]], dtype=torch.uint8)
    first = method.first(z_s[:, 0], z_s, labels)
    assert isinstance(first, Classifier)
    torch.testing.assert_close(first.w, torch.tensor([[2 / 3, 1 / 3]]))
