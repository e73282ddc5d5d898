"""Draws the curves that it reads from standard input as JSON into the SVG file that it is given. Needs matplotlib."""

from __future__ import annotations

import json
import sys

import matplotlib as mpl

mpl.use("svg")
from matplotlib import pyplot as plt

LOWEST, HIGHEST = 92.6, 94.45
LABEL_GAP = 0.062
"""Least distance between two labels, in percent."""
OPTIMUM = 94.37
COLOURS = {"nas": "#d62728", "optuna": "#1f77b4", "nni": "#2ca02c", "syne-tune": "#9467bd"}
STYLES = ["-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2)), (0, (1, 1))]


def main() -> None:
    curves = json.load(sys.stdin)
    plt.rcParams.update({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False})
    plt.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "peers"})  # text as text; the same file every time
    figure, axes = plt.subplots(figsize=(9.5, 6.5), layout="constrained")
    axes.axhline(OPTIMUM, color="0.6", linewidth=0.8)
    axes.text(650, OPTIMUM + 0.015, "best of the table, 94.37", color="0.4")
    seen: dict[str, int] = {}
    curves.sort(key=lambda curve: curve["accuracy"][-1])
    ends = [max(curve["accuracy"][-1], LOWEST) for curve in curves]
    for curve, end, label_y in zip(curves, ends, spread(ends), strict=True):
        package, colour = curve["package"], COLOURS.get(curve["package"].split()[0], "0.3")
        style = STYLES[seen.get(package, 0) % len(STYLES)]
        seen[package] = seen.get(package, 0) + 1
        width = 2.0 if package == "nas" else 1.2
        axes.plot(curve["seconds"], curve["accuracy"], color=colour, linestyle=style, linewidth=width)
        name = f"{curve['method']} ({package})"
        axes.annotate(
            name,
            (12_000, end),
            (12_500, label_y),
            color=colour,
            va="center",
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "relpos": (0, 0.5), "color": colour, "linewidth": 0.5, "linestyle": style},
        )
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.set(xlim=(600, 12_000), ylim=(LOWEST, HIGHEST), xlabel="simulated seconds", ylabel="mean test accuracy, %")
    axes.grid(alpha=0.3)
    figure.savefig(sys.argv[1], metadata={"Date": None})


def spread(ends: list[float]) -> list[float]:
    """Heights for the labels of curves that end at these ascending heights: as near as the gap between them allows."""
    heights: list[float] = []
    for end in ends:
        heights.append(max(end, heights[-1] + LABEL_GAP) if heights else end)
    for index in range(1, len(heights) + 1):
        heights[-index] = min(heights[-index], HIGHEST - (index - 1) * LABEL_GAP)
    return heights


if __name__ == "__main__":
    main()
