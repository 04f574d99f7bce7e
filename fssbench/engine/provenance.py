"""What a run says of itself: versions, device, weights. Torch is imported only by what needs it."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from fssbench.engine.leaks import leaking
from fssbench.episode.draw import classes_of
from fssbench.errors import UsageError
from fssbench.results.record import (
    DatasetRecord,
    Environment,
    FoldRecord,
    MethodRecord,
    Option,
    ProtocolRecord,
    Run,
    Start,
    Weights,
)

if TYPE_CHECKING:
    from typing import Any

    import torch
    from torch import Tensor, nn

    from fssbench.datasets.dataset import Dataset, Split
    from fssbench.engine.plan import Plan
    from fssbench.episode import EpisodeList
    from fssbench.methods.method import Method
    from fssbench.protocols import Protocol

PACKAGES = ("torch", "numpy", "pandas", "pillow", "opencv-python", "pycocotools")


@dataclass(frozen=True)
class Origin:
    """What only the caller knows of a run; all of it goes into run.json.

    Attributes:
        command: What was typed.
        weights: Where the method's weights come from, for each fold; default: hashed from memory.
        dataset_options: Arguments of `open_dataset` besides the root.
    """

    command: tuple[str, ...] = ()
    weights: Mapping[int, Weights] = field(default_factory=dict)
    dataset_options: Mapping[str, Option] = field(default_factory=dict)


def package_versions() -> dict[str, str]:
    """Return the versions of the packages that compute, without importing them."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def choose_device(name: str) -> torch.device:
    """Return the device of that name: "auto" (a graphics card if there is one), "cpu", "cuda" or "cuda:N".

    Raises:
        UsageError: If there is no such device here.
    """
    import torch

    cuda = torch.cuda.is_available()
    if name == "auto":
        return torch.device("cuda" if cuda else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsageError(f"there is no device '{name}'; there are auto, cpu, cuda, cuda:0, ...") from error
    if device.type not in ("cpu", "cuda"):
        raise UsageError(f"fssbench computes on cpu or cuda, not on '{name}'", "--device auto")
    if device.type == "cuda" and (not cuda or (device.index or 0) >= torch.cuda.device_count()):
        seen = f"sees {torch.cuda.device_count()} of them" if cuda else "sees none"
        raise UsageError(f"there is no device {name}: PyTorch {seen}", "--device cpu")
    return device


def environment(device: torch.device | None, root: Path | None) -> Environment:
    """Return where this runs.

    Args:
        device: Where the method computes; None where none does, as when answers come from files.
        root: Folder of the data.
    """
    name, threads = _processor(), 1
    if device is not None:
        import torch

        threads = torch.get_num_threads()
        name = torch.cuda.get_device_name(device) if device.type == "cuda" else name
    return Environment(
        python=platform.python_version(),
        platform=platform.platform(),
        packages=package_versions(),
        device="cpu" if device is None else str(device),
        device_name=name,
        threads=threads,
        root=None if root is None else str(root.resolve()),
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "") or platform.processor() or platform.machine() or "unknown"


def start(command: tuple[str, ...], device: torch.device | None, root: Path | None) -> Start:
    """Return the record of a start, now and here; `device` as for `environment`."""
    from fssbench import __version__

    now = datetime.now(UTC).isoformat(timespec="seconds")
    return Start(now, command, __version__, environment(device, root))


def protocol_record(protocol: Protocol) -> ProtocolRecord:
    """Return the rules of counting of a protocol that `Protocol.on` has brought to its data set."""
    return ProtocolRecord(
        name=protocol.name,
        task=protocol.task,
        input=protocol.input,
        resize=protocol.resize,
        score_at=protocol.score_at,
        ignore=protocol.ignore,
        base=protocol.base,
        absent=protocol.absent,
    )


def dataset_record(dataset: Dataset, split: Split, options: Mapping[str, Option]) -> DatasetRecord:
    """Return what decides labels and lists of the side of a data set that is asked, and which classes are."""
    chosen = {} if dataset.test_classes is None else {"test_classes": dataset.test_classes}
    folds = None if type(dataset).fold_count else dataset.fold_count
    fingerprint, order = dataset.split_fingerprint(split), dataset.list_order
    return DatasetRecord(dataset.name, fingerprint, order, {**options, **chosen}, folds)


def fold_record(episodes: EpisodeList, dataset: Dataset, weights: Weights, protocol: Protocol) -> FoldRecord:
    """Return what a list asks of one fold, counted by the rules of a protocol."""
    return FoldRecord(
        fold=episodes.fold,
        classes=classes_of(dataset, episodes),
        episodes=len(episodes),
        episodes_hash=episodes.hash,
        drawn_by=episodes.protocol,
        seed=episodes.seed,
        list_order=episodes.list_order,
        data_fingerprint=episodes.data_fingerprint,
        left_out=episodes.left_out,
        weights=weights,
        base_classes=() if protocol.base is None else dataset.fold_classes(episodes.fold, "train"),
        run_length=episodes.run_length,
        leaking=leaking(dataset, episodes),
    )


def method_record(method: Method[Any, Any]) -> MethodRecord:
    """Return how a method was built; of one not made by `fssbench.build`, its class."""
    parameters = method.learnable_parameters
    if method.built is None:
        cls = type(method)
        return MethodRecord(f"{cls.__module__}:{cls.__qualname__}", None, None, method.task, {}, parameters)
    built = {key: value for key, value in asdict(method.built).items() if key not in ("way", "shot", "trained_on")}
    options = {key: _option(value) for key, value in built.pop("options").items()}
    return MethodRecord(**built, task=method.task, options=options, learnable_parameters=parameters)


def _option(value: object) -> Option:
    if isinstance(value, list | tuple) and all(isinstance(item, int) for item in value):
        return tuple(value)
    return value if isinstance(value, str | int | float | bool | None) else repr(value)


def weights_in_memory(method: Method[Any, Any]) -> Weights:
    """Return the hash of a method's weights: names, types, shapes and values, in order of the names."""
    return Weights("memory", state_sha256(method)) if method.state_dict() else Weights("none")


def state_sha256(module: nn.Module) -> str:
    """Return the hex hash of a module's weights, buffers included, as `weights_in_memory` has it."""
    return _sha256(module.state_dict())


def encoder_sha256(encoder: nn.Module) -> str:
    """Return the hex hash of the weights that decide what a frozen encoder makes of an image.

    Left out: layers that never run, which some releases' files hold and others do not, and how many batches a batch
    norm has seen, which matters in training alone.
    """
    from fssbench.backbones import UnusedLinear

    unused = tuple(f"{name}." for name, layer in encoder.named_modules() if isinstance(layer, UnusedLinear))
    deciding = {
        key: its
        for key, its in encoder.state_dict().items()
        if not key.startswith(unused) and not key.endswith("num_batches_tracked")
    }
    return _sha256(deciding)


def _sha256(state: Mapping[str, Tensor]) -> str:
    import torch

    digest = hashlib.sha256()
    for key in sorted(state):
        tensor = state[key].detach().to("cpu").contiguous()
        digest.update(f"{key} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def planned_run(plan: Plan) -> Run:
    """Return the record of a run that was planned: all but what is known only when it starts."""
    several = len(plan.info.tasks) > 1
    return Run(
        method=MethodRecord(
            name=plan.info.name,
            variant=plan.variant if several else None,
            backbone=plan.backbone,
            task=plan.info.tasks[plan.variant],
            options=plan.options,
        ),
        dataset=dataset_record(plan.dataset, plan.lists[0].split, plan.request.dataset_options),
        protocol=protocol_record(plan.protocol),
        way=plan.way,
        shot=plan.shot,
        split=plan.lists[0].split,
        folds=tuple(fold_record(one, plan.dataset, plan.sources[one.fold].record, plan.protocol) for one in plan.lists),
        limit=plan.request.limit,
        starts=(),
        train_dataset=None if plan.request.trained_on == plan.request.dataset else plan.request.trained_on,
        shard=None if plan.request.shard is None else (plan.request.shard.part, plan.request.shard.of),
        precision=plan.request.settings.precision,
    )
