"""MIANet: names of classes, the prior's chain of scales, the triplet loss, and the layouts of its release."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import fssbench
from fssbench.checkpoints.naming import backbone_state
from fssbench.episode import Episode
from fssbench.errors import CheckpointError, UsageError
from fssbench.methods.base.method import TrainingBatch
from fssbench.methods.base.word_vectors import character_vector
from fssbench.methods.mianet import MIANet, hierarchical_prior, triplet_loss
from fssbench.protocols.rules import protocol
from fssbench.results.caveats import caveats
from tests.training.tiny import Indexed

SIDE = 96
RULES = replace(protocol("shapes"), datasets=("squares",), input=(SIDE, SIDE))
ASKED = [Episode("11_0", (1,), (("12_1", "11_2"),), 1), Episode("22_1", (2,), (("22_2", "12_0"),), 2)]


def _built(shot: int = 1, **options: Any) -> MIANet:
    torch.manual_seed(0)
    method = fssbench.build("mianet", "small", shot=shot, width=8, **{"vectors": "characters", **options})
    assert isinstance(method, MIANet)
    return method


def _episode(shot: int = 1) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    images = torch.randn(1 + shot, 3, SIDE, SIDE, generator=generator)
    masks = torch.zeros(1, shot, SIDE, SIDE, dtype=torch.uint8)
    for number in range(shot):
        masks[0, number, 20:60, 30 - 5 * number : 70] = 1
    return images[0], images[1:][None], masks


def test_the_name_decides_the_prototype_and_an_episode_without_one_is_refused() -> None:
    method, episode = _built(), _episode()
    dog, cat = (method.segment(*episode, class_names=[name]).logits for name in ("dog", "cat"))
    assert (dog - cat).abs().max() > 1e-4
    with pytest.raises(UsageError, match="MIANet reads the name of the class, and an episode has none"):
        method.segment(*episode)
    with pytest.raises(UsageError, match="there are 1 classes and 2 names"):
        method.segment(*episode, class_names=["dog", "cat"])
    always = _built(unnamed="cat")
    assert torch.equal(always.segment(*episode).logits, cat)
    assert torch.equal(always.segment(*episode, class_names=["dog"]).logits, dog)


def test_the_general_prototype_is_the_generator_s_of_name_and_instance_prototype() -> None:
    method, (_, images, masks) = _built(), _episode()
    with torch.inference_mode():
        support = method.condition(method.encode(images[0]), masks[0])
        named = method.with_names(support, ["hot dog"])
        inputs = torch.cat([torch.from_numpy(character_vector("hot dog")), support.prototype.flatten()])
        first, last = method.GIG[0][0], method.GIG[0][3]
        expected = last(F.leaky_relu(first(inputs), 0.2))
    assert support.general is None
    assert named.general is not None
    torch.testing.assert_close(named.general.flatten(), expected)


def test_of_several_supports_the_first_alone_is_looked_at() -> None:
    query, images, masks = _episode(shot=3)
    several = _built(shot=3).segment(query, images, masks, class_names=["dog"])
    assert MIANet.shots_read == 1
    first = _built().segment(query, images[:, :1], masks[:, :1], class_names=["dog"])
    assert torch.equal(several.logits, first.logits)


def test_an_evaluation_gives_the_data_set_s_names() -> None:
    seen: list[list[str]] = []
    checked: list[str] = []

    class Watched(MIANet):
        def with_names(self, support: Any, names: Any) -> Any:
            seen.append(list(names))
            return super().with_names(support, names)

        def check_names(self, names: Any) -> None:
            checked.extend(names)

    method = _built(shot=2)
    method.__class__ = Watched
    results = fssbench.evaluate(method, Indexed(), ASKED, protocol=RULES)
    assert len(results.frame) == 2
    assert checked == ["square 1", "square 2"]
    assert {name for names in seen for name in names} == {"square 1", "square 2"}
    assert len(seen) == 2  # the first support of each episode and the class
    told = caveats(results, results.summary(draws=0), [])
    assert "mianet looks at the first of 2 supports alone, as its release does" in told
    assert "names of classes are read as word vectors: characters" in told


def test_a_name_that_it_can_t_read_is_refused_before_any_image_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = Indexed()
    monkeypatch.setattr(type(dataset), "image", lambda *_: pytest.fail("an image was read"))
    with pytest.raises(UsageError, match="word vectors of pascal5i: 'square 1'"):
        fssbench.evaluate(_built(shot=2, vectors="pascal5i"), dataset, ASKED, protocol=RULES)


def test_photos_need_the_name_of_the_class() -> None:
    photo = np.zeros((60, 80, 3), np.uint8)
    photo[20:40, 30:60] = 255
    mask = photo[..., 0] > 0
    from fssbench.photos.segment import Prepared, Segmenter

    def ready(way: int, shot: int) -> Prepared:
        from fssbench.photos.choice import Choice, choose

        chosen = choose(Choice("hsnet", backbone="small", train_dataset="shapes20i", fold=0), way, shot)
        return Prepared(chosen, _built(), torch.device("cpu"))

    with pytest.raises(UsageError, match="reads the name of the class, and none was given") as told:
        Segmenter([photo], [mask.astype(np.uint8)], ["object"], ready)
    assert told.value.remedy == '--class dog, or classes="dog"'
    assert Segmenter([photo], [mask.astype(np.uint8)], ["dog"], ready)(photo).classes == ("dog",)


def test_the_prior_of_a_scale_is_made_of_the_scale_before() -> None:
    generator = torch.Generator().manual_seed(1)
    query, support = torch.rand(2, 1, 6, 8, 8, generator=generator)
    mask = torch.rand(1, 1, 8, 8, generator=generator)

    def cosine(q: Tensor, s: Tensor) -> Tensor:
        q, s = (F.normalize(one[0].flatten(1), dim=0) for one in (q, s))
        mean = (q.T @ s).mean(dim=1)
        side = int(len(mean) ** 0.5)
        return ((mean - mean.min()) / (mean.max() - mean.min())).view(1, 1, side, side)

    def to(x: Tensor, side: int) -> Tensor:
        return F.interpolate(x, (side, side), mode="bilinear", align_corners=True)

    first = cosine(query, support * mask)
    pooled = F.adaptive_avg_pool2d(query * first, 5)
    smaller = to(mask, 5)
    second = cosine(pooled, to(support, 5) * smaller)
    last = F.adaptive_avg_pool2d(pooled * second, 4)
    third = cosine(last, to(support, 4) * to(smaller, 4))
    assert (to(smaller, 4) - to(mask, 4)).abs().max() > 0.05, "the mask is that of the scale before"
    found = hierarchical_prior(query, support, mask, [(8, 8), (5, 5), (4, 4)])
    for ours, theirs in zip(found, (first, second, third), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
    # A map that is coarser than the finest scale: that scale stands apart, and the chain begins at the next.
    apart, *chain = hierarchical_prior(query, support, mask, [(16, 16), (8, 8), (5, 5)])
    torch.testing.assert_close(apart, cosine(to(query, 16), to(support, 16) * to(mask, 16)), rtol=1e-4, atol=1e-5)
    for ours, theirs in zip(chain, found, strict=False):
        torch.testing.assert_close(ours, theirs)


def test_the_triplet_is_the_farthest_positive_and_the_mean_negative() -> None:
    local = torch.zeros(2, 2, 1, 4)
    local[0, :, 0] = torch.tensor([[3.0, 0.0, 0.0, -2.0], [0.0, 5.0, 1.0, 0.0]])
    mask = torch.tensor([1.0, 1.0, 0.5, 0.0]).view(1, 1, 1, 4).repeat(2, 1, 1, 1)
    mask[1] = 0.0  # a support without an object
    anchors = torch.tensor([[2.0, 0.0], [1.0, 0.0]])
    # Positives (1, 0) and (0, 1), the farther at sqrt(2); negatives (0, 1), at the rim, and (-1, 0), mean (-0.5, 0.5).
    expected = 0.5 + 2**0.5 - (1.5**2 + 0.5**2) ** 0.5
    assert triplet_loss(anchors, local, mask).item() == pytest.approx(expected, abs=1e-5)
    assert triplet_loss(anchors[1:], local[1:], mask[1:]).item() == 0.0
    far = triplet_loss(-anchors[:1], local[:1], mask[:1])
    assert far.item() == pytest.approx(0.5 + 2.0 - 0.5**0.5, abs=1e-5)


def _batch(names: list[list[str]]) -> TrainingBatch:
    generator = torch.Generator().manual_seed(5)
    query, supports = (torch.randn(2, 3, SIDE, SIDE, generator=generator) for _ in range(2))
    mask = torch.zeros(2, SIDE, SIDE, dtype=torch.uint8)
    mask[:, 16:70, 20:80] = 1
    return TrainingBatch(
        query, mask[:, None], supports[:, None, None], mask[:, None, None], torch.zeros(2, 1), mask, class_names=names
    )


def test_each_episode_of_a_batch_is_trained_with_its_own_name() -> None:
    method = _built().train()
    for module in method.modules():
        if isinstance(module, torch.nn.Dropout | torch.nn.Dropout2d):
            module.eval()
    losses = [method.losses(_batch([[one], [other]])) for one, other in (("dog", "cat"), ("cat", "dog"))]
    assert losses[0].keys() == {"main", "auxiliary", "triplet"}
    assert losses[0]["main"].item() != losses[1]["main"].item()
    with pytest.raises(UsageError, match="an episode has none"):
        method.losses(_batch([]))


def _released(own: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return weights in the layout of the release: the backbone under three names, and a PSPNet's head."""
    state = dict(own)
    for key, value in own.items():
        if key.startswith("layer"):
            state[f"pspnet.{key}"] = value.clone()
            state[f"pspnet.encoder.{key.removeprefix('layer')}"] = value.clone()
    state |= {"pspnet.ppm.features.0.1.weight": torch.ones(3), "pspnet.cls.0.weight": torch.ones(3)}
    return {f"module.{key}": value for key, value in state.items()}


def test_a_released_checkpoint_loads_with_its_further_names_and_without() -> None:
    method = fssbench.build("mianet", "vgg16", vectors="characters", width=4)
    own = {
        key: torch.ones_like(value) if key.endswith("tracked") else torch.full_like(value, 1.0 + place)
        for place, (key, value) in enumerate(method.state_dict().items())
    }
    released = _released(own)
    further = {key: value for key, value in released.items() if not key.startswith("module.layer")}
    for state in (released, own, further):
        for value in method.state_dict().values():
            value.zero_()
        fssbench.load_release(method, state)
        assert all(torch.equal(value, own[key]) for key, value in method.state_dict().items())
    # The file of BAM's PSPNet, where the release's training begins, is the file of a backbone.
    psp = {key.removeprefix("module.pspnet."): value for key, value in released.items() if ".pspnet." in key}
    assert backbone_state(method, psp).keys() == {key for key in own if key.startswith("layer")}
    released["module.pspnet.encoder.2.0.weight"] = released["module.pspnet.encoder.2.0.weight"] + 1.0
    with pytest.raises(CheckpointError, match=r"layer2\.0\.weight and .*encoder\.2\.0\.weight are one parameter"):
        fssbench.load_release(method, released)
