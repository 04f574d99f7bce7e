"""The twenty classes, each a shape with a surface; label value n is the n-th, five to a fold."""

from __future__ import annotations

from typing import NamedTuple

from fssbench.datasets.shapes20i import outlines, surfaces


class ShapeClass(NamedTuple):
    """A class.

    Attributes:
        name: Its name.
        outline: Its shape.
        surface: Its pattern.
    """

    name: str
    outline: outlines.Outline
    surface: surfaces.Surface


CLASSES = (
    ShapeClass("gear", outlines.gear, surfaces.rings),
    ShapeClass("fish", outlines.fish, surfaces.scales),
    ShapeClass("house", outlines.house, surfaces.bricks),
    ShapeClass("leaf", outlines.leaf, surfaces.veins),
    ShapeClass("star", outlines.star, surfaces.glow),
    ShapeClass("bottle", outlines.bottle, surfaces.marble),
    ShapeClass("arrow", outlines.arrow, surfaces.stripes),
    ShapeClass("mushroom", outlines.mushroom, surfaces.dots),
    ShapeClass("key", outlines.key, surfaces.brushed),
    ShapeClass("crown", outlines.crown, surfaces.lozenges),
    ShapeClass("crescent", outlines.crescent, surfaces.craters),
    ShapeClass("mug", outlines.mug, surfaces.checks),
    ShapeClass("guitar", outlines.guitar, surfaces.wood),
    ShapeClass("fir", outlines.fir, surfaces.zigzag),
    ShapeClass("heart", outlines.heart, surfaces.plaid),
    ShapeClass("umbrella", outlines.umbrella, surfaces.panels),
    ShapeClass("sailboat", outlines.sailboat, surfaces.bands),
    ShapeClass("butterfly", outlines.butterfly, surfaces.eyespots),
    ShapeClass("basket", outlines.basket, surfaces.weave),
    ShapeClass("doughnut", outlines.doughnut, surfaces.sprinkles),
)

CLASSES_PER_FOLD = 5

NO_CLASS_SURFACES = (surfaces.plain, surfaces.mottled, surfaces.cracked, surfaces.streaked)
"""Patterns of what belongs to no class."""
