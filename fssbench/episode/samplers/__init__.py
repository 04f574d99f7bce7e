"""The samplers by name: a sampler draws episodes from image lists as a release does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from fssbench.episode.episode import Episode
from fssbench.episode.samplers import (
    canet,
    fptrans,
    fssdino,
    hsnet,
    ifsl,
    matcher,
    mlc,
    oslsm,
    panet,
    patnet,
    pfenet,
    pmms,
    repri,
)
from fssbench.episode.samplers.lists import ImageLists, ListRule
from fssbench.errors import unknown_name


class Draw(Protocol):
    """Yields up to `count` episodes, drawn from lists in which every class has enough images."""

    def __call__(self, lists: ImageLists, way: int, shot: int, count: int, seed: int) -> Iterator[Episode]:
        """Yield the episodes in order."""


@dataclass(frozen=True)
class Sampler:
    """One way of drawing episodes.

    Attributes:
        draw: The function that draws.
        draws_class: Whether classes are drawn from the fold, so that every class needs images. Otherwise queries come
            from the list, and a class without images has no episodes.
        distinct: Whether the supports of a class are different images, so that a class needs K images and the query.
        repeats_queries: Whether queries start again at the end of the list, so that any number of episodes is possible.
        continued: Whether each run continues the random stream of the run before, so that only the first seed matters.
        several_ways: Whether it can draw episodes of several classes.
        lists: The images that it draws from (`fssbench.episode.samplers.lists.read_lists`).
    """

    draw: Draw
    draws_class: bool = False
    distinct: bool = False
    repeats_queries: bool = True
    continued: bool = False
    several_ways: bool = False
    lists: ListRule = "data set's"

    def images_needed(self, shot: int) -> int:
        """Return how many different images a class must have: its supports and the query.

        With fewer images, the draw of the releases may never end.
        """
        return (shot if self.distinct else 1) + 1


SAMPLERS: dict[str, Sampler] = {
    "hsnet-listed": Sampler(hsnet.listed),
    "hsnet-drawn": Sampler(hsnet.drawn, draws_class=True),
    "hsnet-every-image": Sampler(hsnet.every_image, repeats_queries=False),
    "hsnet-each-entry": Sampler(hsnet.listed, repeats_queries=False),
    "ifsl-fss-listed": Sampler(ifsl.fss_listed),
    "ifsl-fss-drawn": Sampler(ifsl.fss_drawn, draws_class=True),
    "ifsl-fscs-listed": Sampler(ifsl.fscs_listed, draws_class=True, distinct=True, several_ways=True),
    "ifsl-fscs-drawn": Sampler(ifsl.fscs_drawn, draws_class=True, distinct=True, several_ways=True),
    "pfenet-8-workers": Sampler(pfenet.listed_by_8, distinct=True, lists="2048 pixels"),
    "pfenet-16-workers": Sampler(pfenet.listed_by_16, distinct=True, lists="2048 pixels"),
    "bam-gfss-8-workers": Sampler(pfenet.generalised_by_8, draws_class=True, distinct=True, lists="every image"),
    "patnet-in-turn": Sampler(patnet.in_turn, draws_class=True),
    "matcher-parts-in-turn": Sampler(matcher.parts_in_turn, draws_class=True, distinct=True, lists="objects"),
    "matcher-parts-drawn": Sampler(matcher.parts_drawn, draws_class=True, lists="objects"),
    "canet-listed": Sampler(canet.listed, distinct=True),
    "repri-3-workers": Sampler(repri.listed_by_3, distinct=True, continued=True, lists="2048 pixels"),
    "repri-resnet101-3-workers": Sampler(
        repri.listed_by_3_resnet101, distinct=True, continued=True, lists="2048 pixels"
    ),
    "repri-2-workers": Sampler(repri.listed_by_2, distinct=True, continued=True, lists="2048 pixels"),
    "mlc-4-workers": Sampler(mlc.drawn_by_4, distinct=True, lists="2048 pixels"),
    "oslsm-listed": Sampler(oslsm.listed, distinct=True),
    "panet-drawn": Sampler(panet.drawn, draws_class=True, distinct=True, several_ways=True, lists="any pixel"),
    "fssdino-drawn": Sampler(fssdino.drawn, draws_class=True, distinct=True, several_ways=True, lists="large objects"),
    "fptrans-listed": Sampler(fptrans.listed, distinct=True, lists="2048 pixels"),
    "pmms-listed": Sampler(pmms.listed, distinct=True),
    "pmms-drawn": Sampler(pmms.drawn, draws_class=True, distinct=True),
}


def sampler(name: str) -> Sampler:
    """Return the sampler with a name.

    Raises:
        UsageError: If there is none, with the nearest names.
    """
    if name not in SAMPLERS:
        raise unknown_name("sampler", name, SAMPLERS)
    return SAMPLERS[name]
