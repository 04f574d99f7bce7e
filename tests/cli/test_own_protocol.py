"""`--protocol ./mine.toml`: wherever a protocol is named, and what a run keeps of it."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from fssbench.results import load_run

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "own-protocol.md").read_text(encoding="utf-8")
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]
DATA = ["--dataset", "shapes20i", "--fold", "0"]
EVAL = ["eval", "--method", "copy-mask", *DATA, "--quiet", "--protocol", "./mine.toml"]


@pytest.fixture
def file(elsewhere: None, fssbench: Any) -> Path:
    assert fssbench("new", "protocol", "mine")[0] == 0
    return Path("mine.toml")


@pytest.mark.usefixtures("elsewhere")
def test_every_command_of_the_page_works(fssbench: Any) -> None:
    assert len(COMMANDS) == 8
    said = []
    for line in COMMANDS:
        code, out, err = fssbench(*shlex.split(line.replace("--limit 20", "--limit 3"))[1:])
        assert code == 0, (line, out, err)
        said.append(out)
    assert "equals protocol mine.toml:mine" in said[3]
    assert "protocol mine.toml:mine is not one of fssbench's: of the file mine.toml, sha256" in said[4]
    assert "mine.toml:mine (a file, " in said[-1]


def test_the_record_holds_the_file_and_needs_it_no_more(fssbench: Any, file: Path) -> None:
    for part in ("1/2", "2/2"):
        assert fssbench(*EVAL, "--limit", "4", "--out", "run", "--shard", part)[0] == 0
    content = file.read_text()
    file.unlink()
    code, out, err = fssbench("merge", "run")
    assert code == 0, err
    assert "protocol mine.toml:mine is not one of fssbench's" in out
    kept = json.loads(Path("run/run.json").read_text())["protocol"]
    assert (kept["name"], kept["own"]["path"], kept["own"]["content"]) == ("mine.toml:mine", "mine.toml", content)
    assert kept["input"] == [200, 200]
    code, out, _ = fssbench("table", "--source", "measured", "--dataset", "shapes20i", "--runs", "run")
    assert (code, "mine.toml:mine (a file, " in out) == (0, True)
    code, _, err = fssbench(*EVAL, "--limit", "5", "--out", "run", "--resume")
    assert code == 2
    assert "the protocol's file mine.toml is not there" in err
    assert "run.json has" in err


def test_a_file_that_was_changed_is_refused_by_resume(fssbench: Any, file: Path) -> None:
    assert fssbench(*EVAL, "--limit", "2", "--out", "run")[0] == 0
    file.write_text(file.read_text() + "# changed\n")
    code, _, err = fssbench(*EVAL, "--limit", "3", "--out", "run", "--resume")
    assert code == 2
    assert "the protocol's file was changed since" in err
    assert len(load_run("run").frame) == 2


def test_shards_by_files_of_other_content_are_not_merged(fssbench: Any, file: Path) -> None:
    assert fssbench(*EVAL, "--limit", "4", "--out", "run", "--shard", "1/2")[0] == 0
    file.write_text(file.read_text().replace('ignore = "leave-out"', 'ignore = "background"'))
    assert fssbench(*EVAL, "--limit", "4", "--out", "run", "--shard", "2/2")[0] == 0
    code, _, err = fssbench("merge", "run")
    assert code == 2
    assert "its protocol.ignore is background" in err


@pytest.mark.usefixtures("file")
def test_a_list_is_evaluated_and_scored_by_it(fssbench: Any) -> None:
    drawn = ["--dataset", "shapes20i", "--protocol", "mine.toml", "--count", "3", "--out", "list.json"]
    assert fssbench("episodes", "export", *drawn)[0] == 0
    listed = ["--episodes", "list.json"]
    assert json.loads(Path("list.json").read_text())["answer"]["input"] == [200, 200]
    code, _, err = fssbench("eval", "--method", "copy-mask", *DATA, *listed, "--out", "run")
    assert code == 2
    assert "the list list.json was drawn by the protocol mine.toml:mine" in err
    assert "--protocol FILE" in err
    saved = ["--save-predictions", "saved", "--out", "run"]
    assert fssbench(*EVAL, *listed, *saved)[0] == 0
    code, _, err = fssbench("score", "--predictions", "saved", *listed)
    assert (code, "mine.toml:mine" in err) == (2, True)
    code, _, err = fssbench("score", "--predictions", "saved", *listed, "--protocol", "mine.toml", "--out", "scored")
    assert code == 0, err
    assert load_run("scored").frame["intersection"].tolist() == load_run("run").frame["intersection"].tolist()
    code, _, err = fssbench("episodes", "verify", "list.json", "--dataset", "shapes20i")
    assert code == 1
    assert "a protocol in a file, which has to be named" in err


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("hsnet-listed", "hsnet-listd", "mine.toml: unknown sampler 'hsnet-listd'; did you mean hsnet-listed"),
        ("way = [1, 1]", 'way = [1, 1]\nbackbone = "resnet5"', "mine.toml: unknown backbone 'resnet5'"),
        ('datasets = ["pascal5i", "coco20i", "shapes20i"]', 'datasets = ["coco20i"]', "not defined for shapes20i"),
    ],
)
def test_names_in_it_are_looked_up(fssbench: Any, file: Path, old: str, new: str, words: str) -> None:
    file.write_text(file.read_text().replace(old, new))
    code, _, err = fssbench(*EVAL, "--out", "run")
    assert code == 2
    assert words in err
    assert "Traceback" not in err


def test_a_sampler_draws_the_ways_that_it_can(fssbench: Any, file: Path) -> None:
    file.write_text(file.read_text().replace("way = [1, 1]", "way = [1, 5]").replace('"fss"', '"fscs"'))
    code, _, err = fssbench("episodes", "show", "--dataset", "shapes20i", "--protocol", "mine.toml", "--ways", "2")
    assert code == 2
    assert "the sampler hsnet-listed draws 1-way episodes, not 2-way" in err


@pytest.mark.usefixtures("file")
def test_no_number_of_a_release_is_held_against_it(fssbench: Any) -> None:
    assert fssbench(*EVAL, "--out", "run")[0] == 0
    record = json.loads(Path("run/run.json").read_text())
    record["protocol"]["name"] = "hsnet"  # as a later version may call one of its own
    for fold in record["folds"]:
        fold["drawn_by"] = "hsnet"
    Path("run/run.json").write_text(json.dumps(record))
    code, out, _ = fssbench("table", "--source", "measured", "--dataset", "shapes20i", "--runs", "run")
    assert (code, "protocol hsnet (a file, " in out) == (0, True)


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize("name", ["hsnet", "a b", "../mine", "-x"])
def test_a_new_protocol_has_a_name_of_its_own(fssbench: Any, name: str) -> None:
    code, _, err = fssbench("new", "protocol", "--", name)
    assert code == 2
    assert "Traceback" not in err
    assert not list(Path().glob("*.toml"))
