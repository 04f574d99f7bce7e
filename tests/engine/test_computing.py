"""Options that change how it is computed and nothing of the rows; they are on record."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

import fssbench
from fssbench.engine.features.copying import Copies
from fssbench.errors import UsageError
from fssbench.fast.pytree import mapped
from fssbench.planning.settings import Settings
from fssbench.results import load_run
from tests.engine.stub import NearestColour, Patches, questions, rules

CPU = torch.device("cpu")


class Noting(NearestColour):
    """Notes the layout of images and whether algorithms are deterministic; raises what torch raises where none is."""

    def __init__(self, error: str = "") -> None:
        super().__init__()
        self.error = error
        self.seen: list[tuple[bool, bool]] = []
        self.encoder = torch.nn.Conv2d(3, 3, 1)

    @property
    def shared_encoder(self) -> torch.nn.Module:
        return self.encoder

    def encode(self, image: Tensor) -> Tensor:
        if self.error:
            raise RuntimeError(self.error)
        last = image.is_contiguous(memory_format=torch.channels_last) and not image.is_contiguous()
        self.seen.append((torch.are_deterministic_algorithms_enabled(), last))
        return super().encode(image)

    def condition(self, features: Tensor, mask: Tensor) -> Tensor:
        assert features.is_contiguous()
        return super().condition(features, mask)


@pytest.mark.parametrize(
    ("chosen", "seen", "record"),
    [
        ({}, (False, False), ()),
        ({"deterministic": True}, (True, False), ("deterministic",)),
        ({"channels_last": True, "batch_size": 3}, (False, True), ("channels_last",)),
    ],
)
def test_it_is_computed_so_and_on_record(
    chosen: dict[str, bool], seen: tuple[bool, bool], record: tuple[str, ...], tmp_path: Path
) -> None:
    method, episodes = Noting(), questions(count=6)
    settings = Settings(**chosen)
    fssbench.evaluate(method, Patches(), episodes, protocol=rules(), settings=settings, out=tmp_path / "run")
    assert set(method.seen) == {seen}
    assert not torch.are_deterministic_algorithms_enabled()
    stored = load_run(tmp_path / "run")
    assert stored.run.starts[-1].computed == record
    assert ("computed" in (tmp_path / "run" / "run.json").read_text()) == bool(record)
    usual = fssbench.evaluate(NearestColour(), Patches(), episodes, protocol=rules())
    columns = ["intersection", "union"]
    assert stored.frame[columns].equals(usual.frame[columns])


def test_an_operation_that_has_no_deterministic_algorithm_is_named() -> None:
    error = "cumsum_cuda_kernel does not have a deterministic implementation, but you set it. You can turn it off."
    with pytest.raises(UsageError, match="--deterministic: cumsum_cuda_kernel does not have") as refused:
        fssbench.evaluate(
            Noting(error), Patches(), questions(count=2), protocol=rules(), settings=Settings(deterministic=True)
        )
    assert refused.value.remedy == "leave it out"
    assert not torch.are_deterministic_algorithms_enabled()
    with pytest.raises(RuntimeError, match="cumsum"):
        fssbench.evaluate(Noting(error), Patches(), questions(count=2), protocol=rules())


def test_a_batch_has_the_images_in_either_layout() -> None:
    images = [torch.randn(3, 4, 5) for _ in range(2)]
    for last in (False, True):
        batch = Copies(CPU, channels_last=last).batch(images)
        assert torch.equal(batch, torch.stack(images))
        assert batch.is_contiguous(memory_format=torch.channels_last if last else torch.contiguous_format)
    tree = {"a": (batch, 7), "b": [batch[:1]]}
    found = mapped(tree, torch.Tensor.contiguous)
    assert found["a"][0].is_contiguous()
    assert torch.equal(found["a"][0], batch)
    assert found["a"][1] == 7
