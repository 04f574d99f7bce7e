"""Protocols from outside: read from a file, and refused with the line where the file says what no protocol can."""

from __future__ import annotations

import hashlib
from dataclasses import fields
from pathlib import Path
from string import Template

import pytest

import fssbench
from fssbench.errors import BrokenFileError, FSSBenchError, MissingError, UsageError
from fssbench.protocols.own import MAX_BYTES, protocol_of_record
from fssbench.protocols.rules import Protocol, list_protocols, protocol, protocol_of_list

TEMPLATE = Path(fssbench.__file__).parent / "protocols" / "mine.toml.txt"
TEXT = Template(TEMPLATE.read_text()).substitute(name="mine")


@pytest.fixture
def file(elsewhere: None) -> Path:
    path = Path("mine.toml")
    path.write_text(TEXT)
    return path


def test_a_file_is_a_protocol(file: Path) -> None:
    found = protocol("./mine.toml")
    assert (found.name, found.episodes, found.input) == ("mine.toml:mine", 200, (200, 200))
    assert found.own is not None
    assert (found.own.path, found.own.content) == ("mine.toml", TEXT)
    assert found.own.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    assert protocol("mine.toml:mine") == found == protocol(str(file.resolve())), "the same content is the same protocol"
    assert found.on("coco20i").sampler == "hsnet-drawn"
    assert found.on("coco20i").own == found.own
    assert "mine" not in " ".join(list_protocols())


@pytest.mark.usefixtures("file")
def test_its_size_of_counting_can_be_chosen() -> None:
    original = protocol("./mine.toml@original")
    assert (original.name, original.score_at) == ("mine.toml:mine@original", "original")
    assert original.at("input") == protocol("./mine.toml:mine@input") == protocol("mine.toml")
    with pytest.raises(UsageError, match="input or original, not '400'"):
        protocol("./mine.toml@400")


def test_several_tables_are_told_apart(file: Path) -> None:
    file.write_text(TEXT + TEXT.replace("mine", "other"))
    with pytest.raises(UsageError, match="several protocols: mine, other"):
        protocol("mine.toml")
    assert protocol("mine.toml:other").name == "mine.toml:other"
    with pytest.raises(UsageError, match=r"no table \[third\]; it has mine, other"):
        protocol("mine.toml:third")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("episodes = 200", "episods = 200", "line 8: unknown key 'episods'; did you mean episodes"),
        ('sampler = "hsnet-drawn"', 'samplr = "x"', "line 19: unknown key 'samplr'; did you mean sampler"),
        ("overrides.coco20i", "overrides.coco", "line 18: unknown key 'coco'; did you mean coco20i"),
        ('split = "val"', 'split = "validation"', "line 9: split: Input should be 'train', 'val' or 'test'"),
        ("episodes = 200", 'episodes = "200"', "line 8: episodes: Input should be a valid integer"),
        ("episodes = 200", "episodes = 0", "line 8: episodes: there are 1 to 1000000"),
        ("episodes = 200", "episodes = true", "line 8: episodes: Input should be a valid integer"),
        ("seeds = [0]", "seeds = []", "line 7: seeds: there are 1 to 1000"),
        ("seeds = [0]", "seeds = [-1]", "line 7: seeds: a seed is a number from 0"),
        ("seeds = [0]", "seeds = [1, 1]", "line 7: seeds: there are 1 to 1000 different"),
        ("[200, 200]", "[200]", "line 10: input.1: Field required"),
        ("[200, 200]", "[200, 1000000]", "line 10: input: it is .height, width., each from 8 to 4096"),
        (
            'input = [200, 200] # height and width that the network sees\nresize = "pillow-bilinear"',
            'input = [200, 208]\nresize = "opencv-pad"',
            "line 10: input: resize = .opencv-pad. pads photos to a square",
        ),
        ("way = [1, 1]", "way = [2, 1]", "line 15: way: it is .smallest, largest. N"),
        ('["input", "original"]', '["original"]', "line 12: score_at: it is not one of score_sizes, original"),
        ('task = "fss"', "", r"line 2: \[mine\] has no task"),
        ("[mine]", "[hsnet]", "line 2: .hsnet. is the name of one of fssbench's own"),
        ("[mine]", "title = 3\n[mine]", "line 2: title is not in a table"),
        ("[mine]", "['a b']", "line 2: a protocol can't be called 'a b'"),
        ("way = [1, 1]", 'default_for = ["pascal5i"]', "line 15: unknown key 'default_for'; a protocol in a file"),
        ("way = [1, 1]", 'own = {path = "x"}', "line 15: unknown key 'own'"),
        ('"our paper, section 4"', '"\\u001b[31m"', "line 4: source: it is one line"),
        ("[mine]", "[mine", "can't be read as TOML: .*line 2"),
        (TEXT, "", "has no table"),
        (TEXT, "#" * (MAX_BYTES + 1), "larger than 64 KiB"),
    ],
)
def test_what_is_no_protocol_is_refused_with_its_line(file: Path, old: str, new: str, words: str) -> None:
    assert old in TEXT
    changed = TEXT.replace(old, new) if new != "[hsnet]" else TEXT.replace("mine", "hsnet")
    file.write_text(changed)
    with pytest.raises(FSSBenchError, match=words) as refused:
        protocol("mine.toml")
    assert refused.value.remedy


@pytest.mark.usefixtures("file")
@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("./none.toml", MissingError, "none.toml is not there"),
        ("./folder.toml", MissingError, "is a folder, not a file"),
        ("./mine.py", UsageError, "not a protocol file: such a file is TOML"),
        ("C:\\rules\\mine", UsageError, "not a protocol file"),
        ("b@d.toml", UsageError, "no @ or : in its name"),
        ("bytes.toml", BrokenFileError, "can't be read as TOML"),
    ],
)
def test_what_is_no_file_of_a_protocol(name: str, error: type[FSSBenchError], words: str) -> None:
    Path("folder.toml").mkdir()
    Path("b@d.toml").write_text(TEXT)
    Path("bytes.toml").write_bytes(b"\xff\xfe[mine]")
    with pytest.raises(error, match=words):
        protocol(name)


@pytest.mark.usefixtures("file")
def test_no_file_is_read_because_a_list_names_it() -> None:
    with pytest.raises(MissingError, match=r"list\.json was drawn by the protocol mine\.toml:mine"):
        protocol_of_list("mine.toml:mine", "list.json")
    assert protocol_of_list("hsnet", "list.json") == protocol("hsnet")


def test_a_record_is_enough_to_know_it(file: Path) -> None:
    found = protocol("mine.toml@original")
    file.unlink()
    assert found.own is not None
    again = protocol_of_record(found.name, found.own)
    assert again.at("original") == found


def test_the_template_says_every_key_that_has_no_default() -> None:
    needed = {one.name for one in fields(Protocol)} - {
        "name",
        "own",
        "absent",
        "default_for",
        "backbone",
        "base",
        "query_rim",
        "other_classes",
        "caveat",
    }
    assert needed == {line.split(" = ")[0] for line in TEXT.splitlines() if " = " in line} | {"overrides"}
