"""Do networks that halt think longer about longer parities?

    python benchmarks/halting_parity.py [--lengths 4 6 8 10] [--seeds 3] [--rules ponder act] [--output FILE.json]

For every length, rule and seed, one trial of the worker: the relaxation `halting` over a tied chain of residual blocks,
on the task `parity` with 1 to `length` elements that are not zero. Prints, as the mean over seeds with the least and
the greatest: the mean halting step and the accuracy on training vectors, which say what it takes to compute what was
learned; the same on held-out vectors, of which short parities are too few to learn the rule from; and the mean step by
number of elements. What is in the output file is not measured again, so that a run that was stopped goes on.

The known result is PonderNet's (Banino et al., 2021, section 3.1): harder parities take more steps. It needs a prior
that makes steps dear: with lambda_p 0.2 and beta 0.01 a step costs 0.002 nats, and then short vectors halt later than
long ones, since they are learned first, at a late step, and nothing moves them. And it needs a parity that is learned:
as long as a network guesses what is hard, it stops there at once.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from statistics import mean
from typing import Any

import torch
from as_markdown import head, row
from machine import describe_machine
from trained import train_supernet

from search_spaces.relaxations.act import act
from search_spaces.relaxations.halting import HaltingNetwork
from search_spaces.relaxations.ponder import log_stops
from workers.tasks import make_task
from workers.training import Training

SPACE = {
    "family": "mlp",
    "depth": {"min": 1, "max": 8},
    "width": 32,
    "ops": ["residual"],
    "block_width": 16,
    "tied": True,
}
"""Small blocks: one application of a wide one solves all of these lengths."""
RULES: dict[str, dict[str, Any]] = {
    "ponder": {"name": "halting", "rule": "ponder", "beta": 0.05, "lambda_p": 0.6},
    "act": {"name": "halting", "rule": "act", "tau": 0.02},
}
TRAINING = Training(epochs=72, batch_size=128, learning_rate=0.005, clip_norm=1.0)


def measure(length: int, rule: str, seed: int) -> dict[str, Any]:
    """One training: mean steps and accuracies, and the mean step by number of elements, from 1."""
    task = {"name": "workers.tasks.parity:Parity", "length": length, "train_size": 8192, "validation_size": 2048}
    network, measured = train_supernet(RULES[rule], space=SPACE, task=task, training=TRAINING, seed=seed)
    assert isinstance(network, HaltingNetwork)
    data = make_task(task).load()
    step_N, num_elements_N = mean_steps(network, data.train.x), (data.train.x != 0).sum(dim=1)
    with torch.no_grad():
        correct_N = network(data.train.x).argmax(dim=1) == data.train.y
    return {
        "steps": step_N.mean().item(),
        "accuracy": correct_N.float().mean().item(),
        "held_out_steps": sum(level * share for level, share in enumerate(measured.profile)),
        "held_out_accuracy": measured.metrics["val_accuracy"],
        "derived": measured.derived[0].depth,
        "by_elements": [step_N[num_elements_N == count].mean().item() for count in range(1, length + 1)],
    }


@torch.no_grad()
def mean_steps(network: HaltingNetwork, x_N: torch.Tensor) -> torch.Tensor:
    """The mean halting step `[N]` of every input."""
    logits_NM = network.eval().halting_logits(network.chain.hidden_states(x_N)[1:])
    if network.options.rule == "ponder":
        stops_NL = log_stops(logits_NM).exp()
    else:
        stops_NL = act(logits_NM.sigmoid(), network.options.epsilon).stops_BL
    return stops_NL @ torch.arange(1.0, stops_NL.shape[1] + 1)


def summary(figures: list[float]) -> str:
    return f"{mean(figures):.2f} ({min(figures):.2f}, {max(figures):.2f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lengths", type=int, nargs="+", default=[4, 6, 8, 10])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rules", nargs="+", choices=RULES, default=list(RULES))
    parser.add_argument("--output", type=Path, default=Path("halting_parity.json"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    done: dict[str, Any] = json.loads(arguments.output.read_text()) if arguments.output.exists() else {}
    print(describe_machine())
    print(f"Seeds 0 to {arguments.seeds - 1}: mean (least, greatest)\n")
    head("rule", "length", "step", "accuracy", "held out: step", "accuracy", "derived", "step by number of elements")
    for rule in arguments.rules:
        for length in arguments.lengths:
            found = []
            for seed in range(arguments.seeds):
                key = f"{rule} {length} {seed}"
                if key not in done:
                    done[key] = measure(length, rule, seed)
                    done["machine"] = describe_machine()
                    arguments.output.write_text(json.dumps(done, indent=1))
                found.append(done[key])
            names = ("steps", "accuracy", "held_out_steps", "held_out_accuracy")
            by_elements = zip(*(one["by_elements"] for one in found), strict=True)
            cells = [rule, str(length), *(summary([one[name] for one in found]) for name in names)]
            cells.append(", ".join(str(one["derived"]) for one in found))
            cells.append(" ".join(f"{mean(of_number):.2f}" for of_number in by_elements))
            row(*cells)


if __name__ == "__main__":
    main()
