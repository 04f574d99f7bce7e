"""Names of others on the screen: as they are, brackets and colons too, but never as a command to the terminal."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from fssbench.results.progress import PlainLines, TerminalBar
from tests.datasets.trees import label_map, own_tree, save_photo
from tests.tables.runs import run_of, write_run

Run = Callable[..., tuple[int, str, str]]

CLASSES = {1: "cell [a]", 2: "cell [b", 3: ":cow:", 4: "[red]hot", 5: "left\u202eright"}
SHOWN = ["cell [a]", "cell [b", ":cow:", "[red]hot", "left?right"]


@pytest.fixture
def own(tmp_path: Path) -> Path:
    labels = {f"{letter}{n}": label_map((n, 0, 0, 20, 20)) for n in CLASSES for letter in "ab"}
    lines = "".join(f"{number} = {json.dumps(name)}\n" for number, name in CLASSES.items())
    return own_tree(tmp_path / "x[/y]", labels, f"[classes]\n{lines}")


def test_data_check_shows_names_and_path_as_they_are(fssbench: Run, own: Path) -> None:
    code, out, err = fssbench("data", "check", "folder", "--root", str(own))
    assert (code, err) == (0, ""), out
    assert all(f"fold 0: {name} " in out for name in SHOWN)
    assert f"folder in {own}\n" in out
    assert out.replace("\n", "").isprintable()


def test_episodes_show_shows_names_as_they_are(fssbench: Run, own: Path) -> None:
    given = ("--dataset", "folder", "--root", str(own), "--count", "5")
    code, out, _ = fssbench("episodes", "show", *given)
    assert code == 0
    assert all(name in out for name in SHOWN)
    assert out.replace("\n", "").isprintable()


def test_data_where_shows_a_path_as_it_is(fssbench: Run, own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a[b]", "q[", "[/red]", "with :cow:", "esc\x1b[2J"):
        place = own.parent / name
        (place / "VOC2012").mkdir(parents=True)
        monkeypatch.setenv("FSSBENCH_DATA", str(place))
        code, out, _ = fssbench("data", "where")
        assert code == 0
        assert str(place / "VOC2012").replace("\x1b", "?") in out
        assert out.replace("\n", "").isprintable()
        assert "    [data]\n" in out


def test_a_draft_of_dataset_toml_cannot_drive_the_terminal(fssbench: Run, tmp_path: Path) -> None:
    names = ["fish\x1b[2J", "crab\u202e", "eel [x]"]
    save_photo(tmp_path / "images" / "a.jpg")
    document = {
        "images": [{"id": 1, "file_name": "a.jpg", "height": 128, "width": 96}],
        "annotations": [],
        "categories": [{"id": number, "name": name} for number, name in enumerate(names, 1)],
    }
    (tmp_path / "annotations.json").write_text(json.dumps(document))
    code, out, err = fssbench("data", "check", "folder", "--root", str(tmp_path))
    assert code == 2
    for text in (out, err):
        assert text.replace("\n", "").isprintable()
    start = out.index("[classes]\n")
    draft = [line.strip() for line in out[start:].splitlines()][: 1 + len(names)]
    assert list(tomllib.loads("\n".join(draft))["classes"].values()) == names


def test_progress_cannot_drive_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    for progress in (PlainLines(headline="a\x1b[2J [/b] :cow:\nnext"), TerminalBar("a\x1b[2J [/b] :cow:\nnext")):
        progress.start(0, 1)
        progress.close()
        assert "a?[2J [/b] :cow:\nnext\n" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["show", "report", "table"])
def test_a_link_to_itself_is_no_folder(fssbench: Run, tmp_path: Path, command: str) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    given = {"report": ("--out", str(tmp_path / "page.html")), "table": ("--runs",)}.get(command, ())
    code, out, err = fssbench(command, *given, str(loop))
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert not (tmp_path / "page.html").exists()


@pytest.mark.parametrize("name", ["=1+1", "+cmd", "@SUM(1)", "a\x1b[2J", "a\nb"])
def test_no_baseline_is_a_formula_or_drives_a_terminal(fssbench: Run, tmp_path: Path, name: str) -> None:
    write_run(tmp_path / "run", run_of(name, (0,)))
    (tmp_path / "baselines").mkdir()
    given = ("--update", "--baselines", str(tmp_path / "baselines"), str(tmp_path / "run"))
    code, _, err = fssbench("check", *given)
    assert code == 2
    assert "is no plain text, or begins as a formula" in err
    assert err.replace("\n", "").isprintable()
    assert not list((tmp_path / "baselines").iterdir())
