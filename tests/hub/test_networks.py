"""What is known of a model before torch: its name, its folder, its configuration. Each mistake has its sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fssbench.errors import BrokenFileError, FSSBenchError, MissingError, UsageError
from fssbench.hub.families import families
from fssbench.hub.names import hub_name
from fssbench.hub.networks import hub_network, licence_of, weight_files
from tests.hub.conftest import COMMIT

CONFIG = {"model_type": "dinov2", "num_hidden_layers": 12, "hidden_size": 384, "patch_size": 14}


def _folder(folder: Path, config: object = CONFIG, weights: str = "model.safetensors") -> str:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(config if isinstance(config, str) else json.dumps(config))
    (folder / weights).write_bytes(b"")
    return f"hf:{folder}"


def test_names() -> None:
    assert hub_name("hf:a/b@refs/pr/1#3").revision == "refs/pr/1"
    assert hub_name("hf:gpt2").repository == "gpt2"
    assert str(hub_name("hf:a/b@main#3,5")) == "hf:a/b@main#3,5"
    assert hub_name("hf:./a#b").folder == "./a#b"
    assert str(hub_name("hf:~/a").path) == str(Path("~/a").expanduser())
    for wrong in ("hf:", "hf:a/b/c", "hf:a b", "hf:a/b@", "hf:a/b#", "hf:a/b#1,x", "hf:a\n/b", "hf:@main", "a/b"):
        with pytest.raises(UsageError, match="does not name a model"):
            hub_name(wrong)
    for layers in ("0", "2,2", "3,1"):
        with pytest.raises(UsageError, match="each once and in order"):
            hub_name(f"hf:a/b#{layers}")


def test_blocks_at_the_half_three_quarters_and_the_end_are_the_default(tmp_path: Path) -> None:
    for depth, layers in ((12, (6, 9, 12)), (24, (12, 18, 24)), (1, (1, 1, 1))):
        network = hub_network(_folder(tmp_path, CONFIG | {"num_hidden_layers": depth}))
        assert (network.depth, network.layers) == (depth, layers)
    assert families()["swin"].default_layers(4) == (2, 3, 4)
    assert hub_network(f"{_folder(tmp_path, {'model_type': 'resnet', 'depths': [1, 1, 1, 1]})}#2,4").layers == (2, 4)
    with pytest.raises(UsageError, match="at most three sizes"):
        hub_network(f"hf:{tmp_path}#1,2,3,4")


def test_a_size_may_be_a_pair(tmp_path: Path) -> None:
    config = hub_network(_folder(tmp_path, CONFIG | {"patch_size": [14, 14], "image_size": [224, 448]})).config
    assert (config["patch_size"], config["image_size"]) == (14, [224, 448])


def test_a_model_in_the_cache_needs_no_network(
    stored: Callable[..., Path], hub_error: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {"config.json": json.dumps(CONFIG).encode(), "model.safetensors": b"x"}
    folder = stored("owner/name", files | {"README.md": b"---\nlicense: apache-2.0\ntags: []\n---\n# Card\n"})
    hub_error("LocalEntryNotFoundError")
    with pytest.raises(MissingError, match="can't be reached"):
        hub_network("hf:owner/name")

    def only_here(*_: object, local_files_only: bool = False, revision: str | None = None, **__: object) -> str:
        assert local_files_only, "no download is needed"
        return str(folder)

    monkeypatch.setattr("huggingface_hub.snapshot_download", only_here)
    network = hub_network("hf:owner/name")
    assert (network.snapshot.revision, network.licence) == (COMMIT, "apache-2.0")
    assert network.weights == (folder / "model.safetensors",)


def test_files_that_are_missing_are_downloaded_at_the_commit_in_the_cache(
    stored: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = stored("owner/name", {"config.json": json.dumps(CONFIG).encode()})
    wanted = []
    import huggingface_hub

    real = huggingface_hub.snapshot_download

    def download(repository: str, revision: str | None = None, local_files_only: bool = False, **options: Any) -> str:
        if local_files_only:
            return real(repository, revision=revision, local_files_only=True, **options)
        wanted.append((repository, revision, options["allow_patterns"]))
        (folder / "model.safetensors").write_bytes(b"x")
        return str(folder)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    hub_network("hf:owner/name@main")
    ((repository, revision, patterns),) = wanted
    assert (repository, revision) == ("owner/name", COMMIT)
    assert not any(name.endswith((".bin", ".py", "*")) for name in patterns)


def test_a_model_without_safetensors_is_refused(
    stored: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = stored("owner/name", {"config.json": json.dumps(CONFIG).encode()})
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *_, **__: str(folder))
    with pytest.raises(MissingError, match=r"owner/name has no model\.safetensors at 0123"):
        hub_network("hf:owner/name")
    with pytest.raises(MissingError, match=r"pytorch_model\.bin is not read, since it may run code"):
        hub_network(_folder(tmp_path / "pickled", weights="pytorch_model.bin"))
    with pytest.raises(MissingError, match=r"has no model\.safetensors"):
        hub_network(_folder(tmp_path / "none", weights="other.txt"))


def test_a_folder_that_is_none_or_holds_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="there is no folder"):
        hub_network(f"hf:{tmp_path / 'gone'}")
    with pytest.raises(MissingError, match=r"holds no model: it has no config\.json"):
        hub_network(f"hf:{tmp_path}")
    name = _folder(tmp_path)
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(UsageError, match="adapter"):
        hub_network(name)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[]", "is not a JSON object"),
        ({}, "no model_type"),
        ({"model_type": "bert", "vocab_size": 30522}, "of the type bert, which is not a backbone here"),
        ({"model_type": "\x1b[31mred" * 50}, "is of a network of the type"),
        (CONFIG | {"auto_map": {"AutoModel": "own.Net"}}, "code of its own"),
        ({"model_type": "clip", "vision_config": {"auto_map": {}}}, "code of its own"),
        ({"model_type": "clip"}, "no vision_config"),
        ({"model_type": "sam", "vision_config": {"image_size": [64, 32]}}, "image_size is not that of a square"),
        (CONFIG | {"quantization_config": {}}, "quantised"),
        (CONFIG | {"num_channels": 1}, "images here have 3 channels"),
        (CONFIG | {"patch_size": 0}, "patch_size is 0, not a number of pixels"),
        (CONFIG | {"patch_size": [14, 16]}, "patches here are square"),
        (CONFIG | {"image_size": "large"}, "image_size is 'large', not a number of pixels"),
        (CONFIG | {"hidden_size": 10**12}, "hidden_size is 1000000000000, which no backbone here has"),
        (CONFIG | {"hidden_size": 10**400}, "which no backbone here has"),
        (CONFIG | {"num_hidden_layers": 10**5}, "num_hidden_layers is"),
        (CONFIG | {"num_hidden_layers": 300}, "there are 1 to 256 blocks"),
        (CONFIG | {"num_hidden_layers": "12"}, "there are 1 to 256 blocks"),
        (CONFIG | {"layer_norm_eps": float("nan")}, "layer_norm_eps is nan"),
        ({"model_type": "resnet", "depths": [1, 10**4]}, "there are 1 to 256 blocks"),
        (json.dumps(CONFIG | {"x": "y" * (5 << 20)}), "more than 4 MiB"),
    ],
)
def test_a_configuration_from_outside_is_not_trusted(tmp_path: Path, config: object, message: str) -> None:
    with pytest.raises(FSSBenchError, match=message) as caught:
        hub_network(_folder(tmp_path, config))
    assert caught.value.exit_code == 2
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize(
    ("preprocessor", "message"),
    [
        ({"image_mean": [0.5, 0.5]}, "image_mean is"),
        ({"image_mean": [0.5] * 3, "image_std": [0.5, 0.0, 0.5]}, "image_std is"),
        ({"image_mean": [float("nan")] * 3}, "image_mean is"),
        ({"image_mean": "grey"}, "image_mean is"),
        ({"image_mean": [0.5] * 3, "rescale_factor": 1.0}, "rescale_factor is 1.0"),
    ],
)
def test_a_preprocessor_from_outside_is_not_trusted(tmp_path: Path, preprocessor: Any, message: str) -> None:
    name = _folder(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(preprocessor))
    with pytest.raises(BrokenFileError, match=message):
        hub_network(name)


def test_statistics_of_the_images(tmp_path: Path) -> None:
    assert hub_network(_folder(tmp_path)).mean == (0.485, 0.456, 0.406)
    inner = {"image_processor": {"image_mean": 0.5, "image_std": [0.25] * 3}}
    (tmp_path / "processor_config.json").write_text(json.dumps(inner))
    assert (hub_network(f"hf:{tmp_path}").mean, hub_network(f"hf:{tmp_path}").std) == ((0.5,) * 3, (0.25,) * 3)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"do_normalize": False}))
    assert hub_network(f"hf:{tmp_path}").mean == (0.0, 0.0, 0.0)
    clip = {"model_type": "clip", "vision_config": {"num_hidden_layers": 2}}
    assert hub_network(_folder(tmp_path / "clip", clip)).mean[0] == pytest.approx(0.48145466)


def test_shards_are_those_that_the_index_lists(tmp_path: Path) -> None:
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "model-1-of-2.safetensors", "b": "model-2-of-2.safetensors"}}))
    (tmp_path / "model-1-of-2.safetensors").write_bytes(b"")
    assert weight_files(tmp_path) == ()
    (tmp_path / "model-2-of-2.safetensors").write_bytes(b"")
    assert [path.name for path in weight_files(tmp_path)] == ["model-1-of-2.safetensors", "model-2-of-2.safetensors"]
    wrong: tuple[object, ...] = ({"a": "../x.safetensors"}, {"a": "/x.safetensors"}, {"a": "x.bin"}, {"a": 1}, {}, [])
    for listed in wrong:
        index.write_text(json.dumps({"weight_map": listed}))
        with pytest.raises(BrokenFileError, match="does not list files"):
            weight_files(tmp_path)


@pytest.mark.parametrize(
    ("card", "licence"),
    [
        ("---\nlicense: mit\n---\n", "mit"),
        ("---\nlicense: other\nlicense_name: dinov3-license\n---\n", "dinov3-license"),
        ("---\nlicense: other\n---\n", "other"),
        ("# No metadata\nlicense: mit\n", ""),
        ("---\nlicense: \x1b[31m\n---\n", ""),
    ],
)
def test_the_licence_is_that_of_the_model_card(tmp_path: Path, card: str, licence: str) -> None:
    assert licence_of(tmp_path) == ""
    (tmp_path / "README.md").write_text(card)
    assert licence_of(tmp_path) == licence
