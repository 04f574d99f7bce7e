"""Backbones by the name of a model of the Hugging Face hub, as the transformers library builds and loads them.

A vision transformer gives the patch tokens of a few blocks as maps, a hierarchical network the maps of its last stages.
Each is what transformers calls a hidden state: as it leaves the block or stage, before a final norm. The images are
normalised anew by the statistics of the model, and resized to whole patches.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fssbench.backbones import Backbone, Pyramid
from fssbench.backbones.networks import resized, transformers_library
from fssbench.errors import BrokenFileError, CheckpointError, FSSBenchError, UsageError
from fssbench.escape import plain
from fssbench.hub.networks import HubNetwork, hub_network
from fssbench.imagenet import IMAGENET_MEAN, IMAGENET_STD

if TYPE_CHECKING:
    from types import ModuleType

_LOG = logging.getLogger(__name__)

Levels = tuple[int, int, int]
_SHOWN = 3
_FIELDS = ("rope_theta", "rope_parameters")
"""Fields that a configuration may have besides those of its class."""
_OWN_CHOICE = ("model_type", "dtype", "output_hidden_states", "output_attentions", "return_dict", "problem_type")


class _HasStates(Protocol):
    hidden_states: Sequence[Tensor]
    reshaped_hidden_states: Sequence[Tensor]


class HubBackbone(Backbone):
    """A model of the hub with its weights; its parameters are frozen by the methods that use it.

    Args:
        source: The model.
        network: transformers' network with its weights.
    """

    relu_follows: ClassVar[bool] = False
    preloaded: ClassVar[bool] = True

    def __init__(self, source: HubNetwork, network: nn.Module) -> None:
        super().__init__()
        self.source = source
        self.network = network
        self._config = cast("Any", network).config
        self.channels = tuple(_channels(source, self._config, layer) for layer in source.layers)
        self.levels = _levels(source)
        self._halved = False
        self._own_statistics = (source.mean, source.std) != (IMAGENET_MEAN, IMAGENET_STD)
        # They decide the maps as the weights do, so they are stored and hashed with them.
        self.register_buffer("mean", torch.tensor(source.mean))
        self.register_buffer("std", torch.tensor(source.std))
        self.register_buffer("layers", torch.tensor(source.layers))

    @property
    def compared(self) -> tuple[int, ...]:
        """The last map of a vision transformer, as in FSSDINO; of a hierarchical network that of the middle level."""
        return super().compared if self.source.family.hierarchical else (len(self.channels) - 1,)

    def as_pyramid(self) -> Self:
        """Return the backbone with a deep level of half the size, if all of its maps have one size.

        HSNet and ASNet squeeze their levels to one size, for which the deep maps have to be smaller, as those of a
        ResNet are. The deep maps of a vision transformer are averaged over 2 x 2 positions.

        Raises:
            UsageError: If a level has no map.
        """
        if not all(self.levels):
            raise UsageError(
                f"{self.source.name}: a pyramid has three levels, so it needs three maps or more",
                f"#{','.join(map(str, self.source.family.default_layers(self.source.depth)))}",
            )
        self._halved = not self.source.family.hierarchical
        return self

    def forward(self, image: Tensor) -> Pyramid:
        """Return the maps of the chosen layers, in their order, (B, C, h, w), of float32 images (B, 3, H, W)."""
        fitted = resized(image, *self.input_size(image.shape[-2], image.shape[-1]))
        if self._own_statistics:
            # Images arrive normalised by ImageNet's statistics.
            mean, std = cast("Tensor", self.mean), cast("Tensor", self.std)
            scale, shift = mean.new_tensor(IMAGENET_STD) / std, (mean.new_tensor(IMAGENET_MEAN) - mean) / std
            fitted = fitted * scale.view(3, 1, 1) + shift.view(3, 1, 1)
        maps = self._maps(fitted)
        if self._halved:
            flat = sum(self.levels[:2])
            maps = [*maps[:flat], *(F.avg_pool2d(deep, 2, ceil_mode=True) for deep in maps[flat:])]
        return tuple(maps)

    def input_size(self, height: int, width: int) -> tuple[int, int]:
        """Return the size to which images are resized: the nearest multiple of the patch; SAM has a fixed size."""
        if self.source.family.form == "grid":
            return self._config.image_size, self._config.image_size
        step = _step(self.source, self._config)
        # Half of a patch is rounded up: 400 pixels become 416 for a patch of 32.
        return max(1, (2 * height + step) // (2 * step)) * step, max(1, (2 * width + step) // (2 * step)) * step

    def _maps(self, image: Tensor) -> list[Tensor]:
        family = self.source.family
        options: dict[str, bool] = {"interpolate_pos_encoding": True} if family.positions else {}
        if family.form == "merging stages":
            # As transformers' own backbone: with windows of one size, also where a map is smaller than one.
            options |= {"output_hidden_states_before_downsampling": True, "always_partition": True}
        out: _HasStates = self.network(pixel_values=image, output_hidden_states=True, **options)
        states = list(out.reshaped_hidden_states if family.form == "merging stages" else out.hidden_states)
        states = states[len(states) - self.source.depth :]  # without that of the embedding
        chosen = [states[layer - 1] for layer in self.source.layers]
        if family.form == "grid":
            return [state.permute(0, 3, 1, 2) for state in chosen]
        if family.form == "tokens":
            rows, columns = (side // self._config.patch_size for side in image.shape[-2:])
            patches = [state[:, -rows * columns :].transpose(1, 2) for state in chosen]
            return [state.reshape(*state.shape[:2], rows, columns) for state in patches]
        return chosen


def hub_backbone(name: str) -> HubBackbone:
    """Build a backbone and load its weights, both from the files of the model.

    Args:
        name: See `fssbench.hub.networks.hub_network`.

    Raises:
        UsageError, MissingError, BrokenFileError: As `hub_network`; MissingError also without transformers.
        CheckpointError: If the weights do not fit the network.
    """
    source = hub_network(name)
    network = _loaded(transformers_library(), source)
    for key, value in network.named_parameters():
        if not torch.isfinite(value.sum(dtype=torch.float64)):
            raise CheckpointError(f"{name}: {key} is not finite", "use other weights")
    return HubBackbone(source, network.eval())


def _loaded(library: ModuleType, source: HubNetwork) -> nn.Module:
    try:
        config = _config(library, source)
        with torch.device("meta"):
            bare: nn.Module = library.AutoModel.from_config(config, trust_remote_code=False)
        _check_size(source, bare)
        with _quiet(library):
            network, report = library.AutoModel.from_pretrained(
                source.snapshot.folder,
                config=config,
                trust_remote_code=False,
                use_safetensors=True,
                local_files_only=True,
                dtype=torch.float32,
                attn_implementation="sdpa" if getattr(bare, "_supports_sdpa", False) else "eager",
                ignore_mismatched_sizes=True,  # they are in the report, and refused below
                output_loading_info=True,
            )
    except FSSBenchError:
        raise
    except Exception as error:  # transformers and safetensors raise many types for what does not fit
        first = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise BrokenFileError(f"{source.name} can't be loaded: {plain(first)[:200]}", _again(source)) from error
    _check_keys(source, report)
    loaded: nn.Module = network
    return loaded


@contextmanager
def _quiet(library: ModuleType) -> Iterator[None]:
    """Keep transformers from showing a bar and a report of its own."""
    logs = library.logging
    level, shown = logs.get_verbosity(), logs.is_progress_bar_enabled()
    logs.set_verbosity_error()
    logs.disable_progress_bar()
    try:
        yield
    finally:
        logs.set_verbosity(level)
        if shown:
            logs.enable_progress_bar()


def _config(library: ModuleType, source: HubNetwork) -> object:
    kind = type(library.AutoConfig.for_model(source.family.name))
    # Only what describes the network: a configuration could also name kernels and other code to use.
    own = {name for name in kind.__dataclass_fields__ if not name.startswith("_")} | set(_FIELDS)
    known = {key: value for key, value in source.config.items() if key in own and key not in _OWN_CHOICE}
    return library.AutoConfig.for_model(source.family.name, **known)


def _check_size(source: HubNetwork, bare: nn.Module) -> None:
    # Before memory is used: a configuration may claim any size.
    claimed = sum(parameter.numel() for parameter in bare.parameters())
    held = sum(path.stat().st_size for path in source.weights)
    if claimed > held:  # no number has less than a byte
        raise BrokenFileError(
            f"{source.name}: its configuration is of {claimed:,} parameters, its files have {held:,} bytes",
            _again(source),
        )


def _check_keys(source: HubNetwork, report: Mapping[str, Any]) -> None:
    unused = source.family.unused
    missing = sorted(key for key in report["missing_keys"] if not key.startswith(unused))
    unexpected = sorted(report["unexpected_keys"])
    foreign = [key for key in unexpected if not key.startswith(unused)]
    misshapen = [key if isinstance(key, str) else key[0] for key in report.get("mismatched_keys", ())]
    wrong = [
        f"{what}: {', '.join(keys[:_SHOWN])}{f' and {len(keys) - _SHOWN} more' if len(keys) > _SHOWN else ''}"
        for what, keys in (("missing", missing), ("unexpected", foreign), ("misshapen", misshapen))
        if keys
    ]
    if wrong:
        raise CheckpointError(
            f"the weights of {source.name} do not fit its network; {plain('; '.join(wrong))}", _again(source)
        )
    if unexpected:
        counts = Counter(key.partition(".")[0] for key in unexpected)
        parts = ", ".join(f"{part} ({count})" for part, count in sorted(counts.items()))
        _LOG.info("%s: weights that no map needs are left out: %s", source.name, parts)


def _again(source: HubNetwork) -> str:
    repository = source.name.repository
    return f"hf download --force-download {repository}" if repository else "save the model again, or use another one"


def _channels(source: HubNetwork, config: Any, layer: int) -> int:  # noqa: ANN401 - a class of each family
    family = source.family
    if family.form == "merging stages":
        return int(config.embed_dim * 2 ** (layer - 1))
    return int(config.hidden_sizes[layer - 1] if family.hierarchical else config.hidden_size)


def _levels(source: HubNetwork) -> Levels:
    """Return how many maps each level has: one stage, or a third of the blocks; one map alone is the middle level."""
    count = len(source.layers)
    if count < 3:
        return (0, 1, 0) if count == 1 else (1, 1, 0)
    return (count // 3, count - 2 * (count // 3), count // 3)


def _step(source: HubNetwork, config: Any) -> int:  # noqa: ANN401 - a class of each family
    """Return the number of which the sides of images are multiples."""
    family = source.family
    if family.form == "tokens":
        return int(config.patch_size)
    if family.name == "resnet":  # convolutions with padding take any size
        return 1
    patch: int = getattr(config, "patch_size", 4)
    return patch << (source.depth - 1)
