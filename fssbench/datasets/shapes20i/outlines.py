"""The shape of each class: polygons with holes, varied within the class.

Coordinates are integers, x to the right, y downwards, about 1000 from the middle to the rim; an item is brought to
size, deformed and turned afterwards.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fssbench.datasets.shapes20i.fixed import TURN
from fssbench.datasets.shapes20i.polygons import Corner, Part, ellipse, mirrored, point_at, polygon, rounded
from fssbench.datasets.shapes20i.random_stream import Stream

Outline = Callable[[Stream], list[Part]]


def gear(stream: Stream) -> list[Part]:
    """A toothed wheel, mostly with a bore."""
    teeth, depth = stream.between(7, 12), stream.between(180, 300)
    pitch = TURN // teeth
    corners = []
    for tooth in range(teeth):
        start = TURN * tooth // teeth
        for part, radius in ((0, 1000 - depth), (22, 1000), (50, 1000), (72, 1000 - depth)):
            corners.append(point_at(start + pitch * part // 100, radius))
    bore = stream.between(180, 380)
    return [polygon(*corners), *([ellipse(0, 0, bore, bore, hole=True)] if stream.chance(85) else [])]


def fish(stream: Stream) -> list[Part]:
    """A body that tapers to a forked tail, with fins."""
    height, tail, fork = stream.between(330, 520), stream.between(300, 520), stream.between(80, 260)
    body = [(-1000, 0), (-800, -height * 2 // 3), (-300, -height), (300, -height * 2 // 3), (700, -90)]
    fin = stream.between(150, 380)
    return [
        rounded([*body, *((x, -y) for x, y in reversed(body[1:]))], 3),
        polygon((560, 0), (1000, -tail), (1000 - fork, 0), (1000, tail)),
        polygon((-350, -height * 3 // 4), (stream.between(-100, 250), -height - fin), (300, -height // 2)),
        polygon((-150, height * 2 // 3), (stream.between(50, 250), height + fin * 2 // 3), (250, height // 2)),
    ]


def house(stream: Stream) -> list[Part]:
    """Walls under a gable roof with eaves, a chimney, mostly a door."""
    wall, eave, top = stream.between(550, 820), stream.between(60, 200), stream.between(-260, 40)
    chimney, side = stream.between(150, 420), stream.sign()
    ridge = stream.between(-120, 120)
    parts = [
        polygon((-wall, top), (wall, top), (wall, 950), (-wall, 950)),
        polygon((-wall - eave, top + 40), (ridge, -950), (wall + eave, top + 40)),
        polygon(
            (side * chimney, -900), (side * (chimney + 190), -900), (side * (chimney + 190), top), (side * chimney, top)
        ),
    ]
    if stream.chance(80):
        left = stream.between(-wall + 120, wall - 420)
        parts.append(polygon((left, 380), (left + 300, 380), (left + 300, 950), (left, 950), hole=True))
    return parts


def leaf(stream: Stream) -> list[Part]:
    """A pointed blade, smooth or serrated, on a stalk."""
    width, belly, teeth = stream.between(360, 620), stream.between(-400, 100), stream.chance(50)
    upper: list[Corner] = []
    for k in range(25):
        x = -1000 + 1600 * k // 24
        rise = (x + 1000) * 1000 // (belly + 1000) if x < belly else (600 - x) * 1000 // (600 - belly)
        y = -width * (2000 - rise) * rise // 1_000_000
        upper.append((x, y - (70 if teeth and k % 2 and 0 < k < 24 else 0)))
    lower = [(x, -y) for x, y in reversed(upper[1:-1])]
    return [polygon(*upper, *lower), polygon((520, -55), (1000, -40 + 110 * stream.sign()), (1000, 160), (520, 55))]


def star(stream: Stream) -> list[Part]:
    """A star of four to eight points."""
    points, inner = stream.between(4, 8), stream.between(340, 560)
    corners = [point_at(TURN * k // (2 * points), inner if k % 2 else 1000) for k in range(2 * points)]
    return [rounded(corners, 1) if stream.chance(30) else polygon(*corners)]


def bottle(stream: Stream) -> list[Part]:
    """A body, shoulders, a neck and a lip."""
    body, neck = stream.between(300, 480), stream.between(110, 190)
    shoulder, lip = stream.between(-350, 50), stream.between(0, 70)
    half = [(neck, -700), (neck, shoulder - 200), (body, shoulder), (body, 300), (body - stream.between(0, 90), 700)]
    return [
        rounded(mirrored([(neck, -900), *half, (body, 980), (body - 60, 1000)]), 2),
        polygon((-neck - lip, -1000), (neck + lip, -1000), (neck + lip, -830), (-neck - lip, -830)),
    ]


def arrow(stream: Stream) -> list[Part]:
    """A shaft with a head, sometimes with feathers."""
    shaft, head, neck = stream.between(130, 260), stream.between(480, 780), stream.between(-150, 300)
    barb = stream.between(0, 220)
    parts = [
        polygon((-1000, -shaft), (neck + 80, -shaft), (neck + 80, shaft), (-1000, shaft)),
        polygon((1000, 0), (neck - barb, -head), (neck, 0), (neck - barb, head)),
    ]
    if stream.chance(40):
        notch = stream.between(150, 300)
        parts.append(polygon((-1000, -shaft - 10), (-1000 + notch, 0), (-1000, shaft + 10), hole=True))
    return parts


def mushroom(stream: Stream) -> list[Part]:
    """A domed cap on a stem that widens towards its foot."""
    brim, dome, stem = stream.between(-50, 250), stream.between(700, 1000), stream.between(170, 320)
    foot = stem + stream.between(-20, 180)
    cap = ellipse(0, brim, 1000, dome, start=TURN // 2, stop=TURN)
    under = rounded([(-990, brim - 30), (990, brim - 30), (700, brim + 170), (-700, brim + 170)], 2)
    return [
        cap,
        under,
        rounded([(-stem, brim), (stem, brim), (foot, 950), (foot, 1000), (-foot, 1000), (-foot, 950)], 1),
    ]


def key(stream: Stream) -> list[Part]:
    """A bow with a hole, a shank and a bit of a few teeth."""
    bow, shank = stream.between(360, 480), stream.between(95, 150)
    parts = [ellipse(-1000 + bow, 0, bow, bow * stream.between(85, 125) // 100)]
    parts.append(polygon((-1100 + 2 * bow, -shank), (1000, -shank), (1000, shank), (-1100 + 2 * bow, shank)))
    x = 1000
    for _ in range(stream.between(2, 3)):
        tooth = stream.between(130, 200)
        drop = stream.between(330, 520)
        parts.append(polygon((x - tooth, 0), (x, 0), (x, drop), (x - tooth, drop)))
        x -= tooth + stream.between(90, 140)
    hole = bow * stream.between(42, 58) // 100
    return [*parts, ellipse(-1000 + bow, 0, hole, hole, hole=True)]


def crown(stream: Stream) -> list[Part]:
    """A band with three to six spikes, each with a ball."""
    spikes, valley, band = stream.between(3, 6), stream.between(-50, 250), stream.between(650, 800)
    ball = stream.between(70, 130)
    corners, tips = [], []
    for k in range(spikes):
        x = -900 + 1800 * k // (spikes - 1)
        tips.append((x, -700 - (150 if 0 < k < spikes - 1 else 0)))
        corners.append(tips[-1])
        if k < spikes - 1:
            corners.append((x + 900 // (spikes - 1), valley))
    return [polygon(*corners, (780, band), (-780, band)), *(ellipse(x, y, ball, ball) for x, y in tips)]


def crescent(stream: Stream) -> list[Part]:
    """A disc with a bite of nearly its own size."""
    bite, away = stream.between(720, 920), stream.between(380, 560)
    return [ellipse(0, 0, 1000, 1000), ellipse(away, stream.between(-120, 120), bite, bite, hole=True)]


def mug(stream: Stream) -> list[Part]:
    """A cup with a handle."""
    top, foot, high = stream.between(560, 700), stream.between(420, 680), stream.between(700, 950)
    reach, thick = stream.between(330, 450), stream.between(110, 160)
    handle = ellipse(450, -40, reach + 200, high * 62 // 100)
    hole = ellipse(450, -40, reach + 200 - thick, high * 62 // 100 - thick, hole=True)
    cup = [(-top, -high), (top, -high), (foot, high), (-foot, high)]
    return [handle, hole, rounded(cup, 1) if stream.chance(50) else polygon(*cup)]


def guitar(stream: Stream) -> list[Part]:
    """A waisted body with a sound hole, a neck and a head."""
    lower, upper, waist = stream.between(470, 600), stream.between(340, 450), stream.between(230, 330)
    body = [(140, -250), (upper, -230), (upper, 60), (waist, 220), (lower, 400), (lower, 900), (250, 1000)]
    neck, hole = stream.between(70, 110), stream.between(0, 150)
    parts = [
        rounded(mirrored(body), 2),
        polygon((-neck, -850), (neck, -850), (neck, 0), (-neck, 0)),
        polygon((-neck - 60, -1000), (neck + 60, -1000), (neck + 20, -760), (-neck - 20, -760)),
    ]
    return [*parts, *([ellipse(0, 250, hole, hole, hole=True)] if hole > 60 else [])]


def fir(stream: Stream) -> list[Part]:
    """Two to four tiers of branches on a trunk."""
    tiers, spread, trunk = stream.between(2, 4), stream.between(560, 800), stream.between(90, 170)
    parts = [polygon((-trunk, 600), (trunk, 600), (trunk, 1000), (-trunk, 1000))]
    for tier in range(tiers):
        top = -1000 + 1300 * tier // (tiers + 1)
        foot = -1000 + 1750 * (tier + 1) // tiers
        wide = spread * (tier + 2) // (tiers + 1)
        parts.append(polygon((0, top), (wide, foot), (0, foot - 90), (-wide, foot)))
    return parts


def heart(stream: Stream) -> list[Part]:
    """A heart, broad or slender."""
    wide, dip, high = stream.between(820, 1000), stream.between(-420, -250), stream.between(850, 1050)
    half = [(30, dip), (300, -high), (wide, -high), (wide + 60, -250), (wide * 7 // 10, 250), (40, 960)]
    return [rounded(mirrored(half), 2)]


def umbrella(stream: Stream) -> list[Part]:
    """A canopy with a scalloped hem, a stick and a hooked handle."""
    ribs, dome, stick = stream.between(3, 6), stream.between(750, 950), stream.between(50, 80)
    canopy = ellipse(0, 0, 1000, dome, start=TURN // 2, stop=TURN)
    parts = [canopy, polygon((-stick, -dome - 120), (stick, -dome - 120), (stick, 800), (-stick, 800))]
    across = 1000 // ribs
    wide, deep = across * 92 // 100, across * 2 // 3
    hem = [(-1000 + across + 2 * across * k, 8) for k in range(ribs)]
    parts += [ellipse(x, y, wide, deep, hole=True, start=-TURN // 2, stop=0) for x, y in hem]
    bend, side = stream.between(130, 210), stream.sign()
    hook = [point_at(TURN * k // 24, bend + stick, side * bend, 800) for k in range(13)]
    hook += [point_at(TURN * k // 24, bend - stick, side * bend, 800) for k in range(12, -1, -1)]
    shaft = polygon((-stick, -200), (stick, -200), (stick, 810), (-stick, 810))
    return [*parts, shaft, polygon(*hook)]


def sailboat(stream: Stream) -> list[Part]:
    """A hull with a mast and one or two sails."""
    deck, keel, mast = stream.between(420, 560), stream.between(450, 700), stream.between(-200, 150)
    main, jib = stream.between(550, 800), stream.between(450, 750)
    parts = [
        polygon((-1000, deck), (1000, deck), (keel, 1000), (-keel, 1000)),
        polygon((mast - 45, -1000), (mast + 45, -1000), (mast + 45, deck + 50), (mast - 45, deck + 50)),
        polygon((mast + 20, -960), (mast + main, deck - 130), (mast + 20, deck - 130)),
    ]
    if stream.chance(65):
        parts.append(polygon((mast - 90, -800), (mast - 90, deck - 130), (mast - 90 - jib, deck - 130)))
    return parts


def butterfly(stream: Stream) -> list[Part]:
    """Two pairs of wings on a body."""
    wide, high, low = stream.between(850, 1000), stream.between(700, 950), stream.between(600, 900)
    small = stream.between(550, 800)
    fore = [(0, -60), (250, -high), (wide, -high), (wide, -300), (600, 60), (0, 150)]
    hind = [(0, 0), (500, 40), (small + 60, 250), (small, low), (250, low), (0, 260)]
    body = ellipse(0, 30, 90, 620)
    wings = [rounded(half, 2) for half in (fore, hind)]
    return [*wings, *(Part(wing.points * np.array([-1, 1], dtype=np.int64)) for wing in wings), body]


def basket(stream: Stream) -> list[Part]:
    """A tapered bowl with a rim and an arched handle."""
    top, foot, rim = stream.between(800, 930), stream.between(480, 700), stream.between(-50, 200)
    arch, thick = stream.between(850, 1000), stream.between(110, 170)
    across = top - stream.between(60, 200)
    return [
        ellipse(0, rim, across, arch, start=TURN // 2, stop=TURN),
        ellipse(0, rim, across - thick, arch - thick, hole=True),
        polygon((-top, rim), (top, rim), (foot, 950), (-foot, 950)),
        polygon((-top - 70, rim - 70), (top + 70, rim - 70), (top + 70, rim + 90), (-top - 70, rim + 90)),
    ]


def doughnut(stream: Stream) -> list[Part]:
    """A ring, sometimes bitten into."""
    hole = stream.between(300, 470)
    parts = [ellipse(0, 0, 1000, stream.between(880, 1000)), ellipse(0, 0, hole, hole, hole=True)]
    if stream.chance(35):
        bite = stream.between(220, 340)
        x, y = point_at(stream.below(TURN), 960)
        parts.append(ellipse(x, y, bite, bite, hole=True))
    return parts


def blob(stream: Stream) -> list[Part]:
    """A pebble, a stick or a shard that belongs to no class."""
    corners, form = stream.between(5, 9), stream.below(3)
    flat = (stream.between(550, 1000), stream.between(120, 260), stream.between(400, 1000))[form]
    points = []
    for k in range(corners):
        x, y = point_at(TURN * k // corners + stream.between(-120, 120), stream.between(600, 1000))
        points.append((x, y * flat // 1000))
    return [polygon(*points) if form == 2 else rounded(points, 3)]
