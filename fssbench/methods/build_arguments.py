"""Arguments of `build`: the names that spellings stand for, and what a method takes, without importing it."""

from __future__ import annotations

from fssbench.errors import UsageError, did_you_mean
from fssbench.hub.names import hub_name, is_hub_name
from fssbench.methods.catalogue import MethodInfo, method_info
from fssbench.names import known_name


def known_backbone(info: MethodInfo, name: str, variant: str | None = None) -> str:
    """Return the backbone that a name stands for: "ResNet-50" is resnet50; an unknown name is returned as it is."""
    if is_hub_name(name):
        return name
    return known_name("backbone", name, info.backbones_for(variant)) or name


def known_variant(info: MethodInfo, name: str) -> str:
    """Return the variant that a name stands for: "FS-CS" is fscs; an unknown name is returned as it is."""
    return known_name("variant", name, [variant for variant in info.tasks if variant]) or name


def check_build(name: str, backbone: str | None, variant: str | None, way: int, shot: int) -> MethodInfo:
    """Refuse arguments of `build` that do not fit the method, without importing it.

    Raises:
        UsageError: Naming what is allowed.
    """
    info = method_info(name)
    if variant is not None and variant not in info.tasks:
        raise UsageError(
            f"{info.name} has no variant '{variant}'; it has {', '.join(v or 'only one' for v in info.tasks)}"
            f"{did_you_mean(variant, info.tasks)}"
        )
    backbones = info.backbones_for(variant)
    if backbone is not None and is_hub_name(backbone):
        hub_name(backbone)
    of_hub = info.pyramid and backbone is not None and is_hub_name(backbone)
    if backbone is not None and backbones and backbone not in backbones and not of_hub:
        in_variant = f" in variant {variant or next(iter(info.tasks))}" if backbone in info.backbones else ""
        others = ", and any model of the hub that is named hf:OWNER/NAME" if info.pyramid else ""
        raise UsageError(
            f"{info.name} has no backbone '{backbone}'{in_variant}; it has {', '.join(backbones)}{others}"
            f"{did_you_mean(backbone, backbones)}"
        )
    if way < 1 or shot < 1:
        raise UsageError(f"way and shot are at least 1, not {way} and {shot}")
    task = info.tasks[variant] if variant is not None else next(iter(info.tasks.values()))
    most = info.most_ways(task)
    if most is not None and way > most:
        joint = info.variant_for("fscs") if task == "fss" else None
        raise UsageError(
            f"{info.name} predicts {'1-way episodes only' if most == 1 else f'episodes of 1 to {most} ways'}"
            + (f" unless variant='{joint}'" if joint else "")
            + f", not {way}-way"
        )
    return info


def check_weak(info: MethodInfo, variant: str | None) -> None:
    """Refuse training with image-level labels for a method that does not support it.

    Raises:
        UsageError: Naming the variant that supports it, if there is one.
    """
    if not info.weak:
        raise UsageError(f"{info.name} can't learn from image-level labels", "leave --weak out")
    chosen = next(iter(info.tasks)) if variant is None else variant
    if info.tasks[chosen] != "fscs":
        raise UsageError(
            f"{info.name} learns from image-level labels in variant {info.variant_for('fscs')}, not in {chosen}",
            "--task fs-cs, or leave --weak out",
        )
