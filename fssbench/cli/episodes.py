"""`fssbench episodes`: export, show and verify episode lists."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

from fssbench.cli.console import say, say_json
from fssbench.cli.episodes_shown import as_object, print_list
from fssbench.cli.fields import with_fields
from fssbench.cli.help import DATA, EPISODES, OUTPUT, WHAT, Command, Group
from fssbench.cli.list_options import Absent, References
from fssbench.cli.options import AsJson, DataOptions, DatasetName, DrawnBy, MaybeDataset, SkipShortClasses
from fssbench.cli.paths import check_file, given_path
from fssbench.errors import BrokenFileError, CheckFailedError, UsageError

if TYPE_CHECKING:
    from fssbench.datasets.dataset import Dataset
    from fssbench.episode import EpisodeList
    from fssbench.episode.verify import Finding
    from fssbench.protocols.rules import Protocol

app = typer.Typer(
    cls=Group,
    help="Episode lists: draw them as a protocol does, look at them, check them.",
)


@dataclass(frozen=True)
class DrawOptions:
    """What decides a list that is drawn, besides the data set."""

    shots: Annotated[int, typer.Option("--shots", help="Supports per class.", rich_help_panel=EPISODES)] = 1
    ways: Annotated[int, typer.Option("--ways", help="Classes per episode.", rich_help_panel=EPISODES)] = 1
    protocol: DrawnBy = None
    count: Annotated[
        int | None,
        typer.Option(
            "--count", help="How many episodes a run.", show_default="the protocol's", rich_help_panel=EPISODES
        ),
    ] = None
    seed: Annotated[
        int | None,
        typer.Option(
            "--seed",
            help="Seed of the draw, for one run.",
            show_default="the release's, all its runs",
            rich_help_panel=EPISODES,
        ),
    ] = None
    split: Annotated[
        Literal["train", "val", "test"] | None,
        typer.Option(
            "--split", help="Split of the data set.", show_default="that of the protocol", rich_help_panel=EPISODES
        ),
    ] = None
    train_dataset: Annotated[
        str | None,
        typer.Option(
            "--train-dataset",
            metavar="NAME",
            help="The data set that the weights were trained on: its folds are used.",
            show_default="--dataset",
            rich_help_panel=DATA,
        ),
    ] = None
    test_classes: Annotated[
        str | None,
        typer.Option(
            "--test-classes",
            metavar="NAME",
            help="With --train-dataset which classes are tested: unseen, all, own, ...",
            show_default="those of the pair",
            rich_help_panel=DATA,
        ),
    ] = None
    skip_short_classes: SkipShortClasses = False
    references: References = None
    absent: Absent = None

    def open(self, dataset: str, data: DataOptions) -> Dataset:
        """Return the data set, its folds those of the training if that was on another one."""
        from fssbench.datasets import open_dataset

        seen = {"train_dataset": self.train_dataset, "test_classes": self.test_classes}
        given = data.given | {option: value for option, value in seen.items() if value is not None}
        return open_dataset(dataset, data.root, **given)

    def rules(self, dataset: Dataset) -> Protocol:
        """Return the protocol, read once for all folds; if none was named that of the data set."""
        from fssbench.episode.draw import protocol_for
        from fssbench.protocols.rules import protocol

        return protocol(self.protocol or protocol_for(dataset, self.ways))

    def draw(self, dataset: Dataset, fold: int, rules: Protocol) -> EpisodeList:
        """Return the list of a fold."""
        from fssbench.episode import episodes

        return episodes(
            dataset,
            fold,
            self.ways,
            self.shots,
            self.protocol or rules.name if rules.own is None else rules,
            self.count,
            self.seed,
            self.split,
            skip_short_classes=self.skip_short_classes,
            references=self.references,
            absent=self.absent,
        )


@app.command(cls=Command)
@with_fields
def export(
    dataset: DatasetName,
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            metavar="FILE",
            parser=given_path,
            help="File to write; with --fold all, {fold} in its name.",
            rich_help_panel=OUTPUT,
        ),
    ],
    draw: DrawOptions,
    data: DataOptions,
    fold: Annotated[str, typer.Option("--fold", metavar="N", help="A fold, or all.", rich_help_panel=WHAT)] = "0",
) -> None:
    """Draw a list as a protocol does and write it to a file, for `fssbench eval --episodes FILE`.

    Examples:
        fssbench episodes export --dataset shapes20i --protocol shapes --fold 0 --out list.json
        fssbench episodes export --dataset pascal5i --protocol hsnet --fold all --out 'list-fold{fold}.json'
    """
    from fssbench.episode import write_episodes
    from fssbench.episode.verify import official_finding

    check_file("--out", out)
    if fold == "all" and "{fold}" not in out.name:
        raise UsageError(
            "--fold all writes a file per fold, so the name after --out has to say where the fold goes",
            f"--out {out.with_name(out.stem + '-fold{fold}' + out.suffix)}",
        )
    opened = draw.open(dataset, data)
    rules = draw.rules(opened)
    for number in range(opened.fold_count) if fold == "all" else [_number(fold)]:
        drawn = draw.draw(opened, number, rules)
        path = out.with_name(out.name.replace("{fold}", str(number)))
        write_episodes(drawn, path, rules if rules.own else None)
        say(f"{path}: {len(drawn)} episodes, hash {drawn.hash}")
        if finding := official_finding(drawn):
            say(f"  {finding.text}")
        if drawn.references is not None or drawn.absent is not None:
            say(f"  {drawn.drawn_by}: not the protocol's own list")
        if drawn.left_out:
            say(f"  without {_names(opened, drawn.left_out)}: not the protocol's own list")


@app.command(cls=Command)
@with_fields
def show(
    draw: DrawOptions,
    data: DataOptions,
    file: Annotated[
        Path | None, typer.Argument(parser=given_path, help="A list; or give --dataset to draw one.")
    ] = None,
    dataset: MaybeDataset = None,
    fold: Annotated[str, typer.Option("--fold", metavar="N", help="Fold.", rich_help_panel=WHAT)] = "0",
    rows: Annotated[int, typer.Option("--rows", min=0, help="How many episodes to show.", rich_help_panel=OUTPUT)] = 10,
    as_json: AsJson = False,
) -> None:
    """Show a list: header and hash, how often each class occurs, the first episodes.

    Examples:
        fssbench episodes show list.json
        fssbench episodes show --dataset shapes20i --protocol shapes --fold 1 --rows 3
    """
    from fssbench.episode import read_episodes

    if (file is None) == (dataset is None):
        raise UsageError("show takes either a file or --dataset", "fssbench episodes show FILE")
    if file is not None:
        opened, shown = None, read_episodes(file)
    else:
        opened = draw.open(cast("str", dataset), data)
        shown = draw.draw(opened, _number(fold), draw.rules(opened))
    if as_json:
        say_json(as_object(shown, opened, rows))
    else:
        print_list(shown, opened, rows)


@app.command(cls=Command)
@with_fields
def verify(
    data: DataOptions,
    file: Annotated[Path, typer.Argument(parser=given_path, help="A list written by `fssbench episodes export`.")],
    dataset: MaybeDataset = None,
    protocol: Annotated[
        str | None,
        typer.Option(
            "--protocol",
            metavar="FILE",
            help="Its protocol, where that is a file: ./mine.toml.",
            show_default="the one it names",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check a list: its hash, and with --dataset its names, its classes and its protocol's own draw.

    Examples:
        fssbench episodes verify list.json
        fssbench episodes verify list.json --dataset shapes20i
    """
    from fssbench.datasets import open_dataset
    from fssbench.episode import read_episodes
    from fssbench.episode.verify import Finding, official_finding
    from fssbench.episode.verify import verify as verify_against
    from fssbench.protocols.rules import protocol as protocol_of

    try:
        episodes = read_episodes(file)
    except BrokenFileError as error:
        raise CheckFailedError(error.message, error.remedy) from error
    findings = [Finding("ok", f"holds {len(episodes)} episodes with the hash it says, {episodes.hash}")]
    if known := official_finding(episodes):
        findings.append(known)
    if dataset is not None or data != DataOptions():
        rules = None if protocol is None else _its_own(protocol_of(protocol), episodes)
        findings += verify_against(episodes, open_dataset(dataset or episodes.dataset, data.root, **data.given), rules)
    else:
        hint = f"names and draw were not checked: fssbench episodes verify {file} --dataset {episodes.dataset}"
        findings.append(Finding("note", hint))
    if as_json:
        say_json([asdict(finding) for finding in findings])
    else:
        _print_findings(findings)
    failed = [finding.text for finding in findings if finding.state == "failed"]
    if failed:
        raise CheckFailedError(f"{file} {failed[0]}")


def _its_own(rules: Protocol, episodes: EpisodeList) -> Protocol:
    """Return a protocol that was named, if it is the one that a list names."""
    if rules.name != episodes.protocol:
        raise UsageError(
            f"the list was drawn by {episodes.protocol}, not by {rules.name}", "leave --protocol out, or name that file"
        )
    return rules


def _number(fold: str) -> int:
    if not fold.isdecimal():
        raise UsageError(f"a fold is a number, not '{fold}'")
    return int(fold)


def _names(dataset: Dataset, classes: tuple[int, ...]) -> str:
    return ", ".join(dataset.class_names.get(class_id, str(class_id)) for class_id in classes)


def _print_findings(findings: list[Finding]) -> None:
    width = max(len(finding.state) for finding in findings)
    for finding in findings:
        say(f"{finding.state:<{width}}  {finding.text}")
