"""Options that several commands share, each with its help once, and what stands in them."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, is_dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_type_hints

import typer

from fssbench.cli.help import COMPUTING, DATA, EPISODES, OUTPUT, WEIGHTS, WHAT
from fssbench.cli.paths import given_path
from fssbench.errors import UsageError

if TYPE_CHECKING:
    from fssbench.planning.request import Task
    from fssbench.results.run_reader import Existing

_DATASET = "One of `fssbench list datasets`."
_PROTOCOL = "One of `fssbench list protocols`, or a file: ./mine.toml."
_BACKBONE = "One of `fssbench list backbones`, or a model of the Hugging Face hub: hf:OWNER/NAME, hf:./FOLDER."

DatasetName = Annotated[str, typer.Option("--dataset", metavar="NAME", help=_DATASET, rich_help_panel=WHAT)]
ReplayableDataset = Annotated[
    str,
    typer.Option(
        "--dataset", metavar="NAME", help=_DATASET, show_default="none; needed without --replay", rich_help_panel=WHAT
    ),
]
MaybeDataset = Annotated[
    str | None,
    typer.Option("--dataset", metavar="NAME", help=_DATASET, show_default="none", rich_help_panel=WHAT),
]
Backbone = Annotated[
    str | None,
    typer.Option("--backbone", metavar="NAME", help=_BACKBONE, show_default="the method's own", rich_help_panel=WHAT),
]
Variant = Annotated[
    str | None,
    typer.Option(
        "--variant",
        metavar="NAME",
        help="Variant of the method, if it has several.",
        show_default="its first for the task",
        rich_help_panel=WHAT,
    ),
]
DrawnBy = Annotated[
    str | None,
    typer.Option(
        "--protocol", metavar="NAME", help=_PROTOCOL, show_default="that of the data set", rich_help_panel=EPISODES
    ),
]
MaybeProtocol = Annotated[
    str | None,
    typer.Option(
        "--protocol",
        metavar="NAME",
        help=_PROTOCOL,
        show_default="that of the method's release",
        rich_help_panel=EPISODES,
    ),
]
MaybeTask = Annotated[
    Literal["fss", "fs-cs", "fscs"] | None,
    typer.Option(
        "--task",
        help="Segmentation, or classification and segmentation.",
        show_default="the method's",
        rich_help_panel=WHAT,
    ),
]
AllowLeak = Annotated[
    bool,
    typer.Option(
        "--allow-leak",
        help="Test also classes that training on --train-dataset has seen; the run is marked.",
        rich_help_panel=DATA,
    ),
]
SkipShortClasses = Annotated[
    bool,
    typer.Option("--skip-short-classes", help="Leave out classes that have too few images.", rich_help_panel=EPISODES),
]
Labels = Annotated[
    str | None,
    typer.Option(
        "--labels",
        metavar="NAME",
        help="Labels of coco20i: hsnet, pycocotools, large or png.",
        show_default="hsnet",
        rich_help_panel=DATA,
    ),
]
Lists = Annotated[
    str | None,
    typer.Option(
        "--lists",
        metavar="all|here",
        help="Of coco20i's imported lists all entries, or those that are here.",
        show_default="all",
        rich_help_panel=DATA,
    ),
]
Part = Annotated[
    str | None,
    typer.Option(
        "--part",
        metavar="all|test",
        help="Of suim all images, or those of its test folder.",
        show_default="all",
        rich_help_panel=DATA,
    ),
]
Root = Annotated[
    Path | None,
    typer.Option(
        "--root",
        metavar="FOLDER",
        parser=given_path,
        help="Folder of the data set.",
        show_default="what `fssbench data where` shows",
        rich_help_panel=DATA,
    ),
]
BackboneWeights = Annotated[
    str | None,
    typer.Option(
        "--backbone-weights",
        metavar="FILE",
        help="The frozen backbone, where the checkpoint is without it.",
        show_default="the registered ones",
        rich_help_panel=WEIGHTS,
    ),
]
Device = Annotated[
    str,
    typer.Option("--device", metavar="NAME", help="auto, cpu, cuda or cuda:N.", rich_help_panel=COMPUTING),
]
FeatureCache = Annotated[
    str | None,
    typer.Option(
        "--feature-cache",
        metavar="SIZE",
        help="Memory for features of images that come again: 4GiB, or 0 for none.",
        show_default="a third of what is free, at most 4GiB",
        rich_help_panel=COMPUTING,
    ),
]
BatchSize = Annotated[
    int | None,
    typer.Option(
        "--batch-size",
        help="Images or episodes in one call.",
        show_default="1, on a graphics card 8",
        rich_help_panel=COMPUTING,
    ),
]
Precision = Annotated[
    Literal["float32", "tf32", "bfloat16", "float16"],
    typer.Option(
        "--precision",
        metavar="NAME",
        help="float32, tf32, bfloat16 or float16; only float32 gives the releases' digits.",
        rich_help_panel=COMPUTING,
    ),
]
RunFolder = Annotated[
    Path | None,
    typer.Option(
        "--out",
        metavar="FOLDER",
        parser=given_path,
        help="Run folder.",
        show_default="runs/METHOD-DATASET-...",
        rich_help_panel=OUTPUT,
    ),
]
OutFile = Annotated[
    Path | None,
    typer.Option(
        "--out",
        metavar="FILE",
        parser=given_path,
        help="File to write.",
        show_default="print it",
        rich_help_panel=OUTPUT,
    ),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the run in that folder.", rich_help_panel=OUTPUT)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else.", rich_help_panel=OUTPUT)]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.", rich_help_panel=OUTPUT)]


@dataclass(frozen=True)
class DataOptions:
    """Where a data set is, and what it takes besides."""

    labels: Labels = None
    lists: Lists = None
    part: Part = None
    root: Root = None

    @property
    def given(self) -> dict[str, str]:
        """What `open_dataset` is given besides the root."""
        options = {"labels": self.labels, "lists": self.lists, "part": self.part}
        return {name: value for name, value in options.items() if value is not None}


def with_fields(command: Callable[..., None]) -> Callable[..., None]:
    """Return a command that has an option for each field of its parameters that are dataclasses.

    A field is annotated as a parameter of the command would be: `Annotated[type, typer.Option(...)]`.
    """
    hints = get_type_hints(command, include_extras=True)
    groups = {name: hint for name, hint in hints.items() if isinstance(hint, type) and is_dataclass(hint)}
    options: list[inspect.Parameter] = []
    for parameter in inspect.signature(command).parameters.values():
        if parameter.name in groups:
            group = groups[parameter.name]
            inner = get_type_hints(group, include_extras=True)
            found = inspect.signature(group).parameters.values()
            options += [one.replace(annotation=inner[one.name], kind=one.KEYWORD_ONLY) for one in found]
        else:
            options.append(parameter.replace(annotation=hints[parameter.name], kind=parameter.KEYWORD_ONLY))

    @wraps(command)
    def run(**given: object) -> None:
        made = {
            name: group(**{field.name: given.pop(field.name) for field in fields(group) if field.name in given})
            for name, group in groups.items()
        }
        command(**made, **given)

    run.__signature__ = inspect.Signature(options)  # type: ignore[attr-defined]
    run.__annotations__ = {one.name: one.annotation for one in options}
    return run


def fields_for(target: type, *sources: object) -> dict[str, Any]:
    """Return those fields of some dataclass instances that another dataclass has under the same name.

    Args:
        target: The other dataclass, e.g. `fssbench.planning.request.Request`.
        *sources: What was typed.
    """
    names = {field.name for field in fields(target)}
    return {
        field.name: getattr(source, field.name)
        for source in sources
        for field in fields(source)  # type: ignore[arg-type]
        if field.name in names
    }


def task_of(text: str | None) -> Task | None:
    """Return the task that --task names: "fs-cs" and "fscs" are one."""
    tasks: dict[str, Task] = {"fss": "fss", "fs-cs": "fscs", "fscs": "fscs"}
    return None if text is None else tasks[text]


def existing_of(*, resume: bool, overwrite: bool) -> Existing:
    """Return what is done with a run that is in the folder already.

    Raises:
        UsageError: If both options were given.
    """
    from fssbench.results.run_reader import Existing

    if resume and overwrite:
        raise UsageError("--resume and --overwrite exclude each other")
    return Existing.RESUME if resume else Existing.OVERWRITE if overwrite else Existing.REFUSE


def words(texts: Iterable[str] | None) -> tuple[str, ...]:
    """Return words from options that may be repeated or hold several with commas between."""
    return tuple(word.strip() for text in texts or () for word in text.split(",") if word.strip())


def words_or_folders(texts: Iterable[str] | None) -> tuple[str, ...]:
    """Return words as `words` does; a text that names a folder is one word, whatever commas are in its name."""
    return tuple(word for text in texts or () for word in ((text,) if Path(text).is_dir() else words([text])))


def numbers(option: str, text: str) -> tuple[int, ...]:
    """Return counts from an option, e.g. "1,5".

    Raises:
        UsageError: If one of them is no count from 1.
    """
    found = words([text])
    for word in found:
        if not word.isdecimal() or int(word) < 1:
            raise UsageError(f"{option} takes counts from 1, with commas between, not '{word}'", f"{option} 1,5")
    return tuple(int(word) for word in found)


def names_of(option: str, text: str) -> list[str]:
    """Return names from an option that holds them with commas between, each once.

    Raises:
        UsageError: If one is empty or there twice.
    """
    found = [part.strip() for part in text.split(",")]
    if not all(found) or len(set(found)) < len(found):
        raise UsageError(f"{option} takes names with commas between them, each once, not '{text}'")
    return found


def whole_number(option: str, text: str) -> int:
    """Return a number from an option that may hold several; which numbers make sense is found out later.

    Raises:
        UsageError: If it is none.
    """
    if not re.fullmatch(r"[+-]?\d{1,9}", text, re.ASCII):
        raise UsageError(f"{option} is a number or several with commas between them, not '{text}'", f"{option} 1")
    return int(text)
