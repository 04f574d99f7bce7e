"""The trend over the years on one data set, by backbone."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from fssbench.figures import Series, to_svg, years
from fssbench.site.gather import Result

_MOST = 4


def trend(results: Sequence[Result], name: str) -> str | None:
    """Return 1-way 1-shot mIoU by year as SVG, for the backbones with most results.

    Only printed results count that are ranked in tables, whose training has not seen masks of the test classes.

    Args:
        results: The results on the data set.
        name: A name for the figure, unlike others on its page.

    Returns:
        None if the results are of fewer than two years.
    """
    chosen = [
        (one.entry.backbone, one.year, float(one.entry.numbers["mean"]))
        for one in results
        if one.year is not None
        and one.entry.origin == "published"
        and one.entry.competes
        and one.seen != "yes"
        and one.entry.task == "fss"
        and (one.entry.way, one.entry.shot) == (1, 1)
        and "mean" in one.entry.numbers
        and one.entry.backbone
    ]
    groups = {backbone: list(ones) for backbone, ones in groupby(sorted(chosen), key=lambda one: one[0])}
    most = sorted(groups, key=lambda backbone: (-len(groups[backbone]), backbone))[:_MOST]
    drawn = [(Series(one, [m for _, _, m in groups[one]]), [when for _, when, _ in groups[one]]) for one in most]
    if len({when for _, whens in drawn for when in whens}) < 2:
        return None
    return to_svg(years(drawn, y="mean mIoU, 1-way 1-shot"), f"trend-{name}")
