"""What is known of data sets unopened, against what they are."""

from __future__ import annotations

from typing import ClassVar

import pytest

from fssbench.datasets.catalogue import (
    PAPERS,
    REGISTRY,
    DatasetInfo,
    built_in,
    dataset_info,
    dataset_title,
    fold_count_of,
    folder_name,
)
from fssbench.datasets.dataset import Dataset
from fssbench.errors import UsageError
from fssbench.protocols.rules import list_protocols, protocol
from fssbench.registry import Registry, imported
from tests.episode.stub import ListsOnly


@pytest.mark.parametrize("name", built_in())
def test_a_table_fits_its_class(name: str) -> None:
    info, cls = built_in()[name], REGISTRY.get(name)
    assert cls.name == name
    assert f"{cls.__module__}:{cls.__qualname__}" == info.target
    assert (cls.fold_count, cls.rendered, cls.own) == (info.folds, info.rendered, info.own)
    assert info.rendered == (not info.folder)
    for check in (info.check, info.check_unopened):
        assert not check or callable(imported(check))
    for other in (info.same_scenes_as, info.recipes_of, info.recipes_of_small):
        assert other is None or other in built_in()
    assert set(info.protocols) <= set(list_protocols())
    assert any(protocol(one).takes(name) for one in list_protocols())


def test_no_two_data_sets_share_a_folder() -> None:
    folders = [info.folder for info in built_in().values() if info.folder]
    assert len(set(folders)) == len(folders)


def test_one_that_is_not_known_has_its_own_name() -> None:
    assert folder_name("elsewhere") == dataset_title("elsewhere") == "elsewhere"
    assert fold_count_of("elsewhere") == PAPERS
    with pytest.raises(UsageError, match="elsewhere"):
        dataset_info("elsewhere")


class Elsewhere(ListsOnly):
    """A data set of another package, which says of itself what the catalogue can't."""

    name: ClassVar[str] = "elsewhere"
    fold_count: ClassVar[int] = 7
    own: ClassVar[bool] = True
    shows: ClassVar[str] = "fss1000"


class Informed(ListsOnly):
    """One that brings its table as an attribute."""

    name: ClassVar[str] = "informed"
    info: ClassVar[DatasetInfo] = DatasetInfo("informed", "", "Informed", folder="INFORMED", folds=2)


@pytest.fixture
def others(monkeypatch: pytest.MonkeyPatch) -> None:
    registry: Registry[type[Dataset]] = Registry("dataset", "fssbench.datasets.dataset:Dataset", {})
    registry.register("elsewhere")(Elsewhere)
    registry.register("informed")(Informed)
    monkeypatch.setattr("fssbench.datasets.catalogue.REGISTRY", registry)


@pytest.mark.usefixtures("others")
def test_one_of_another_package_says_it_itself() -> None:
    info = dataset_info("elsewhere")
    assert (info.title, info.folder_name, info.folds, info.own) == ("elsewhere", "elsewhere", 7, True)
    assert (info.scenes, info.check, info.recipes_of) == ("fss1000", "", None)
    names = (dataset_title("informed"), folder_name("informed"), fold_count_of("informed"))
    assert names == ("Informed", "INFORMED", 2)


def test_a_class_of_a_known_name_elsewhere_takes_nothing_from_the_catalogue() -> None:
    class Mine(ListsOnly):
        name: ClassVar[str] = "fss1000"

    assert Mine.fold_count == ListsOnly.fold_count != built_in()["fss1000"].folds
