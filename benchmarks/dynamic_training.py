"""One training of a network that chooses its depth per input, or of a static one, and what it gives at every setting.

Thresholds and temperatures come from validation data alone; test data say what they give. All networks of a setting
are trained for the FLOPs of the full static chain over its epochs, as nearly as whole epochs allow.
Shapes: B batch, E exits, K classes, N draws.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from statistics import mean
from typing import Any

import torch
import trained as service
from depth_tasks import FASHION, images
from torch import Tensor, nn

from controllers.supernets import supernet_proposal
from controllers.trial import Proposal
from search_spaces import make_space
from search_spaces.architecture import canonical_json
from search_spaces.chain_space import ChainSpace
from search_spaces.compose import answer
from search_spaces.dynamic.calibration import fit_temperatures, reliability
from search_spaces.dynamic.exit_rules import ExitRule, budget_shares, confidence, quantile_thresholds
from search_spaces.dynamic.exit_settings import ExitSettings
from search_spaces.dynamic.exits import Exits
from search_spaces.dynamic.operating_point import exit_flops, operating_point
from search_spaces.flops import inference_flops
from search_spaces.relaxations.chains import architecture_of
from search_spaces.space import SearchSpace
from workers.pricing import DataShape, Pricer
from workers.tasks import SearchData, Split, make_task
from workers.training import Training

DEPTH = 10
DOCS = Path(__file__).parents[1] / "docs"


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What all networks of one comparison have in common."""

    results: Path
    train_size: int
    validation_size: int
    test_size: int
    chain: Mapping[str, Any]
    multiscale: Mapping[str, Any]
    epochs: int
    """Of the full static chain."""
    training: Training

    def task(self, name: str) -> Mapping[str, Any]:
        """A task by its name in `TASKS`."""
        file, fields = TASKS[name]
        sizes = {"validation_size": self.validation_size, "test_size": self.test_size}
        return images(file, self.train_size, **fields, **sizes)


TASKS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "MNIST": ("mnist63k.npz", {}),
    "Fashion-MNIST": ("fashion_mnist_train_a.npz", FASHION),
}
"""Files of images, and what else there is to say of them."""
WITH_EXITS = Setting(
    results=DOCS / "dynamic_exits.csv",
    train_size=3000,
    validation_size=1500,
    test_size=10000,
    chain={
        "family": "resnet",
        "stages": [{"depth": {"min": 1, "max": DEPTH}, "width": 16, "stride": 2}],
        "ops": ["basic"],
    },
    multiscale={
        "family": "multiscale",
        **{"depth": 6, "scales": 3, "growth": 6, "base": [1, 6], "step": 1, "channels": 8, "head_channels": 16},
    },
    epochs=20,
    training=Training(batch_size=64),
)
"""That of exits. The multi-scale network costs as much as the full chain, within 1 %; with a base of 6 it has one exit.
"""
BUDGETS = tuple(twentieths / 20 for twentieths in range(1, 40))
"""p of the thresholds, as in MSDNet's evaluation."""
NUM_DRAWS = 20
"""Of labels, whose mean calibration error is then known to a few per cent of itself."""


@dataclass(frozen=True, kw_only=True)
class Network:
    """What is trained: a relaxation of the chain, a static depth of it, or a multi-scale network."""

    relaxation: Mapping[str, Any] | None = None
    depth: int | None = None
    """Of a static chain."""
    decisions: Mapping[str, int] = field(default_factory=dict)
    """Of a multi-scale network, where they are not the first option."""

    def space_options(self, setting: Setting) -> Mapping[str, Any]:
        return setting.chain if self.relaxation or self.depth else setting.multiscale

    def proposal(self, space: SearchSpace) -> Proposal:
        if self.relaxation:
            return supernet_proposal(self.relaxation)
        if self.depth:
            assert isinstance(space, ChainSpace)
            return Proposal(architecture=architecture_of(space, self.depth))
        return Proposal(architecture=answer(space, self.decisions, partial=True))


@dataclass(frozen=True, kw_only=True)
class Line:
    """A trained network at one setting; all of its lines are written at once."""

    task: str
    network: str
    seed: int
    epochs: int
    training_share: float
    """Of the FLOPs that every network may be trained for."""
    point: str
    val_accuracy: float
    val_flops: float
    """Mean per input, exits and gates counted."""
    test_accuracy: float
    test_flops: float
    ece: float | None = None
    """Expected calibration error of an exit on test data."""
    scaled_ece: float | None = None
    """The same at the temperature that fits validation data."""
    ece_floor: float | None = None
    """What it would be, on as many inputs, if every scaled probability were true: chance alone."""
    temperature: float | None = None


def train(setting: Setting, task: str, name: str, network: Network, seed: int) -> list[dict[str, Any]]:
    """Train, and measure at every threshold and exit."""
    data, test = _data(setting, task)
    space = _space(setting, network, data)
    proposal = network.proposal(space)
    epochs, share = affordable(setting, space, proposal, data)
    trained, _ = service.train(
        proposal,
        space=network.space_options(setting),
        task=setting.task(task),
        training=setting.training,
        epochs=epochs,
        seed=seed,
    )
    common = {"task": task, "network": name, "seed": seed, "epochs": epochs, "training_share": share}
    with torch.no_grad():
        return [asdict(Line(**common, **point)) for point in _points(trained, data.validation, test)]


def affordable(setting: Setting, space: SearchSpace, proposal: Proposal, data: SearchData) -> tuple[int, float]:
    """The epochs that come nearest to the FLOPs of the full static chain, and the share of those that they cost."""
    shape = DataShape(input_shape=data.input_shape, num_train=len(data.train), num_validation=len(data.validation))
    chain = Network(depth=DEPTH)
    chains = _space(setting, chain, data)
    budget = setting.epochs * Pricer(chains, shape).epoch_cost(chain.proposal(chains), setting.training).flops
    price = Pricer(space, shape).epoch_cost(proposal, setting.training).flops
    epochs = max(1, round(budget / price))
    return epochs, epochs * price / budget


@lru_cache(maxsize=1)
def _load(task: str) -> tuple[SearchData, Split]:
    made = make_task(json.loads(task))
    return made.load(), made.load_test()


def _data(setting: Setting, task: str) -> tuple[SearchData, Split]:
    return _load(canonical_json(setting.task(task)))


def _space(setting: Setting, network: Network, data: SearchData) -> SearchSpace:
    options = network.space_options(setting)
    return make_space(options, input_shape=data.input_shape, num_classes=data.num_classes)


def _points(network: nn.Module, validation: Split, test: Split) -> Iterator[dict[str, Any]]:
    if isinstance(network, ExitSettings):
        yield from _exit_points(network, validation, test)
    else:
        flops = inference_flops(network, tuple(test.x.shape[1:]))
        yield {
            "point": "static",
            "val_accuracy": _accuracy(network(validation.x), validation),
            "val_flops": flops,
            "test_accuracy": _accuracy(network(test.x), test),
            "test_flops": flops,
        }


def _exit_points(network: Exits, validation: Split, test: Split) -> Iterator[dict[str, Any]]:
    """Every exit on its own, then thresholds of the scaled confidence for every budget."""
    flops = exit_flops(network, tuple(test.x.shape[1:]))
    val_EBK, test_EBK = (torch.stack(list(network.exit_logits(split.x))).double() for split in (validation, test))
    temperature_E = fit_temperatures(val_EBK, validation.y)
    scaled_EBK, scaled_test_EBK = (y_EBK / temperature_E.reshape(-1, 1, 1) for y_EBK in (val_EBK, test_EBK))
    for number, depth in enumerate(network.depths):
        yield {
            "point": f"exit {depth}",
            "val_accuracy": _accuracy(val_EBK[number], validation),
            "val_flops": flops[number],
            "test_accuracy": _accuracy(test_EBK[number], test),
            "test_flops": flops[number],
            "ece": reliability(test_EBK[number], test.y).expected_calibration_error,
            "scaled_ece": reliability(scaled_test_EBK[number], test.y).expected_calibration_error,
            "ece_floor": calibration_noise(scaled_test_EBK[number]),
            "temperature": temperature_E[number].item(),
        }
    for p in BUDGETS:
        thresholds = quantile_thresholds(confidence(scaled_EBK), budget_shares(p, len(flops)))
        rule = ExitRule(kind="confidence", thresholds=thresholds)
        on_validation = operating_point(scaled_EBK, validation.y, rule.exits(scaled_EBK), flops)
        on_test = operating_point(scaled_test_EBK, test.y, rule.exits(scaled_test_EBK), flops)
        yield {
            "point": f"p={p:g}",
            "val_accuracy": on_validation.accuracy,
            "val_flops": on_validation.mean_flops,
            "test_accuracy": on_test.accuracy,
            "test_flops": on_test.mean_flops,
        }


def calibration_noise(y_BK: Tensor) -> float:
    """The mean expected calibration error on labels that are drawn from the answers themselves."""
    generator = torch.Generator().manual_seed(0)
    drawn_BN = y_BK.softmax(dim=-1).multinomial(NUM_DRAWS, replacement=True, generator=generator)
    return mean(reliability(y_BK, drawn_B).expected_calibration_error for drawn_B in drawn_BN.unbind(dim=1))


def _accuracy(y_BK: Tensor, split: Split) -> float:
    return (y_BK.argmax(dim=-1) == split.y).double().mean().item()
