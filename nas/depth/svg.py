"""The maps of the weights as one SVG picture, a panel for each method: levels upwards, epochs to the right.

Written by hand, so that it needs no plotting library and is the same to the byte every time. Shapes: C columns, L
levels.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import groupby
from xml.sax.saxutils import escape

import numpy as np

from nas.depth.maps import Array, WeightMap, shrunk

PANELS_ABREAST = 3
MAX_COLUMNS = 150
"""Of the cells of a panel: more could not be told apart."""
WIDTH, HEIGHT = 260, 200
LEFT, TOP, RIGHT, BOTTOM = 46, 34, 74, 40
"""Around the field of a panel."""
LEGEND = 30
BAR_GAP, BAR_WIDTH, BAR_STEPS = 12, 10, 40
"""Of the scale of colours beside the field."""
POSITIVE = ((247, 251, 255), (107, 174, 214), (8, 48, 107))
NEGATIVE = ((255, 245, 240), (251, 106, 74), (103, 0, 13))
"""Light, middle and dark of ColorBrewer's Blues and Reds."""
MISSING = "#dddddd"
MOST_TICKS = 8
CHOSEN = 'stroke="#e6550d" stroke-width="2" stroke-dasharray="7 4"'
BEST = 'stroke="#31a354" stroke-width="2" stroke-dasharray="2 3"'


def svg(maps: Sequence[tuple[str, WeightMap]]) -> str:
    """The text of the picture.

    Args:
        maps: titles and what is drawn below them.
    """
    abreast = min(len(maps), PANELS_ABREAST)
    width = abreast * (LEFT + WIDTH + RIGHT)
    height = -(-len(maps) // PANELS_ABREAST) * (TOP + HEIGHT + BOTTOM) + LEGEND
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif" font-size="11" fill="#333">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
    ]
    for index, (title, weights) in enumerate(maps):
        row, column = divmod(index, PANELS_ABREAST)
        x, y = column * (LEFT + WIDTH + RIGHT) + LEFT, row * (TOP + HEIGHT + BOTTOM) + TOP
        lines += [f'<g transform="translate({x} {y})">', *_panel(title, weights), "</g>"]
    lines += _legend(height - LEGEND)
    return "\n".join([*lines, "</svg>"]) + "\n"


def _panel(title: str, weights: WeightMap) -> Iterator[str]:
    """In coordinates whose origin is the upper left corner of the field."""
    greatest = weights.greatest
    yield f'<text x="0" y="-12" font-size="13" font-weight="bold">{escape(title)}</text>'
    yield f'<rect width="{WIDTH}" height="{HEIGHT}" fill="{MISSING}"/>'
    yield '<g shape-rendering="crispEdges">'
    yield from _cells(shrunk(weights.weight_EL, MAX_COLUMNS), greatest)
    yield "</g>"
    for depth, style in ((weights.chosen_depth, CHOSEN), (weights.best_depth, BEST)):
        if depth is not None:
            y = _number(_y(depth, weights.num_levels))
            yield f'<path d="M0 {y}H{WIDTH}" fill="none" {style}/>'
    yield f'<rect width="{WIDTH}" height="{HEIGHT}" fill="none" stroke="#333"/>'
    for level in _ticks(0, weights.num_levels - 1):
        y = _number(_y(level, weights.num_levels))
        yield f'<path d="M-4 {y}H0" stroke="#333"/>'
        yield f'<text x="-7" y="{y}" dy="0.35em" text-anchor="end">{level}</text>'
    for epoch in _ticks(1, weights.num_epochs):
        x = _number((epoch - 0.5) / weights.num_epochs * WIDTH)
        yield f'<path d="M{x} {HEIGHT}v4" stroke="#333"/>'
        yield f'<text x="{x}" y="{HEIGHT + 16}" text-anchor="middle">{epoch}</text>'
    yield f'<text x="{WIDTH / 2:g}" y="{HEIGHT + 31}" text-anchor="middle">epoch</text>'
    yield f'<text transform="translate(-32 {HEIGHT / 2:g}) rotate(-90)" text-anchor="middle">level</text>'
    yield from _scale(weights)


def _cells(weight_CL: Array, greatest: float) -> Iterator[str]:
    """One rectangle for neighbours of one colour in a row."""
    num_columns, num_levels = weight_CL.shape
    for level in range(num_levels):
        top, bottom = (_number(_y(level + half, num_levels)) for half in (0.5, -0.5))
        column = 0
        for colour, same in groupby(_colour(weight, greatest) for weight in weight_CL[:, level]):
            end = column + len(list(same))
            left, right = (_number(edge / num_columns * WIDTH) for edge in (column, end))
            if colour is not None:
                yield f'<path d="M{left} {top}H{right}V{bottom}H{left}Z" fill="{colour}"/>'
            column = end


def _scale(weights: WeightMap) -> Iterator[str]:
    """The colours and what they mean, right of the field."""
    greatest = weights.greatest
    lowest = -greatest if bool(np.nanmin(weights.weight_EL) < 0) else 0.0
    left = WIDTH + BAR_GAP
    yield '<g shape-rendering="crispEdges">'
    for step in range(BAR_STEPS):
        value = lowest + (step + 0.5) / BAR_STEPS * (greatest - lowest)
        top, bottom = (_number(HEIGHT * (1 - edge / BAR_STEPS)) for edge in (step + 1, step))
        yield f'<path d="M{left} {top}h{BAR_WIDTH}V{bottom}h-{BAR_WIDTH}Z" fill="{_colour(value, greatest)}"/>'
    yield "</g>"
    yield f'<rect x="{left}" width="{BAR_WIDTH}" height="{HEIGHT}" fill="none" stroke="#333"/>'
    for share in (0.0, 0.5, 1.0):
        y = _number(HEIGHT * (1 - share))
        value = lowest + share * (greatest - lowest)
        yield f'<text x="{left + BAR_WIDTH + 4}" y="{y}" dy="0.35em">{value:.2g}</text>'
    yield f'<text x="{left + BAR_WIDTH + 26}" y="-12" text-anchor="end">{weights.meaning}</text>'


def _legend(top: float) -> Iterator[str]:
    middle = top + LEGEND / 2
    for x, style, meaning in ((LEFT, CHOSEN, "chosen, mean of the runs"), (LEFT + 190, BEST, "best trained (D3)")):
        yield f'<path d="M{x} {middle:g}h30" fill="none" {style}/>'
        yield f'<text x="{x + 37}" y="{middle:g}" dy="0.35em">{meaning}</text>'


def _y(level: float, num_levels: int) -> float:
    """The middle of a level's row: level 0 is at the bottom."""
    return HEIGHT * (1 - (level + 0.5) / num_levels)


def _colour(weight: float, greatest: float) -> str | None:
    """From light for 0 to dark for the greatest size."""
    if math.isnan(weight):
        return None
    share = min(abs(weight) / greatest, 1.0) if greatest else 0.0
    light, middle, dark = NEGATIVE if weight < 0 else POSITIVE
    begin, end, part = (light, middle, 2 * share) if share < 0.5 else (middle, dark, 2 * share - 1)
    red, green, blue = (round(a + part * (b - a)) for a, b in zip(begin, end, strict=True))
    return f"#{red:02x}{green:02x}{blue:02x}"


def _ticks(first: int, last: int) -> range:
    """Few whole numbers at equal steps of 1, 2, 5, 10, ..., from the first one on."""
    step = next(
        step
        for power in range(10)
        for step in (10**power, 2 * 10**power, 5 * 10**power)
        if (last - first) // step < MOST_TICKS
    )
    return range(first if first == 0 or step == 1 else step, last + 1, step)


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
