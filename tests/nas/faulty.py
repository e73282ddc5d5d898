"""Networks that break in every way that a worker has to survive, for tests that run on real workers."""

import os
import time
from pathlib import Path

import torch
from pydantic.dataclasses import dataclass as validated
from torch import nn
from torch._subclasses.fake_tensor import FakeTensor

from search_spaces.mlp import Mlp
from search_spaces.values import CONFIG

FAMILY = "tests.nas.faulty:Faulty"
FAULTS = {2: "raises", 3: "nan", 4: "hangs", 5: "dies", 6: "unbuildable", 8: "slow", 10: "no storage"}
"""By depth; networks of all other depths are sound."""
CALLS_BEFORE = 2
"""Training steps that a faulty network completes."""


class Fault(nn.Module):
    """A sound network that shows its fault in its third training step, and never while it is only priced."""

    def __init__(self, network, fault, marker):
        super().__init__()
        self.network, self.fault, self.marker = network, fault, marker
        self.calls = 0

    def forward(self, x):
        y = self.network(x)
        if isinstance(y, FakeTensor) or not self.training:
            return y
        self.calls += 1
        return y if self.calls <= CALLS_BEFORE else self.show(y)

    def show(self, y):
        match self.fault:
            case "raises":
                raise ArithmeticError("made to raise")
            case "nan":
                return y * torch.nan
            case "hangs":
                time.sleep(3600)
            case "dies":
                os._exit(7)
            case "no storage":
                Path(self.marker).read_text()  # OSError until somebody mends it
            case "slow":
                Path(self.marker).write_text(str(os.getpid()))
                time.sleep(0.05)
        return y


@validated(frozen=True, kw_only=True, config=CONFIG)
class Faulty(Mlp):
    """An MLP whose depth decides what is wrong with it."""

    marker: str = ""
    """Where a slow network leaves the number of its process, and what one without storage waits for."""

    def build(self, architecture):
        fault = FAULTS.get(architecture.depth)
        if fault == "unbuildable":
            raise LookupError("made to be unbuildable")
        network = super().build(architecture)
        return Fault(network, fault, self.marker) if fault else network
