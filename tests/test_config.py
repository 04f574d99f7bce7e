"""How a data folder is found, and what a broken configuration file is answered."""

from __future__ import annotations

from pathlib import Path

import pytest

from fssbench.config import config_file
from fssbench.datasets.roots import Root, find_root, require_root
from fssbench.errors import BrokenFileError, MissingError


def configure(text: str) -> Path:
    path = config_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, Path]:
    made = {how: tmp_path / how / "VOC2012" for how in ("option", "environment", "config")}
    for path in made.values():
        path.mkdir(parents=True)
    return made


def test_option_comes_before_environment_before_config_file(folders: dict[str, Path], monkeypatch) -> None:
    assert find_root("pascal5i") is None
    configure(f'[data]\npascal5i = "{folders["config"]}"\n')
    assert find_root("pascal5i") == Root(folders["config"], "config file")
    monkeypatch.setenv("FSSBENCH_DATA", str(folders["environment"].parent))
    assert find_root("pascal5i") == Root(folders["environment"], "environment")
    assert find_root("pascal5i", folders["option"]) == Root(folders["option"], "option")


def test_a_root_may_be_the_data_folder_or_its_parent(folders: dict[str, Path], monkeypatch) -> None:
    folder = folders["option"]
    assert require_root("pascal5i", folder) == require_root("pascal5i", folder.parent) == folder
    monkeypatch.setenv("FSSBENCH_DATA", str(folder))
    assert require_root("pascal5i") == folder
    configure(f'[data]\npascal5i = "{folder.parent}"\n')
    monkeypatch.delenv("FSSBENCH_DATA")
    assert require_root("pascal5i") == folder


def test_an_environment_folder_without_this_data_set_is_passed_over(
    folders: dict[str, Path], tmp_path, monkeypatch
) -> None:
    (tmp_path / "coco" / "COCO2014").mkdir(parents=True)
    configure(f'[data]\ncoco20i = "{tmp_path / "coco"}"\n')
    monkeypatch.setenv("FSSBENCH_DATA", str(folders["environment"].parent))
    assert find_root("coco20i") == Root(tmp_path / "coco" / "COCO2014", "config file")


def test_home_and_relative_folders_in_the_config_file(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "mine").mkdir()
    path = configure('[data]\npascal5i = "~/mine"\ncoco20i = "near"\n')
    (path.parent / "near").mkdir()
    assert require_root("pascal5i") == tmp_path / "mine"
    assert require_root("coco20i") == path.parent / "near"


def test_nothing_set_says_what_was_looked_at(monkeypatch, tmp_path) -> None:
    with pytest.raises(
        MissingError, match=r"the folder VOC2012 of pascal5i was not found.*FSSBENCH_DATA is not set"
    ) as caught:
        require_root("pascal5i")
    assert "export FSSBENCH_DATA=DIR" in str(caught.value.remedy)
    monkeypatch.setenv("FSSBENCH_DATA", str(tmp_path))
    with pytest.raises(MissingError, match="has no VOC2012"):
        require_root("pascal5i")


def test_a_named_folder_that_is_not_there(tmp_path) -> None:
    with pytest.raises(MissingError, match=r"no folder .*nowhere, which --root names"):
        find_root("pascal5i", tmp_path / "nowhere")
    configure(f'[data]\npascal5i = "{tmp_path / "gone"}"\n')
    with pytest.raises(MissingError, match=r"no folder .*gone, which .*config.toml names"):
        find_root("pascal5i")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[data]\npascal5i = "a\n', "line 2"),
        ('\n[data]\npascal5 = "/a"\n', r"line 3: unknown data set 'pascal5'; did you mean pascal5i"),
        ("[data]\ncoco20i = 3\n", "line 2: coco20i"),
        ('[data]\n[extra]\nname = "x"\n', "line 2: extra"),
    ],
)
def test_a_broken_config_file_names_the_line(text: str, message: str) -> None:
    path = configure(text)
    with pytest.raises(BrokenFileError, match=message) as caught:
        find_root("pascal5i")
    assert str(path) in caught.value.message


def test_a_config_file_that_is_not_text() -> None:
    path = configure("")
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BrokenFileError, match="can't read"):
        find_root("pascal5i")
