"""Experimental ways to train exits against plain ones, on scikit-learn's digits (docs/experimental.md).

python benchmarks/experimental_exits.py             all tables, as Markdown
python benchmarks/experimental_exits.py labels      one of them

Every network of a table is trained for the FLOPs of the first one, as nearly as whole epochs allow, and pays for all
that it computes. Hyperparameters were chosen on validation data, at other seeds; test data are looked at here alone.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from controllers.cost import total
from controllers.supernets import supernet_proposal
from controllers.trial import Measurement
from search_spaces import make_space
from search_spaces.relaxations.multi_exit import MultiExitNetwork
from workers import flight
from workers.build import build_network
from workers.job import Job
from workers.tasks import Split, make_task
from workers.train import run
from workers.training import Training

CHAIN: Mapping[str, Any] = {"family": "resnet", "depth": {"min": 1, "max": 6}, "width": 8, "ops": ["basic"]}
EXITS = (1, 2, 4, 6)
EPOCHS = 20
"""Of the first network of a table."""
TRAINING = Training(batch_size=64)
SEEDS = range(5)
CPU = torch.device("cpu")
PATH = "search_spaces.experimental."

Method = Mapping[str, Any]
"""A relaxation, by its name and its fields."""


def multi_exit(**fields: Any) -> Method:
    return {"name": "multi_exit", "exits": EXITS, **fields}


def train(method: Method, task: Mapping[str, Any], *, seed: int, epochs: int) -> tuple[MultiExitNetwork, int]:
    """The trained network, and the FLOPs that its training was charged."""
    proposal = supernet_proposal(method)
    with tempfile.TemporaryDirectory() as folder:
        job = Job(
            proposal=proposal,
            space=CHAIN,
            task=task,
            training=TRAINING,
            epochs=epochs,
            seed=seed,
            folder=Path(folder),
        )
        outcome = run(job, device=CPU, report=lambda *_: None)
        assert isinstance(outcome, Measurement), outcome
        weights = flight.load_tensors(Path(folder) / flight.WEIGHTS, CPU)
    data = make_task(task).load()
    network = build_network(
        proposal, make_space(CHAIN, input_shape=data.input_shape, num_classes=data.num_classes), seed=seed
    )
    network.load_state_dict(weights)
    assert isinstance(network, MultiExitNetwork)
    return network.eval(), total(outcome.charges).flops


@torch.no_grad()
def accuracies(network: MultiExitNetwork, split: Split) -> np.ndarray:
    """Of every exit, in percent."""
    return np.array([100 * (y.argmax(dim=1) == split.y).double().mean().item() for y in network.exit_logits(split.x)])
