"""Depth chosen together with the operation of every block: the grid, and methods that learn, at parts of its compute.

    python benchmarks/joint_depth.py [--runs 100]

The space is NAS-Bench-Macro (`nasbench_macro.npz` in the folder NAS_DATA, default ../shared/data): 8 layers, each of
which is one of two blocks or nothing, 6,561 networks that were really trained. A search sees the first of three
trainings and pays a network's FLOPs; what it chose is worth the mean of the other two. Prints Markdown.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

import numpy as np
from as_markdown import head, row
from machine import describe_machine
from numpy.typing import NDArray
from simulated import run_method, table_space

from nas.statistics.improvement import probability_of_improvement
from search_spaces.families import make_space
from search_spaces.tabular import Tabular

SHARES = (0.001, 0.0025, 0.01, 0.1, 0.25, 0.5, 1.0)
GRIDS: Mapping[str, Any] = {
    "grid, ascending": "grid",
    "grid, coarse to fine": {"method": "grid", "order": "coarse_to_fine"},
    "grid, shuffled": {"method": "grid", "order": "shuffled"},
}
LEARNED: Mapping[str, Any] = {
    "random": "random",
    "evolution": {"method": "evolution", "population": 20, "tournament": 5},
    "reinforce": "reinforce",
    "local search": "local_search",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=100)
    runs = parser.parse_args().runs
    print(describe_machine())
    options = table_space("nasbench_macro.npz", "nasbench_macro.yaml")
    space = make_space(options, input_shape=(), num_classes=0)
    assert isinstance(space, Tabular)
    flops_N = space.content.fidelities[1].flops_N
    assert flops_N is not None
    whole = int(flops_N.sum())
    budgets = {share: int(share * whole) for share in SHARES}

    def play(method: object, num_runs: int) -> dict[float, NDArray[np.float64]]:
        found = run_method(
            options, method, unit="flops", budgets=tuple(budgets.values()), runs=num_runs, epochs=1
        ).truth
        return {share: found[budget] for share, budget in budgets.items()}

    print(f"\n### {len(flops_N):,} networks, {whole / 1e9:,.0f} GFLOPs in all, {runs} runs\n")
    head("method", *(f"{100 * share:g} %" for share in SHARES))
    grids = {}
    for label, method in GRIDS.items():
        grids[label] = play(method, runs if "shuffled" in label else 1)
        row(label, *(f"{values.mean():.2f} ± {values.std():.2f}" for values in grids[label].values()))
    best = {share: max(grids.values(), key=lambda of_grid: of_grid[share].mean())[share] for share in SHARES}
    for label, method in LEARNED.items():
        found = play(method, runs)
        row(label, *(f"{found[at].mean():.2f} ± {found[at].std():.2f} / {won(found[at], best[at])}" for at in SHARES))
    print("\nAfter the slash: the probability that a run beats one of the best grid.")


def won(found: NDArray[np.float64], against: NDArray[np.float64]) -> str:
    return f"{probability_of_improvement([found.tolist()], [against.tolist()]).value:.2f}"


if __name__ == "__main__":
    main()
