"""The methods on tables of thousands of trained networks, against published figures.

    python benchmarks/tabular.py [--runs 500] [--only published better macro speed scale]

Needs `nasbench201_cifar10.npz` and `nasbench_macro.npz` in the folder NAS_DATA (default ../shared/data); what their
columns mean is in examples/tables. Everything goes through study, ledger and an SQLite store. Prints Markdown.
"""

from __future__ import annotations

import argparse
import resource
from collections.abc import Iterable, Sequence
from typing import Any

from as_markdown import head, row
from machine import describe_machine
from simulated import Result, run_method, spread, table_space

from search_spaces.compose import answer
from search_spaces.families import make_space
from search_spaces.tabular import Tabular

Point = dict[str, str]

AGING = {"method": "evolution", "population": 10, "tournament": 3, "redraw": False}
"""As in the code of NAS-Bench-201."""
BLOCKS = ("mb3_k3", "mb6_k5")
NUM_LAYERS = 8
COARSE = (0, 8, 4, 2, 6)
"""Depths in the order of `coarse_to_fine`, up to quarters."""
CAPS = (60_000_000, 70_000_000)


def main() -> None:
    sections = {"published": published, "better": better, "macro": macro, "caps": caps, "speed": speed, "scale": scale}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--only", nargs="+", choices=list(sections), default=list(sections))
    arguments = parser.parse_args()
    print(describe_machine())
    for name in arguments.only:
        sections[name](arguments.runs)


def published(runs: int) -> None:
    """The protocol of NAS-Bench-201: a repeated cell is paid for again."""
    figures = {"random": 93.70, "reinforce": 93.85, "evolution": 93.92}
    print(f"\n### Published figures: NAS-Bench-201, CIFAR-10, 12,000 simulated seconds, {runs} runs\n")
    head("method", "published", "mean ± deviation (95 % interval)", "difference", "must be")
    for label, method in {"random": "random", "evolution": AGING, "reinforce": "reinforce"}.items():
        truth = nb201(method, runs).truth[12_000]
        row(label, f"{figures[label]:.2f}", spread(truth), f"{truth.mean() - figures[label]:+.2f}", "within 0.10")


def better(runs: int) -> None:
    """One method with one set of hyperparameters, along one trajectory."""
    bars = {3_000: 93.65, 6_000: 94.15, 12_000: 94.35}
    print(f"\n### Better than published: the same protocol, {runs} runs\n")
    head("method", *(f"{at:,} s (must be ≥ {bar})" for at, bar in bars.items()), "ms per proposal (≤ 5)")
    result = nb201("predictor", runs, budgets=tuple(bars))
    row("predictor", *(spread(result.truth[at]) for at in bars), f"{result.ms_per_proposal:.1f}")


def macro(runs: int) -> None:
    """The depth grid of NAS-Bench-Macro has 17 points: 0 to 8 blocks of one of two types, filled from the front."""
    budget = sum(flops(depth_grid()))
    slice_ = {"grid": {"listed": depth_grid(COARSE)}, "top": len(depth_grid(COARSE))}
    methods: dict[str, Any] = {
        "grid, filled from the front": {"method": "grid", "listed": depth_grid()},
        "grid, filled from the back": {"method": "grid", "listed": depth_grid(back=True)},
        "random": "random",
        "evolution": {"method": "evolution", "population": 6, "tournament": 3},
        "predictor": "predictor",
        "predictor, by main effects": {"method": "predictor", "recommend_by": "main_effects"},
        "evolution, seeded": {"method": "evolution", "population": 6, "tournament": 3, "start_from": slice_},
        "predictor, seeded": {"method": "predictor", "start_from": slice_},
    }
    print(f"\n### NAS-Bench-Macro at the compute of its depth grid and at three times that, {runs} runs\n")
    print(f"Seeded: the first {slice_['top']} of the 17 points, depths {', '.join(map(str, COARSE))}.\n")
    head("method", *(f"{times * budget / 1e6:,.0f} MFLOPs" for times in (1, 3)))
    for label, method in methods.items():
        num = 1 if label.startswith("grid") else runs
        row(label, *(spread(nbmacro(method, num, times * budget).truth[times * budget]) for times in (1, 3)))


def caps(runs: int) -> None:
    """Networks above a cap are no points of the space; the budget is the compute of the grid's points within it."""
    print(f"\n### NAS-Bench-Macro under a cap on the FLOPs of a network, {runs} runs\n")
    head("cap", "budget: that of", "grid, front", "grid, back", "random", "evolution", "predictor")
    for cap in CAPS:
        grids = {fill: within(depth_grid(back=fill == "back"), cap) for fill in ("front", "back")}
        for fill, points in grids.items():
            budget = sum(flops(points))
            of_grids = [grid_alone(listed, cap) for listed in grids.values()]
            methods = ("random", {"method": "evolution", "population": 6, "tournament": 3}, "predictor")
            others = [spread(nbmacro(one, runs, budget, max_inference_flops=cap).truth[budget]) for one in methods]
            row(f"{cap / 1e6:.0f} M", f"{fill}, {budget / 1e6:,.0f} MFLOPs", *of_grids, *others)


def speed(_: int) -> None:
    """Evaluations per second through study, ledger and store."""
    print("\n### Speed\n")
    head("what", "look-ups", "seconds", "look-ups/s: median (min, max) of 5", "must be")
    for label, method in {"random, 100 runs": "random", "evolution, 100 runs": AGING}.items():
        results = [nb201(method, 100) for _ in range(5)]
        rates = sorted(one.num_trials / one.seconds for one in results)
        median = f"{rates[2]:,.0f} ({rates[0]:,.0f}, {rates[-1]:,.0f})"
        row(label, f"{results[0].num_trials:,}", f"{results[0].seconds:.1f}", median, "≥ 5,000/s")
    whole = nb201("random", 500)
    rate = f"{whole.num_trials / whole.seconds:,.0f}"
    row("random, 500 runs of 12,000 s", f"{whole.num_trials:,}", f"{whole.seconds:.1f}", rate, "≤ 30 s")


def scale(_: int) -> None:
    """A million look-ups by a thousand simulated workers."""
    print("\n### Scale: one run of 1,000 workers\n")
    head("look-ups", "microseconds each", "peak memory")
    small, large = (nb201("random", 1, budgets=(seconds,), workers=1_000) for seconds in (1_100_000, 110_500_000))
    each = [1e6 * one.seconds / one.num_trials for one in (small, large)]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    row(f"{small.num_trials:,}", f"{each[0]:.0f}", "")
    row(f"{large.num_trials:,}", f"{each[1]:.0f}: {each[1] / each[0]:.2f} x, must be ≤ 1.5", f"{peak:.2f} GiB, < 2")


def nb201(method: object, runs: int, *, budgets: Sequence[float] = (12_000,), workers: int = 1) -> Result:
    space = table_space("nasbench201_cifar10.npz", "nasbench201.yaml")
    return run_method(space, method, unit="device_seconds", budgets=budgets, runs=runs, epochs=12, workers=workers)


def nbmacro(method: object, runs: int, budget: int, **limits: int) -> Result:
    space = table_space("nasbench_macro.npz", "nasbench_macro.yaml", **limits)
    return run_method(space, method, unit="flops", budgets=(budget,), runs=runs, epochs=1)


def depth_grid(depths: Iterable[int] = range(NUM_LAYERS + 1), *, back: bool = False) -> list[Point]:
    """Networks of one block type at every depth; the layers that they do not fill are identities."""
    points: list[Point] = []
    for depth in depths:
        layers = range(NUM_LAYERS - depth, NUM_LAYERS) if back else range(depth)
        for block in BLOCKS if depth else BLOCKS[:1]:
            points += [{f"layer{layer + 1}": block for layer in layers}]
    return points


def flops(points: Iterable[Point]) -> list[int]:
    space = make_space(table_space("nasbench_macro.npz", "nasbench_macro.yaml"), input_shape=(), num_classes=0)
    assert isinstance(space, Tabular)
    sizes = [space.footprint(answer(space, point, partial=True)).inference_flops for point in points]
    return [size or 0 for size in sizes]


def within(points: Sequence[Point], cap: int) -> list[Point]:
    return [point for point, size in zip(points, flops(points), strict=True) if size <= cap]


def grid_alone(points: Sequence[Point], cap: int) -> str:
    budget = sum(flops(points))
    return spread(nbmacro({"method": "grid", "listed": points}, 1, budget, max_inference_flops=cap).truth[budget])


if __name__ == "__main__":
    main()
