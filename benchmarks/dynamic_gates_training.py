"""One training of a chain whose inputs skip blocks, or of the static one, and what it does on validation and test data.

All networks of a comparison may be trained for the FLOPs of the static chain over so many epochs, validation included,
as nearly as whole epochs allow; pre-training, policy training and fine-tuning are all counted, each step by what it
computes in its stage. Easy and hard inputs are told apart by the static chain of the same seed.
Shapes: B batch, M inputs, N blocks that can be skipped, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
import trained as service
from depth_tasks import FASHION, images
from torch import Tensor, nn

from controllers.supernets import supernet_proposal
from controllers.trial import Proposal
from search_spaces import make_space
from search_spaces.compose import answer
from search_spaces.dynamic.hard_gates import hard
from search_spaces.dynamic.skipping import executed_flops
from search_spaces.flops import count_flops, inference_flops, level_flops
from search_spaces.relaxations.blockdrop import BlockDropNetwork
from search_spaces.relaxations.skipnet import SkipNetwork
from workers.build import build_network
from workers.evaluate import BATCH_SIZE
from workers.recipes import make_recipe
from workers.recipes.stages import Timetable
from workers.tasks import SearchData, Split, make_task
from workers.training import Training

_SPLITS = {"validation_size": 2000, "test_size": 3000}
MNIST = images("mnist63k.npz", 9000, **_SPLITS)
FASHION_MNIST = images("fashion_mnist_train_a.npz", 9000, **FASHION, **_SPLITS)
"""9,000 training images, more than elsewhere, for fewer epochs: policies are rewarded on them, and a network that knows
all of them by heart finds none hard."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What all networks of a table have in common."""

    task: Mapping[str, Any]
    epochs: int
    """Of the static chain, whose validation accuracy hardly grows after 6 to 8 of them."""


COMPARISONS: Mapping[str, Comparison] = {
    "MNIST, 12 epochs": Comparison(task=MNIST, epochs=12),
    "MNIST, 20 epochs": Comparison(task=MNIST, epochs=20),
    "Fashion-MNIST, 20 epochs": Comparison(task=FASHION_MNIST, epochs=20),
}
DEPTH = 10
CHAIN: Mapping[str, Any] = {
    "family": "resnet",
    "stages": [{"depth": {"min": 1, "max": DEPTH}, "width": 16, "stride": 2}],
    "ops": ["basic"],
}
"""The first block halves the image, and has no gate, as in SkipNet's paper: nine can be skipped."""
TRAINING = Training(batch_size=64)
FULL = "static-10"
SKIPNET: Mapping[str, Any] = {
    "name": "skipnet",
    **{"plain_share": 0.25, "supervised_share": 0.2, "settled_share": 0.45, "supervised_gate": "gumbel", "alpha": 0.35},
    **{"gate_learning_rate": 0.3, "reinforcement_learning_rate": 0.5},
}
EAGER: Mapping[str, Any] = {**SKIPNET, "alpha": 0.45}
NETWORKS: Mapping[str, Mapping[str, Any]] = {
    FULL: {},
    "skipnet-recurrent": SKIPNET,
    "blockdrop": {"name": "blockdrop", "joint_penalty": 0.75},
    "skipnet-ff1": {**SKIPNET, "gate": "ff1"},
    "skipnet-ff2": {**SKIPNET, "gate": "ff2"},
    "skipnet-soft": {"name": "skipnet", "supervised_gate": "soft", "supervised_share": 1.0},
    "skipnet-reinforce": {"name": "skipnet", "supervised_share": 0.0},
    "skipnet-paper": {"name": "skipnet"},
    "skipnet-eager": EAGER,
    "blockdrop-eager": {"name": "blockdrop", "joint_penalty": 0.5},
}
"""Relaxations of the chain. `soft` and `reinforce` are the paper's controls: soft gates in training and hard ones in
use, and policy gradient from scratch; `paper` has the paper's stages; what is eager is paid more for skipping."""
FEWER, MORE = 4, 1
"""Epochs than the static chain's, among which those that come nearest to its FLOPs are looked for."""
QUARTERS = 4


@dataclass(frozen=True, kw_only=True)
class Line:
    """A trained network."""

    comparison: str
    network: str
    seed: int
    epochs: int
    training_share: float
    """FLOPs that were charged, as a share of those that every network may be trained for."""
    val_accuracy: float
    test_accuracy: float
    soft_test_accuracy: float | None = None
    """With the probabilities of the gates in their place."""
    test_flops: float
    """Mean per input as a share of the static chain, gates or policy network included."""
    decision_flops: float
    """Those of gates or policy network alone, as the same share."""
    dropped: float
    """Share of all blocks, the first included, that is skipped, mean over test inputs."""
    policies: int
    """Distinct ones on test inputs."""
    hardest: float
    """FLOPs of the quarter of the test inputs of which the static chain is least sure, as the same share."""
    harder: float
    easier: float
    easiest: float
    wrong: float
    """FLOPs of the test inputs that the static chain gets wrong."""
    right: float


def measured(comparison: str, name: str, seed: int) -> Line:
    """Train a network, and measure it."""
    network, epochs, share = trained(comparison, name, seed)
    data, test = loaded(comparison)
    full = inference_flops(network.chain if name != FULL else network, data.input_shape)
    with torch.no_grad():
        y_MK, g_MN, deciding = passed(network, test)
        flops_M = (deciding + _chain_flops(network, data.input_shape, g_MN)) / full
        soft = _soft_accuracy(network, test) if isinstance(network, SkipNetwork) else None
    sure_M, right_M = difficulty(comparison, seed)
    by_sureness = [flops_M[rows].mean().item() for rows in sure_M.argsort().chunk(QUARTERS)]
    return Line(
        comparison=comparison,
        network=name,
        seed=seed,
        epochs=epochs,
        training_share=share,
        val_accuracy=_accuracy(passed(network, data.validation)[0], data.validation),
        test_accuracy=_accuracy(y_MK, test),
        soft_test_accuracy=soft,
        test_flops=flops_M.mean().item(),
        decision_flops=deciding / full,
        dropped=(1 - g_MN).sum(dim=1).mean().item() / DEPTH,
        policies=len(g_MN.unique(dim=0)),
        **dict(zip(("hardest", "harder", "easier", "easiest"), by_sureness, strict=True)),
        wrong=flops_M[~right_M].mean().item(),
        right=flops_M[right_M].mean().item(),
    )


@cache
def loaded(comparison: str) -> tuple[SearchData, Split]:
    """Training and validation data, and test data."""
    made = make_task(COMPARISONS[comparison].task)
    return made.load(), made.load_test()


@cache
def difficulty(comparison: str, seed: int) -> tuple[Tensor, Tensor]:
    """How sure the static chain of this seed is of each test input, `[M]`, and whether it is right."""
    _, test = loaded(comparison)
    y_MK = passed(trained(comparison, FULL, seed)[0], test)[0]
    return y_MK.softmax(dim=1).amax(dim=1), y_MK.argmax(dim=1) == test.y


@cache
def trained(comparison: str, name: str, seed: int) -> tuple[nn.Module, int, float]:
    """The network in evaluation mode, its epochs, and the share of the FLOPs that it may be trained for."""
    data, _ = loaded(comparison)
    of_static = COMPARISONS[comparison].epochs
    space = make_space(CHAIN, input_shape=data.input_shape, num_classes=data.num_classes)
    budget = training_flops(_proposal(space, FULL), space, data, of_static)
    proposal = _proposal(space, name)
    tried = range(of_static - FEWER, of_static + MORE + 1)
    costs = {epochs: training_flops(proposal, space, data, epochs) for epochs in tried}
    epochs = min(costs, key=lambda number: abs(costs[number] - budget))
    network, _ = service.train(
        proposal,
        space=CHAIN,
        task=COMPARISONS[comparison].task,
        training=TRAINING,
        epochs=epochs,
        seed=seed,
    )
    return network, epochs, costs[epochs] / budget


def training_flops(proposal: Proposal, space: Any, data: SearchData, epochs: int) -> int:
    """Of all steps of a training, each stage by what it computes, and of its validation passes."""
    network = build_network(proposal, space, seed=0)
    steps = len(data.train) // TRAINING.batch_size
    recipe = make_recipe(proposal.recipe, network, proposal.recipe_options, training=TRAINING, num_steps=epochs * steps)
    timetable = Timetable.of(network, num_steps=epochs * steps)
    (phase,) = recipe.phases(0)
    sample = Split(x=data.train.x[: TRAINING.batch_size], y=data.train.y[: TRAINING.batch_size])
    spent = 0
    for stage in sorted({timetable.stage_at(step) for step in range(epochs * steps)}):
        if hasattr(network, "begin_stage"):
            network.begin_stage(stage)
        network.train()
        spent += timetable.length(stage) * count_flops(lambda: phase.step(sample, sample))
    return spent + epochs * len(data.validation) * inference_flops(network, data.input_shape)


def passed(network: nn.Module, split: Split) -> tuple[Tensor, Tensor, int]:
    """Logits `y_MK`, gates `g_MN`, and the FLOPs of whatever decides on them for one input."""
    logits, gates, deciding = [], [], 0
    with torch.no_grad():
        for x_B in split.x.split(BATCH_SIZE):
            if isinstance(network, BlockDropNetwork):
                gates.append(network.decide(network.scores(x_B)))
                logits.append(network.run(x_B, gates[-1]))
            elif isinstance(network, SkipNetwork):
                y_BK, _, g_BN = network.walk(x_B, hard)
                logits.append(y_BK)
                gates.append(g_BN)
            else:
                logits.append(network(x_B))
                gates.append(torch.ones(len(x_B), DEPTH - 1))
    shape = tuple(split.x.shape[1:])
    if isinstance(network, BlockDropNetwork):
        deciding = inference_flops(network.policy, shape)
    elif isinstance(network, SkipNetwork):
        deciding = inference_flops(network, shape) - inference_flops(network.chain, shape)
    return torch.cat(logits), torch.cat(gates), deciding


def _chain_flops(network: nn.Module, shape: tuple[int, ...], g_MN: Tensor) -> Tensor:
    if isinstance(network, BlockDropNetwork | SkipNetwork):
        return executed_flops(level_flops(network.chain, shape), network.blocks, g_MN).double()
    return torch.full((len(g_MN),), float(inference_flops(network, shape)), dtype=torch.float64)


def _soft_accuracy(network: SkipNetwork, split: Split) -> float:
    with torch.no_grad():
        batches = [network.walk(x_B, torch.sigmoid)[0] for x_B in split.x.split(BATCH_SIZE)]
    return _accuracy(torch.cat(batches), split)


def _proposal(space: Any, name: str) -> Proposal:
    if name == FULL:
        return Proposal(architecture=answer(space, {"stage1.depth": DEPTH}, partial=True))
    return supernet_proposal(NETWORKS[name])


def _accuracy(y_MK: Tensor, split: Split) -> float:
    return (y_MK.argmax(dim=1) == split.y).double().mean().item()
