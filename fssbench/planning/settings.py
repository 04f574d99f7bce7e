"""How an evaluation computes. Settings never change which episodes are evaluated; most change no digit of a result."""

from __future__ import annotations

import re
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from fssbench.errors import UsageError

if TYPE_CHECKING:
    import torch

Precision = Literal["float32", "tf32", "bfloat16", "float16", "float16-features"]


@dataclass(frozen=True)
class Settings:
    """How to compute.

    Attributes:
        feature_cache: Bytes of features that are cached between episodes; None for a third of the free memory, at most
            3 GiB, and for one method on a CPU what the rest of the command leaves of 4 GiB; 0 for none.
        batch_size: How many images are encoded, and how many episodes are predicted, in one call; None for 1 on a CPU
            and 8 on a graphics card.
        workers: Threads that read photos ahead; None for a number that suits the device, 0 for none.
        precision: "float32"; "tf32" (graphics cards); "bfloat16" and "float16" (autocast); "float16-features" (what the
            encoder makes of an image is rounded to float16, all else computes in float32). Only "float32" gives the
            digits of the releases, so a run records any other precision.
        compiled: Whether `encode` is compiled by torch first.
        compiled_heads: Whether the parts of heads that have the same shapes in every episode are compiled, too
            (`fssbench.engine.compiled_heads`); graphics cards only.
        plain: Whether the method itself predicts instead of its fast form (`fssbench.fast.form`); the run records it.
        profiled: Whether operations are counted and each stage waits for the graphics card
            (`fssbench.engine.profiling.timers`).
        deterministic: Whether torch uses algorithms alone that give the same digits each time, and batches on a
            graphics card keep their size.
        channels_last: Whether images, and the weights of the encoder, have the channels of a pixel next to each other.
        feature_store: Folder in which encoded images are kept between runs (`fssbench.engine.features.store`); None for
            none.
        feature_store_size: Bytes that it may have; None for 50 GiB.

    Raises:
        UsageError: If a value is out of its range.
    """

    feature_cache: int | None = None
    batch_size: int | None = None
    workers: int | None = None
    precision: Precision = "float32"
    compiled: bool = False
    compiled_heads: bool = False
    profiled: bool = False
    plain: bool = False
    deterministic: bool = False
    channels_last: bool = False
    feature_store: Path | None = None
    feature_store_size: int | None = None

    def __post_init__(self) -> None:
        if self.feature_cache is not None and self.feature_cache < 0:
            raise UsageError(f"a feature cache has 0 or more bytes, not {self.feature_cache}")
        if self.batch_size is not None and self.batch_size < 1:
            raise UsageError(f"a batch has 1 or more episodes, not {self.batch_size}")
        if self.workers is not None and not 0 <= self.workers <= 64:
            raise UsageError(f"photos are read by 0 to 64 threads, not {self.workers}")
        if self.precision not in get_args(Precision):
            raise UsageError(
                f"there is no precision '{self.precision}'; there are {', '.join(get_args(Precision))}",
            )

    def batch_on(self, device: torch.device) -> int:
        """Return how many images or episodes are computed in one call on a device."""
        return self.batch_size or (8 if device.type == "cuda" else 1)

    def autocast(self, device: torch.device) -> AbstractContextManager[object]:
        """Return the context in which methods are called on a device.

        Raises:
            UsageError: If the device does not support the precision, or heads can't be compiled for it.
        """
        import torch

        from fssbench.layers.devices import serial_on

        if self.compiled_heads and serial_on(device):
            raise UsageError(
                "--compile-heads is for graphics cards: on a processor the work of a head depends on each mask, and "
                "compiled heads were no faster (docs/scale.md)",
                "leave it out",
            )
        if device.type == "cuda":
            # TF32 is off by default here. torch allows it in convolutions, which changes digits.
            tf32 = self.precision not in ("float32", "float16-features")
            torch.backends.cudnn.allow_tf32 = tf32
            torch.backends.cuda.matmul.allow_tf32 = tf32
        elif self.precision == "tf32":
            raise UsageError("only graphics cards support tf32", "--precision bfloat16, or leave it out")
        if self.precision in ("bfloat16", "float16"):
            return torch.autocast(device.type, dtype=getattr(torch, self.precision))
        return nullcontext()


def parse_bytes(text: str, option: str = "--feature-cache") -> int:
    """Return the number of bytes of "4GiB", "500MB" or "0".

    Args:
        text: The text.
        option: Where it stands.

    Raises:
        UsageError: If the text is not an amount of memory.
    """
    units = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
    units |= {"KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30, "TIB": 1 << 40}
    found = re.fullmatch(r"(\d{1,15}(?:\.\d{1,6})?)\s*([A-Za-z]*)", text.strip(), re.ASCII)
    if found is None or found[2].upper() not in units:
        raise UsageError(f"'{text}' is not an amount of memory", f"{option} 4GiB, or 0 for no cache")
    return int(float(found[1]) * units[found[2].upper()])


def choose_device(name: str) -> torch.device:
    """Return the device of that name: "auto" (a graphics card if there is one), "cpu", "cuda" or "cuda:N".

    Raises:
        UsageError: If this machine has no such device.
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
