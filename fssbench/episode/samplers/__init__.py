"""The samplers by name: how a release draws its episodes from its lists."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from fssbench.episode.episode import Episode
from fssbench.episode.samplers import canet, hsnet, ifsl, mlc, oslsm, panet, patnet, pfenet, pmms, repri
from fssbench.episode.samplers.lists import ImageLists, ListRule
from fssbench.errors import unknown_name


class Draw(Protocol):
    """Yields up to `count` episodes drawn from lists in which no class is too short."""

    def __call__(self, lists: ImageLists, way: int, shot: int, count: int, seed: int) -> Iterator[Episode]:
        """Yield the episodes in the order in which they are asked."""


@dataclass(frozen=True)
class Sampler:
    """One way of drawing episodes.

    Attributes:
        draw: The function that draws.
        draws_class: Whether classes are drawn from the fold, so that each of them needs images. Where queries
            come from the list instead, a class without any image is just never asked.
        distinct: Whether the supports of a class differ, so that it needs K images and the query.
        repeats_queries: Whether queries start again at the end of the list, so that any number can be asked.
        continued: Whether a run goes on where the one before has ended, so that the first seed alone decides.
        several_ways: Whether it draws episodes of more than one class.
        lists: Which images it draws from (`fssbench.episode.samplers.lists.read_lists`).
    """

    draw: Draw
    draws_class: bool = False
    distinct: bool = False
    repeats_queries: bool = True
    continued: bool = False
    several_ways: bool = False
    lists: ListRule = "data set's"

    def images_needed(self, shot: int) -> int:
        """Return how many different images a class must have: its supports and one more, the query.

        With fewer the releases may draw without end.
        """
        return (shot if self.distinct else 1) + 1


SAMPLERS: dict[str, Sampler] = {
    "hsnet-listed": Sampler(hsnet.listed),
    "hsnet-drawn": Sampler(hsnet.drawn, draws_class=True),
    "hsnet-every-image": Sampler(hsnet.every_image, repeats_queries=False),
    "ifsl-fss-listed": Sampler(ifsl.fss_listed),
    "ifsl-fss-drawn": Sampler(ifsl.fss_drawn, draws_class=True),
    "ifsl-fscs-listed": Sampler(ifsl.fscs_listed, draws_class=True, distinct=True, several_ways=True),
    "ifsl-fscs-drawn": Sampler(ifsl.fscs_drawn, draws_class=True, distinct=True, several_ways=True),
    "pfenet-8-workers": Sampler(pfenet.listed_by_8, distinct=True, lists="2048 pixels"),
    "pfenet-16-workers": Sampler(pfenet.listed_by_16, distinct=True, lists="2048 pixels"),
    "bam-gfss-8-workers": Sampler(pfenet.generalised_by_8, draws_class=True, distinct=True, lists="every image"),
    "patnet-in-turn": Sampler(patnet.in_turn, draws_class=True),
    "canet-listed": Sampler(canet.listed, distinct=True),
    "repri-3-workers": Sampler(repri.listed_by_3, distinct=True, continued=True, lists="2048 pixels"),
    "repri-resnet101-3-workers": Sampler(
        repri.listed_by_3_resnet101, distinct=True, continued=True, lists="2048 pixels"
    ),
    "repri-2-workers": Sampler(repri.listed_by_2, distinct=True, continued=True, lists="2048 pixels"),
    "mlc-4-workers": Sampler(mlc.drawn_by_4, distinct=True, lists="2048 pixels"),
    "oslsm-listed": Sampler(oslsm.listed, distinct=True),
    "panet-drawn": Sampler(panet.drawn, draws_class=True, distinct=True, several_ways=True, lists="any pixel"),
    "pmms-listed": Sampler(pmms.listed, distinct=True),
    "pmms-drawn": Sampler(pmms.drawn, draws_class=True, distinct=True),
}


def sampler(name: str) -> Sampler:
    """Return the sampler of that name.

    Raises:
        UsageError: If there is none, with the nearest names.
    """
    if name not in SAMPLERS:
        raise unknown_name("sampler", name, SAMPLERS)
    return SAMPLERS[name]
