"""The engine on a graphics card: where work is done, in which batches, from which memory, by which processes."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor

import fssbench
from fssbench.engine.features.loader import InputTransform, Loader, default_workers
from fssbench.engine.loop import rows_of
from fssbench.engine.processes import Processes
from fssbench.engine.profiling.memory import MOST, default_budget, peak_memory
from fssbench.fast.threads import episodes_at_once
from fssbench.layers.devices import serial_on
from fssbench.methods.base.method import Prediction
from fssbench.planning.settings import Settings, choose_device
from tests.engine.stub import NearestColour, Patches, questions, rules

pytestmark = pytest.mark.gpu


class Counting(NearestColour):
    """Keeps the sizes of its calls, and where they were."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[str, int]] = []
        self.devices: set[torch.device] = set()

    def encode(self, image: Tensor) -> Tensor:
        self.calls.append(("encode", len(image)))
        self.devices.add(image.device)
        return super().encode(image)

    def predict_many(
        self,
        queries: Sequence[Tensor],
        supports: Sequence[Sequence[Sequence[Tensor]]],
        sizes: Sequence[tuple[int, int]],
    ) -> list[Prediction]:
        self.calls.append(("predict", len(queries)))
        return super().predict_many(queries, supports, sizes)


def test_auto_is_the_card(card: torch.device) -> None:
    assert choose_device("auto").type == "cuda"
    assert choose_device("cuda:0") == card
    with pytest.raises(fssbench.FSSBenchError, match="there is no device"):
        choose_device(f"cuda:{torch.cuda.device_count()}")


def test_rows_are_those_of_the_processor(card: torch.device) -> None:
    episodes = questions(way=2, shot=2, count=12)
    found = []
    for device in (torch.device("cpu"), card):
        method = NearestColour(way=2, shot=2).to(device).eval()
        rows = rows_of(method, Patches(), episodes, rules("ifsl-fscs"), range(12), device)
        found.append([replace(row, seconds=0.0) for row in rows])
    assert found[0] == found[1]


def test_a_network_reaches_its_numbers_on_the_card(card: torch.device) -> None:
    dataset = fssbench.open_dataset("shapes20i")
    episodes = fssbench.episodes(dataset, fold=0, way=1, shot=1, protocol="shapes", count=40)
    torch.manual_seed(0)
    method = fssbench.build("prototype", backbone="small")
    there = fssbench.evaluate(method, dataset, episodes, device=str(card))
    assert there.run.starts[0].environment.device.startswith("cuda")
    assert next(method.parameters()).device == card
    here = fssbench.evaluate(method, dataset, episodes, device="cpu")
    assert there.summary().miou == pytest.approx(here.summary().miou, abs=0.3)


@pytest.mark.parametrize(("given", "size"), [(None, 8), (1, 1), (3, 3)])
def test_a_call_has_as_many_episodes_as_the_batch_size(given: int | None, size: int, card: torch.device) -> None:
    assert Settings(batch_size=given).batch_on(card) == size
    assert not serial_on(card)
    assert episodes_at_once(card) == 1
    method = Counting().to(card).eval()
    settings = Settings(batch_size=given)
    rows = list(rows_of(method, Patches(), questions(count=12), rules(), range(12), card, settings=settings))
    assert len(rows) == 12
    predicts = [count for call, count in method.calls if call == "predict"]
    assert predicts == [size] * (12 // size) + ([12 % size] if 12 % size else [])
    assert max(count for call, count in method.calls if call == "encode") <= size
    assert method.devices == {card}


def test_photos_come_from_pinned_memory(card: torch.device) -> None:
    with Loader(Patches(), workers=2, pinned=True) as loader:
        view = InputTransform((24, 24), rules().resize)
        loader.prefetch([(view, "p0"), (view, "p1")])
        photos = [loader.image(view, name) for name in ("p0", "p1", "p2")]
    assert all(photo.is_pinned() for photo in photos)
    torch.testing.assert_close(photos[0].to(card, non_blocking=True).cpu(), photos[0])


def test_memory_is_that_of_the_card(card: torch.device) -> None:
    free, total = torch.cuda.mem_get_info(card)
    assert 0 < default_budget(card) <= min(MOST, total // 3)
    assert default_budget(card) == pytest.approx(min(MOST, free // 3), rel=0.1)
    before = peak_memory(card)
    kept = torch.zeros(64 << 20, dtype=torch.uint8, device=card)
    assert peak_memory(card) >= max(before, kept.nbytes)
    assert default_workers(card) >= 1


@pytest.mark.filterwarnings("ignore:barrier")
def test_processes_meet_by_nccl(card: torch.device, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    # One process of a group of one, seen by the engine as the first of several, so that it meets the others.
    for name, value in {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "RANK": 0, "WORLD_SIZE": 1}.items():
        monkeypatch.setenv(name, str(value))
    processes = Processes(rank=0, size=2, local_rank=0, local=1)
    assert processes.device("auto") == processes.device("cuda") == str(card)
    with processes.process_group(str(card)):
        assert torch.distributed.get_backend() == "nccl"
        assert torch.cuda.current_device() == card.index
        processes.wait()
    assert not torch.distributed.is_initialized()
