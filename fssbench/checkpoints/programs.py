"""What a pickle would do, found without running it.

A pickle is a program for a stack machine. Here its instructions are followed with sizes and names in place of values:
nothing is imported, called or allocated. Torch's own restricted reader calls only harmless functions, but it allocates
what a file claims before it reads, and can be kept busy without end by keys that refer to themselves.
"""

from __future__ import annotations

import pickletools
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import IO

from fssbench.damaged_archives import DAMAGED
from fssbench.errors import BrokenFileError
from fssbench.escape import plain

_MOST = 1 << 40
_ALLOCATE = ("bytearray", "Tensor")
"""Endings of the names of types that allocate as many bytes as they are called with."""
_SPREAD = 64
"""How many times a value may be larger, written out, than the program so far; values may share parts."""
_LOOKED = 100_000
"""Instructions of a foreign pickle that are searched for names."""
_MESSAGES = (ValueError, TypeError, IndexError, KeyError, OverflowError, MemoryError, EOFError)
"""What `pickletools` and the machine raise for a senseless program."""


@dataclass(slots=True)
class _Item:
    """A value on the stack.

    Attributes:
        number: Its value, if it is a whole number.
        text: Its value, if it is a text; the name, if it is something imported.
        parts: Its items, if it is a tuple.
        weight: The number of values in it, those that are shared counted each time.
    """

    number: int | None = None
    text: str = ""
    parts: tuple[_Item, ...] = ()
    weight: int = 1


_MARK = _Item()


@dataclass
class _Machine:
    stack: list[_Item] = field(default_factory=list)
    memo: dict[int, _Item] = field(default_factory=dict)
    storages: dict[str, int] = field(default_factory=dict)
    steps: int = 0


def check_program(path: Path, *, legacy: bool) -> None:
    """Refuse a torch file whose pickle claims more than the file has, or would take without end to read.

    Args:
        path: The file.
        legacy: Whether it is of the format before torch 1.6: several pickles, one after the other.

    Raises:
        BrokenFileError: With what it claims. A program that makes no sense is left to torch, which refuses it.
    """
    size = path.stat().st_size
    try:
        if legacy:
            with path.open("rb") as file:
                for _ in range(5):  # magic number, version, system, objects, keys of the storages
                    _follow(file, path, size)
            return
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if name.endswith("data.pkl"):
                    with archive.open(name) as content:
                        _follow(content, path, size)
    except BrokenFileError:
        raise
    except (*_MESSAGES, *DAMAGED):
        return


def names_in(path: Path) -> list[str]:
    """Return the names that a pickle imports, in the order of the file; what can't be read has none."""
    names: dict[str, None] = {}
    texts: list[str] = []
    try:
        with path.open("rb") as file:
            for instruction, argument, _ in islice(pickletools.genops(file), _LOOKED):
                if instruction.name in ("GLOBAL", "INST"):
                    names[".".join(str(argument).split(" ", 1))] = None
                elif instruction.name == "STACK_GLOBAL" and len(texts) > 1:
                    names[".".join(texts[-2:])] = None
                elif isinstance(argument, str):
                    texts.append(argument)
    except _MESSAGES:
        pass
    return [plain(name)[:100] for name in names]


def _follow(file: IO[bytes], path: Path, size: int) -> None:
    """Follow one pickle to its end."""
    machine = _Machine()
    for instruction, argument, _ in pickletools.genops(file):
        machine.steps += 1
        _step(machine, instruction, argument, path, size)


def _step(machine: _Machine, instruction: pickletools.OpcodeInfo, argument: object, path: Path, size: int) -> None:
    stack, name = machine.stack, instruction.name
    if name in ("BINGET", "LONG_BINGET", "GET"):
        stack.append(machine.memo[int(str(argument))])
    elif name in ("BINPUT", "LONG_BINPUT", "PUT", "MEMOIZE"):
        machine.memo[len(machine.memo) if name == "MEMOIZE" else int(str(argument))] = stack[-1]
    elif name == "DUP":
        stack.append(stack[-1])
    elif name == "MARK":
        stack.append(_MARK)
    elif name == "GLOBAL":
        stack.append(_Item(text=str(argument)))
    elif instruction.stack_before:
        taken = _taken(stack, instruction)
        _refuse(machine, name, taken, path, size)
        if name in ("APPEND", "APPENDS", "SETITEM", "SETITEMS", "ADDITEMS", "BUILD"):
            # The first is the container, which stays on the stack and grows.
            taken[0].weight = min(taken[0].weight + sum(item.weight for item in taken[1:]), _MOST)
            stack.append(taken[0])
        elif instruction.stack_after:
            weight = min(1 + sum(item.weight for item in taken), _MOST)
            text = taken[1].text if name == "STACK_GLOBAL" else ""
            stack.append(_Item(text=text, parts=tuple(taken) if name.startswith("TUPLE") else (), weight=weight))
    elif instruction.stack_after:
        number = argument if isinstance(argument, int) and not isinstance(argument, bool) else None
        stack.append(_Item(number=number, text=argument[:200] if isinstance(argument, str) else ""))


def _taken(stack: list[_Item], instruction: pickletools.OpcodeInfo) -> list[_Item]:
    """Remove what an instruction takes from the stack, and return it without marks, the lowest first."""
    taken: list[_Item] = []
    for kind in reversed(instruction.stack_before):
        if kind is pickletools.stackslice:
            while stack[-1] is not _MARK:
                taken.append(stack.pop())
        else:
            taken.append(stack.pop())
    return [item for item in reversed(taken) if item is not _MARK]


def _refuse(machine: _Machine, name: str, taken: list[_Item], path: Path, size: int) -> None:
    remedy = "ask its author for the state dict alone, as safetensors"
    claims = 0
    if name == "BINPERSID" and taken and len(taken[0].parts) > 4:
        # ("storage", type, key, device, number of values, ...)
        machine.storages[taken[0].parts[2].text] = taken[0].parts[4].number or 0
        claims = sum(machine.storages.values())
    elif name in ("REDUCE", "NEWOBJ") and taken[0].text.endswith(_ALLOCATE):
        claims = max((part.number or 0 for part in taken[1].parts), default=0)
    if claims > size:
        raise BrokenFileError(f"{path} claims {claims} values, more than its {size} bytes can hold", remedy)
    if name not in ("SETITEM", "SETITEMS", "ADDITEMS", "DICT", "FROZENSET", "REDUCE", "NEWOBJ", "NEWOBJ_EX"):
        return
    if max((item.weight for item in taken[name.startswith("SET") :]), default=0) > _SPREAD * (machine.steps + 1000):
        raise BrokenFileError(f"{path} has values within values without end; it was not opened", remedy)


def shown(names: Iterator[str] | list[str]) -> str:
    """Return the first names as the end of a sentence; empty if there is none."""
    first = list(islice(names, 3))
    return f"; it would call {', '.join(first)}" if first else ""
