"""The feature store: what is read is what was written, bit for bit, or nothing; never more than it may hold."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

import fssbench
from fssbench.engine.features.jobs import FoldJob
from fssbench.engine.features.store import FeatureStore, stored, taken_apart
from fssbench.engine.features.stored_encoder import StoredEncoder, encoder_key, rounded
from fssbench.engine.loop import evaluate_jobs
from fssbench.engine.profiling.timers import StageTimers
from fssbench.errors import UsageError
from fssbench.fast.form import fast_form
from fssbench.planning.settings import Settings
from fssbench.protocols.rules import protocol
from fssbench.results.rows import Row

CPU = torch.device("cpu")
A, B, C = (letter * 64 for letter in "abc")


@dataclass(frozen=True, eq=False)
class Maps:
    """Features of a kind that methods have: maps, a size, and room for what is computed from them."""

    deep: Tensor
    size: tuple[int, int]
    known: dict[bytes, Tensor] = field(default_factory=dict)


def maps(value: float = 0.5, side: int = 3) -> Maps:
    return Maps(torch.full((1, 2, side, side), value), (side, 2 * side))


def skeleton(tree: object):
    found = taken_apart(tree)
    assert found is not None
    return found[0]


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path / "new" / "store")
    last = torch.rand(1, 3, 4, 5).contiguous(memory_format=torch.channels_last)
    tree = (maps(), [last, torch.tensor([1, 2], dtype=torch.int64)], torch.rand(1, 2).half(), None, "x")
    store.put(A, tree)
    found = store.get(A, skeleton((maps(7.0), [last, torch.zeros(2)], torch.zeros(1), None, "y")))
    assert torch.equal(found[0].deep, tree[0].deep)
    assert found[0].size == (3, 6)
    assert found[0].known == {}
    assert found[0].known is not tree[0].known
    for one, other in zip((*found[1], found[2]), (*tree[1], tree[2]), strict=True):
        assert torch.equal(one, other)
        assert (one.dtype, one.stride()) == (other.dtype, other.stride())
    assert found[3:] == (None, "x")
    assert store.get(B, skeleton(maps())) is None
    assert (store.counts.read, store.counts.written, store.counts.damaged) == (1, 1, 0)
    store.put(B, {"key": object()})  # what can't be kept is not kept
    assert [file.path.name for file in stored(store.folder)] == [f"{A}.features"]


@pytest.mark.parametrize("damage", ["cut", "bit", "empty", "renamed", "foreign", "parts"])
def test_a_damaged_file_is_removed_and_encoded_again(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    store = FeatureStore(tmp_path)
    store.put(A, maps())
    path = tmp_path / f"{A}.features"
    content = bytearray(path.read_bytes())
    like, key = skeleton(maps()), A
    if damage == "cut":
        path.write_bytes(content[:-1])
    elif damage == "bit":
        content[-1] ^= 1
        path.write_bytes(content)
    elif damage == "renamed":
        key = B
        path.rename(tmp_path / f"{B}.features")
    elif damage == "parts":
        like = skeleton((maps(), maps()))
    else:
        path.write_bytes(b"" if damage == "empty" else b"\x80\x04cos\nsystem\n" * 40)
    with caplog.at_level(logging.WARNING):
        assert store.get(key, like) is None
    assert "is damaged" in caplog.text
    assert list(stored(tmp_path)) == []
    assert store.counts.damaged == 1


def test_a_full_store_removes_what_was_used_longest_ago_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("stays")
    (tmp_path / "d.features").write_text("stays, too")
    store = FeatureStore(tmp_path)
    for place, key in enumerate((A, B)):
        store.put(key, maps())
        os.utime(tmp_path / f"{key}.features", (place, place))
    size = next(iter(stored(tmp_path))).bytes
    full = FeatureStore(tmp_path, 2 * size + 10)
    assert full.get(A, skeleton(maps())) is not None  # now B is the one that was used longest ago
    full.put(C, maps())
    assert {file.path.name[0] for file in stored(tmp_path)} == {"a", "c"}
    assert sum(file.bytes for file in stored(tmp_path)) <= full.budget
    assert full.counts.evicted == 1
    full.put(B, maps(side=90))  # larger than the whole store
    assert {file.path.name[0] for file in stored(tmp_path)} == {"a", "c"}
    assert sorted(path.name for path in tmp_path.iterdir() if path.name[1:2] != path.name[:1]) == [
        "d.features",
        "features.lock",
        "mine.txt",
    ]


def test_several_writers_never_exceed_the_room(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path)
    store.put(A, maps())
    size = next(iter(stored(tmp_path))).bytes
    stores = [FeatureStore(tmp_path, 4 * size) for _ in range(3)]
    most, stop = [0], threading.Event()

    def watch() -> None:
        while not stop.is_set():
            most[0] = max(most[0], sum(file.bytes for file in stored(tmp_path)))

    def write(place: int) -> None:
        for number in range(12):
            key = f"{place * 8 + number:064x}"  # some are those of another writer
            stores[place].put(key, maps())
            found = stores[place].get(key, skeleton(maps()))
            assert found is None or torch.equal(found.deep, maps().deep)

    watcher, *writers = [threading.Thread(target=watch), *(threading.Thread(target=write, args=(i,)) for i in range(3))]
    for thread in (watcher, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    stop.set()
    watcher.join()
    assert 0 < most[0] <= 4 * size
    assert sum(one.counts.damaged for one in stores) == 0


WRITER = """
import sys, torch
from pathlib import Path
from fssbench.engine.features.store import FeatureStore, stored, taken_apart

folder, mine, budget = Path(sys.argv[1]), *map(int, sys.argv[2:])

def maps(number):
    return torch.full((1, 2, 8, 8), float(number)), (number, None)

store, like = FeatureStore(folder, budget), taken_apart(maps(0))[0]
print("ready", flush=True)
input()
for number in range(60):  # both write and read the same keys, one of them from the last to the first
    number = 59 - number if mine else number
    key = f"{number % 20:064x}"
    store.put(key, maps(number % 20))
    found = store.get(key, like)
    if found is not None and not (found[0].eq(number % 20).all() and found[1] == (number % 20, None)):
        sys.exit(f"{number} is not what was written")
    if sum(file.bytes for file in stored(folder)) > budget:
        sys.exit("more than it may have")
print(store.counts.written, store.counts.read, store.counts.damaged)
"""


def test_two_processes_write_and_read_one_store_at_once(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path)
    store.put(f"{0:064x}", (torch.zeros(1, 2, 8, 8), (0, None)))
    room = 12 * next(iter(stored(tmp_path))).bytes
    both = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), str(mine), str(room)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for mine in (0, 1)
    ]  # fmt: skip
    written = 0
    try:
        assert [process.stdout.readline() if process.stdout else "" for process in both] == ["ready\n"] * 2
        for process in both:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        for process in both:
            out, errors = process.communicate()
            assert (process.returncode, errors) == (0, "")
            counts = list(map(int, out.split()))
            written += counts[0]
            assert counts[1] > 0
            assert counts[2] == 0
    finally:
        for process in both:
            process.kill()
    assert written >= 20  # more than there is room for
    files = list(stored(tmp_path))
    assert 0 < sum(file.bytes for file in files) <= room
    like = skeleton((torch.zeros(1), (0, None)))
    for file in files:
        number = int(file.path.stem, 16)
        found = store.get(file.path.stem, like)
        assert found is not None
        assert torch.equal(found[0], torch.full((1, 2, 8, 8), float(number)))


def test_a_store_that_can_not_be_written_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    store = FeatureStore(tmp_path)
    monkeypatch.setattr("fssbench.engine.features.store.write_bytes", full)
    for key in (A, B):
        store.put(key, maps())
    assert caplog.text.count("No space left on device; nothing more is kept there") == 1
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="feature store"):
        FeatureStore(tmp_path / "file")


def evaluated(method_name: str, settings: Settings, shots: int = 1) -> tuple[list[Row], int]:
    dataset = fssbench.open_dataset("shapes20i")
    episodes = fssbench.episodes(dataset, 0, 1, shots, "shapes", 3)
    torch.manual_seed(0)
    job = FoldJob(
        fast_form(fssbench.build(method_name, "small").eval()), episodes, protocol("shapes").on("shapes20i"), range(3)
    )
    timers = StageTimers()
    rows = [replace(row, seconds=0.0) for _, row, _ in evaluate_jobs([job], dataset, CPU, settings, timers)]
    return rows, timers.images


@pytest.mark.parametrize("name", ["hsnet", "pfenet"])
def test_a_later_run_encodes_one_image_and_has_the_same_rows(tmp_path: Path, name: str) -> None:
    plain, encoded = evaluated(name, Settings())
    settings = Settings(feature_store=tmp_path)
    assert evaluated(name, settings) == (plain, encoded)
    assert evaluated(name, settings) == (plain, 1)
    rounded_rows, again = evaluated(name, replace(settings, precision="float16-features"))
    assert again == encoded  # another precision shares nothing
    assert evaluated(name, replace(settings, precision="float16-features")) == (rounded_rows, 1)
    assert evaluated(name, Settings(precision="float16-features"))[0] == rounded_rows  # with a store or without


def test_what_is_kept_of_an_image_does_not_depend_on_the_others_of_a_call(tmp_path: Path) -> None:
    for size in (1, 4):
        evaluated("hsnet", Settings(feature_store=tmp_path / f"{size}", batch_size=size))
    one, four = ({file.path.name: file.path.read_bytes() for file in stored(tmp_path / name)} for name in "14")
    assert one
    assert one == four


def test_rounded_features_take_half_the_room(tmp_path: Path) -> None:
    store, tree = FeatureStore(tmp_path), rounded((torch.rand(1, 9, 20, 20), torch.rand(1, 4).double()))
    for key, half in ((A, False), (B, True)):
        store.put(key, tree, rounded=half)
        found = store.get(key, skeleton(tree))
        assert all(torch.equal(one, other) and one.dtype == other.dtype for one, other in zip(found, tree, strict=True))
    whole, halved = (file.bytes for file in sorted(stored(tmp_path), key=lambda file: file.path.name))
    assert halved < 0.55 * whole


def test_the_key_is_of_all_that_decides() -> None:
    torch.manual_seed(0)
    method, other = fssbench.build("hsnet", "small"), fssbench.build("hsnet", "small")
    same = fssbench.build("asnet", "small")
    same.backbone.load_state_dict(method.backbone.state_dict())
    key = encoder_key(method, Settings(), CPU)
    assert key == encoder_key(same, Settings(), CPU)
    assert key not in {
        encoder_key(other, Settings(), CPU),
        encoder_key(fast_form(method), Settings(precision="bfloat16"), CPU),
        encoder_key(method, Settings(compiled=True), CPU),
    }
    method.built = None  # what made it is not known
    assert encoder_key(method, Settings(), CPU) is None
    one = StoredEncoder.__new__(StoredEncoder)
    one._key = "x"
    pixels = torch.zeros(3, 4, 5)
    assert len({one.key(pixels), one.key(pixels.view(3, 5, 4)), one.key(pixels + 1)}) == 3


def test_numbers_that_do_not_fit_float16_are_refused() -> None:
    found = rounded(Maps(torch.tensor([[1.0001, float("inf")]]), (1, 2)))
    assert found.deep.tolist() == [[1.0, float("inf")]]
    with pytest.raises(UsageError, match="too large for float16"):
        rounded((torch.tensor([70000.0]),))
