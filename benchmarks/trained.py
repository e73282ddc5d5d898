"""A network as the service trains it, for benchmarks that look at the network itself."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from controllers.supernets import supernet_proposal
from controllers.trial import Measurement, Proposal
from search_spaces import make_space
from workers import flight
from workers.build import build_network
from workers.job import Job
from workers.tasks import make_task
from workers.train import run
from workers.training import Training

CPU = torch.device("cpu")


def train(
    proposal: Proposal,
    *,
    space: Mapping[str, Any],
    task: Mapping[str, Any],
    training: Training,
    epochs: int,
    seed: int,
) -> tuple[nn.Module, Measurement]:
    """The trained network, in evaluation mode, and what its trial measured."""
    with tempfile.TemporaryDirectory() as folder:
        job = Job(
            proposal=proposal,
            space=space,
            task=task,
            training=training,
            epochs=epochs,
            seed=seed,
            folder=Path(folder),
        )
        outcome = run(job, device=CPU, report=lambda *_: None)
        assert isinstance(outcome, Measurement), outcome
        weights = flight.load_tensors(Path(folder) / flight.WEIGHTS, CPU)
    data = make_task(task).load()
    made = make_space(space, input_shape=data.input_shape, num_classes=data.num_classes)
    network = build_network(proposal, made, seed=seed)
    network.load_state_dict(weights)
    return network.eval(), outcome


def train_supernet(
    relaxation: Mapping[str, Any],
    *,
    space: Mapping[str, Any],
    task: Mapping[str, Any],
    training: Training,
    seed: int,
) -> tuple[nn.Module, Measurement]:
    """The same for a supernet that is named."""
    proposal = supernet_proposal(relaxation)
    return train(proposal, space=space, task=task, training=training, epochs=training.epochs, seed=seed)
