"""Is compute that is left out also time that is left out? Compacted execution against the full network, on a clock.

Run by `python benchmarks/dynamic.py clock`. A chain of residual convolutional blocks with fresh weights: what they say
does not change how long they take. Its inputs skip blocks by random policies, or leave at exits by thresholds that let
a share of the inputs leave early, the same number at each exit. A batch of 256 outgrows the cache, so that whatever
makes it smaller is faster than its FLOPs say; in batches of 16 it does not. Full network and all variants are timed in
turns, and a speed-up is the median over turns of the ratio within one.
Shapes: B batch, N skippable blocks.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median

import torch
from as_markdown import head, row
from torch import Tensor

from search_spaces import make_space
from search_spaces.chain import Chain
from search_spaces.dynamic.conditional import run_compacted, run_masked
from search_spaces.dynamic.exit_rules import ExitRule, confidence, quantile_thresholds
from search_spaces.dynamic.operating_point import exit_flops
from search_spaces.dynamic.skipping import compacted, executed_flops, given, masked, skippable, walk
from search_spaces.flops import level_flops
from search_spaces.relaxations import make_relaxation
from search_spaces.relaxations.exit_network import ExitNetwork

INPUT_SHAPE = (1, 28, 28)
EXITS = (2, 4, 6, 8, 10)
SHARES = (0.3, 0.5, 0.7)
NUM_INPUTS = 256
NUM_SINGLES = 32
"""Inputs that are run one by one in every turn."""
LEAST_SHARE = 0.75
"""Of the FLOPs ratio that a speed-up must reach."""
CLOSE = 1e-5
MARGIN = 1e-6
"""Below a threshold that an input meets exactly: alone, it is rounded differently than in a batch."""

Run = Callable[[Tensor], Tensor]
"""Inputs to logits `y_BK`."""


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A way to leave something out."""

    label: str
    run: Callable[[Tensor, Sequence[int]], Tensor]
    """Inputs, and which of all they are, to logits."""
    reference: Tensor
    """Logits of all inputs by the pass that computes everything."""
    flops_B: Tensor
    """Of each input."""


def clock(*, width: int, turns: int, batch_sizes: Sequence[int]) -> None:
    """Print the table."""
    torch.manual_seed(0)
    options = {"family": "resnet", "depth": {"min": 1, "max": EXITS[-1]}, "width": width, "ops": ["basic"]}
    space = make_space(options, input_shape=INPUT_SHAPE, num_classes=10)
    network = make_relaxation({"name": "multi_exit", "exits": EXITS}).supernet(space).eval()
    assert isinstance(network, ExitNetwork)
    chain = Chain(network.chain.stem, list(network.chain.blocks), network.heads[str(EXITS[-1])]).eval()
    x_B = torch.randn(NUM_INPUTS, *INPUT_SHAPE)
    full = sum(level_flops(chain, INPUT_SHAPE))
    print(f"Width {width}, {full / 1e6:.0f} MFLOPs per input; median of {turns} turns (least, greatest)\n")
    head(
        "batch", "what is left out", "FLOPs ratio", "speed-up", "speed-up / FLOPs ratio", f">= {LEAST_SHARE:g}", "error"
    )
    with torch.no_grad():
        variants = [*_policies(chain, x_B), *_thresholds(network, x_B)]
        for size in batch_sizes:
            seen = range(NUM_SINGLES if size == 1 else NUM_INPUTS)
            rows = [list(seen[start : start + size]) for start in range(0, len(seen), size)]
            _compare(chain, variants, x_B, rows, full=full, turns=turns)


def _policies(chain: Chain, x_B: Tensor) -> Iterator[Variant]:
    blocks, levels = skippable(chain, INPUT_SHAPE), level_flops(chain, INPUT_SHAPE)
    for share in SHARES:
        policy_BN = (torch.rand(len(x_B), len(blocks)) >= share).float()

        def run(x_B: Tensor, which: Sequence[int], policy_BN: Tensor = policy_BN) -> Tensor:
            return walk(chain, x_B, given(policy_BN[which]), blocks=blocks, step=compacted)[0]

        yield Variant(
            label=f"{100 * share:.0f} % of the blocks",
            run=run,
            reference=walk(chain, x_B, given(policy_BN), blocks=blocks, step=masked)[0],
            flops_B=executed_flops(levels, blocks, policy_BN),
        )


def _thresholds(network: ExitNetwork, x_B: Tensor) -> Iterator[Variant]:
    confidence_EB = confidence(torch.stack(network.exit_logits(x_B)))
    flops_E = torch.tensor(exit_flops(network, INPUT_SHAPE))
    early = len(EXITS) - 1
    for share in SHARES:
        thresholds = quantile_thresholds(confidence_EB, (*[share / early] * early, 1 - share))
        rule = ExitRule(kind="confidence", thresholds=tuple(one - MARGIN for one in thresholds))

        def run(x_B: Tensor, _: Sequence[int], rule: ExitRule = rule) -> Tensor:
            return run_compacted(network, x_B, rule).logits

        answers = run_masked(network, x_B, rule)
        yield Variant(
            label=f"{100 * share:.0f} % leave early",
            run=run,
            reference=answers.logits,
            flops_B=flops_E[answers.exits],
        )


def _compare(
    chain: Chain, variants: Sequence[Variant], x_B: Tensor, rows: Sequence[list[int]], *, full: int, turns: int
) -> None:
    batches = [(x_B[which], which) for which in rows]
    seen = [number for which in rows for number in which]
    speedups: list[list[float]] = [[] for _ in variants]
    errors = [0.0 for _ in variants]
    chain(batches[0][0])  # the first run of anything is slow
    for _ in range(turns):
        started = time.perf_counter()
        for x_b, _ in batches:
            chain(x_b)
        full_s = time.perf_counter() - started
        for number, variant in enumerate(variants):
            started = time.perf_counter()
            outputs = [variant.run(x_b, which) for x_b, which in batches]
            speedups[number].append(full_s / (time.perf_counter() - started))
            errors[number] = (torch.cat(outputs) - variant.reference[seen]).abs().max().item()
    for variant, of_turns, error in zip(variants, speedups, errors, strict=True):
        ratio = full / variant.flops_B[seen].double().mean().item()
        reached = median(of_turns) / ratio
        spread = f"{median(of_turns):.2f} ({min(of_turns):.2f}, {max(of_turns):.2f})"
        holds = "yes" if reached >= LEAST_SHARE and error <= CLOSE and math.isfinite(error) else "no"
        row(str(len(rows[0])), variant.label, f"{ratio:.2f}", spread, f"{reached:.2f}", holds, f"{error:.0e}")
