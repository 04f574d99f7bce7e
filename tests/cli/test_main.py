"""How the command line ends, whatever a command does."""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import typer

from fssbench import __version__, cli
from fssbench.cli import episodes
from fssbench.errors import BrokenFileError, CheckFailedError, MissingError

End = Callable[[Callable[[], None]], tuple[int, str, str]]


@pytest.fixture
def end(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> End:
    """Runs a function as `fssbench list` and returns exit code, stdout and stderr."""

    def run(command: Callable[[], None]) -> tuple[int, str, str]:
        monkeypatch.setattr(episodes, "command", command, raising=False)
        monkeypatch.setitem(cli._COMMANDS, "list", "episodes:command")
        monkeypatch.setattr(sys, "argv", ["fssbench", "list"])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        return (int(stop.value.code or 0), *capsys.readouterr())

    return run


def raising(error: BaseException) -> Callable[[], None]:
    def command() -> None:
        raise error

    return command


def test_success(end: End) -> None:
    assert end(lambda: typer.echo("done")) == (0, "done\n", "")


def test_a_mistake_is_told_with_its_remedy(end: End) -> None:
    assert end(raising(MissingError("there is no x", "make x"))) == (2, "", "error: there is no x\n  try: make x\n")
    assert end(raising(BrokenFileError("x is cut off"))) == (2, "", "error: x is cut off\n")


def test_a_failed_check_is_1(end: End) -> None:
    assert end(raising(CheckFailedError("50.1 is not 64.0"))) == (1, "", "error: 50.1 is not 64.0\n")


def test_an_exit_code_is_kept(end: End) -> None:
    assert end(raising(typer.Exit(3)))[0] == 3


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), typer.Abort()], ids=["Ctrl-C", "abort"])
def test_an_interrupt_is_130_and_one_word(end: End, stop: BaseException) -> None:
    assert end(raising(stop)) == (130, "", "interrupted\n")


def test_what_the_system_refuses_is_told_in_its_words(end: End, tmp_path: Path) -> None:
    full = OSError(errno.ENOSPC, "No space left on device", "rows.csv")
    assert end(raising(full)) == (2, "", "error: rows.csv: No space left on device\n")
    code, _, told = end(lambda: tmp_path.write_text("a folder is no file"))
    assert code == 2
    assert told == f"error: {tmp_path}: Is a directory\n"


def test_a_foreign_name_cannot_steer_the_terminal(end: End) -> None:
    _, _, told = end(raising(MissingError("there is no \x1b[2Jé.png\r")))
    assert told == "error: there is no \\x1b[2Jé.png\\r\n"


def test_a_defect_of_ours_is_not_hidden(end: End) -> None:
    with pytest.raises(ZeroDivisionError):
        end(raising(ZeroDivisionError()))


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["--version"], 0, f"fssbench {__version__}"),
        (["evla"], 2, "error: unknown command 'evla'; did you mean eval?\n  try: fssbench --help"),
        (
            ["eval", "--mthod", "x"],
            2,
            "error: no such option: --mthod (Possible options: --method)\n  try: fssbench eval --help",
        ),
        (["show", "--clour", "x"], 2, "error: no such option: --clour\n  try: fssbench show --help"),
        (["--colour"], 2, "error: no such option: --colour\n  try: fssbench --help"),
        (
            ["episodes", "shwo"],  # codespell:ignore shwo
            2,
            "error: no such command 'shwo'. Did you mean 'show'?\n  try: fssbench episodes --help",
        ),
        (
            ["table", "--layout", "fsss"],
            2,
            "error: invalid value for '--layout': 'fsss' is not one of 'fss', 'fscs'\n  try: fssbench table --help",
        ),
        (["episodes", "export"], 2, "error: missing option '--dataset'\n  try: fssbench episodes export --help"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_usage(
    arguments: list[str], code: int, told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["fssbench", *arguments])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    out, err = capsys.readouterr()
    assert (stop.value.code, (out + err).strip()) == (code, told)


@pytest.mark.parametrize("group", ["", "data", "checkpoints", "episodes", "new", "published"])
def test_help_is_shown_where_no_command_is_named(
    group: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told = {}
    for option in ("", "--help"):
        monkeypatch.setattr(sys, "argv", ["fssbench", *group.split(), *option.split()])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        told[option] = stop.value.code, *capsys.readouterr()
    code, out, err = told[""]
    assert (code, out) == (2, "")
    assert err.startswith("Usage: fssbench")
    assert err.strip() == told["--help"][1].strip()


@pytest.mark.parametrize("what", ["methods", "datasets", "protocols", "backbones"])
def test_a_piped_table_keeps_each_row_on_its_line_and_cuts_nothing(
    what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from fssbench.cli.listing import _LISTINGS, listing

    listing(what)  # type: ignore[arg-type]
    printed = capsys.readouterr().out.splitlines()
    _, rows = _LISTINGS[what]()
    assert len(printed) == len(rows) + 1
    for line, row in zip(printed[1:], rows, strict=True):
        assert all(cell in line for cell in row)
        assert line.startswith(row[0])
