"""One training of a network that chooses its depth per input, or of a static one, and what it gives at every setting.

Thresholds and temperatures come from validation data alone; test data say what they give. All networks of a task are
trained for the FLOPs of the full static chain over `EPOCHS` epochs, as nearly as whole epochs allow.
Shapes: B batch, E exits, K classes.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from depth_tasks import FASHION, images
from torch import Tensor, nn

from controllers.supernets import supernet_proposal
from controllers.trial import Measurement, Proposal
from search_spaces import make_space
from search_spaces.compose import answer
from search_spaces.dynamic.calibration import fit_temperatures, reliability
from search_spaces.dynamic.dynamic import Dynamic
from search_spaces.dynamic.exit_rules import ExitRule, budget_shares, confidence, quantile_thresholds
from search_spaces.dynamic.exit_settings import ExitSettings
from search_spaces.dynamic.exits import Exits
from search_spaces.dynamic.operating_point import exit_flops, operating_point
from search_spaces.flops import inference_flops
from search_spaces.space import SearchSpace
from workers import flight
from workers.build import build_network
from workers.job import Job
from workers.meter import Meter
from workers.operating_points import operating_points
from workers.pricing import DataShape, Pricer
from workers.tasks import SearchData, Split, make_task
from workers.train import run
from workers.training import Training

_SPLITS = {"validation_size": 2000, "test_size": 3000}
TASKS: Mapping[str, Mapping[str, Any]] = {
    "MNIST": images("mnist63k.npz", 3000, **_SPLITS),
    "Fashion-MNIST": images("fashion_mnist_train_a.npz", 3000, **FASHION, **_SPLITS),
}
DEPTH = 10
CHAIN: Mapping[str, Any] = {"family": "resnet", "depth": {"min": 1, "max": DEPTH}, "width": 8, "ops": ["basic"]}
MULTISCALE: Mapping[str, Any] = {
    "family": "multiscale",
    **{"depth": 10, "scales": 3, "growth": 4, "base": 1, "step": 1, "channels": 8, "head_channels": 16},
}
EPOCHS = 6
"""Of the full static chain."""
TRAINING = Training(batch_size=64)
BUDGETS = tuple(twentieths / 20 for twentieths in range(1, 40))
"""p of the thresholds, as in MSDNet's evaluation."""


@dataclass(frozen=True, kw_only=True)
class Network:
    """What is trained: a relaxation of the chain, a static depth of it, or the multi-scale network."""

    relaxation: Mapping[str, Any] | None = None
    depth: int | None = None
    """Of a static chain."""

    @property
    def space_options(self) -> Mapping[str, Any]:
        return CHAIN if self.relaxation or self.depth else MULTISCALE

    def proposal(self, space: SearchSpace) -> Proposal:
        if self.relaxation:
            return supernet_proposal(self.relaxation)
        return Proposal(architecture=answer(space, {"depth": self.depth} if self.depth else {}, partial=True))


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
    temperature: float | None = None


def train(task: str, name: str, network: Network, seed: int) -> list[dict[str, Any]]:
    """Train, and measure every setting."""
    data, test = _data(task)
    space = _space(network, data)
    proposal = network.proposal(space)
    epochs, share = affordable(space, proposal, data)
    with tempfile.TemporaryDirectory() as folder:
        job = Job(
            proposal=proposal,
            space=network.space_options,
            task=TASKS[task],
            training=TRAINING,
            epochs=epochs,
            seed=seed,
            folder=Path(folder),
        )
        outcome = run(job, device=torch.device("cpu"), report=lambda *_: None)
        assert isinstance(outcome, Measurement), outcome
        weights = flight.load_tensors(Path(folder) / flight.WEIGHTS, torch.device("cpu"))
    trained = build_network(proposal, space, seed=seed).eval()
    trained.load_state_dict(weights)
    common = {"task": task, "network": name, "seed": seed, "epochs": epochs, "training_share": share}
    with torch.no_grad():
        return [asdict(Line(**common, **point)) for point in _points(trained, data.validation, test)]


def affordable(space: SearchSpace, proposal: Proposal, data: SearchData) -> tuple[int, float]:
    """The epochs that come nearest to the FLOPs of the full static chain, and the share of those that they cost."""
    shape = DataShape(input_shape=data.input_shape, num_train=len(data.train), num_validation=len(data.validation))
    chain = Network(depth=DEPTH)
    chains = _space(chain, data)
    budget = EPOCHS * Pricer(chains, shape).epoch_cost(chain.proposal(chains), TRAINING).flops
    price = Pricer(space, shape).epoch_cost(proposal, TRAINING).flops
    epochs = max(1, round(budget / price))
    return epochs, epochs * price / budget


@cache
def _data(task: str) -> tuple[SearchData, Split]:
    made = make_task(TASKS[task])
    return made.load(), made.load_test()


def _space(network: Network, data: SearchData) -> SearchSpace:
    return make_space(network.space_options, input_shape=data.input_shape, num_classes=data.num_classes)


def _points(network: nn.Module, validation: Split, test: Split) -> Iterator[dict[str, Any]]:
    if isinstance(network, ExitSettings):
        yield from _exit_points(network, validation, test)
    elif isinstance(network, Dynamic):
        yield from _setting_points(network, validation, test)
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


def _setting_points(network: Dynamic, validation: Split, test: Split) -> Iterator[dict[str, Any]]:
    meter = Meter(torch.device("cpu"))
    points = operating_points(network, model="own", validation=validation, test=test, meter=meter)
    on_validation, on_test = ([one for one in points if one.split == split] for split in ("validation", "test"))
    for one, other in zip(on_validation, on_test, strict=True):
        yield {
            "point": one.setting.label,
            "val_accuracy": one.point.accuracy,
            "val_flops": one.point.mean_flops,
            "test_accuracy": other.point.accuracy,
            "test_flops": other.point.mean_flops,
        }


def _accuracy(y_BK: Tensor, split: Split) -> float:
    return (y_BK.argmax(dim=-1) == split.y).double().mean().item()
