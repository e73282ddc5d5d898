"""The tasks on which learned depth is compared with the grid, and those on which its hyperparameters were chosen.

A task is a data set, a space whose only choice is depth (in `JOINT`: beside the operation of every block), and a
training that is long enough: trebling its epochs does not change the order of the depths beyond noise
(`learned_depth.py convergence`). Sizes are small, because the question is about depth and every study trains some
thousand networks.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

DATA = Path(os.environ.get("NAS_DATA", "../shared/data")).resolve()
DEPTHS = (1, 2, 3, 4, 5, 6, 8, 10, 12)
DEEP = (1, 2, 3, 4, 6, 8, 10, 12, 16)
SHALLOW = (1, 2, 3, 4, 5, 6)
"""For joint spaces, which double with every level: 126 networks of two operations."""


@dataclass(frozen=True, kw_only=True)
class DepthTask:
    """One row of the evidence."""

    task: Mapping[str, Any]
    space: Mapping[str, Any]
    epochs: int
    batch_size: int = 64
    learning_rate: float = 0.01

    @property
    def training(self) -> dict[str, Any]:
        """Section `training` of its studies."""
        return {"epochs": self.epochs, "batch_size": self.batch_size, "learning_rate": self.learning_rate}

    @property
    def depths(self) -> tuple[int, ...]:
        """To choose from."""
        return tuple(self.space["depth"])

    @property
    def guess(self) -> int:
        """What a practitioner might guess: half of the deepest."""
        return self.depths[-1] // 2

    @property
    def is_joint(self) -> bool:
        """Whether blocks have operations to choose from, too."""
        return len(self.space.get("ops", ())) > 1


def dense(width: int) -> dict[str, Any]:
    return {"family": "mlp", "depth": list(DEPTHS), "width": width}


def residual(width: int) -> dict[str, Any]:
    return {"family": "mlp", "depth": list(DEPTHS), "width": width, "ops": ["residual"]}


def mixed(width: int) -> dict[str, Any]:
    return {"family": "mlp", "depth": list(SHALLOW), "width": width, "ops": ["dense", "residual"]}


def convolutional(width: int, op: str) -> dict[str, Any]:
    return {"family": "resnet", "depth": list(DEPTHS), "width": width, "ops": [op]}


def table(name: str, train: int, validation: int, test: int) -> dict[str, Any]:
    return {
        "name": "npz",
        "path": str(DATA / "uci_numeric.npz"),
        "x_key": f"{name}_x",
        "y_key": f"{name}_y",
        "train_size": train,
        "validation_size": validation,
        "test_size": test,
        "standardize": True,
    }


def images(path: str, train: int, **fields: Any) -> dict[str, Any]:
    sizes = {"train_size": train, "validation_size": 1000, **fields}
    return {"name": "npz", "path": str(DATA / path), "resize": [14, 14], **sizes}


FASHION = {"test_path": str(DATA / "fashion_mnist_test.npz")}

REPORTED = {
    "number line": DepthTask(
        task={"name": "number_line", "bits": 5, "train_size": 1024, "validation_size": 512, "test_size": 2048},
        space=dense(16),
        epochs=30,
    ),
    "spiral": DepthTask(task={"name": "spiral", "turns": 3, "test_size": 2048}, space=dense(16), epochs=40),
    "parity": DepthTask(
        task={"name": "parity", "length": 8, "train_size": 2048, "validation_size": 512, "test_size": 1024},
        space=residual(32),
        epochs=40,
    ),
    "digits": DepthTask(
        task={"name": "digits", "train_size": 300, "validation_size": 400}, space=convolutional(8, "basic"), epochs=60
    ),
    "MNIST": DepthTask(task=images("mnist63k.npz", 1000, test_size=4000), space=dense(32), epochs=40),
    "Fashion-MNIST": DepthTask(
        task=images("fashion_mnist_train_a.npz", 1000, **FASHION), space=residual(32), epochs=40
    ),
    "letter": DepthTask(task=table("letter", 2000, 1000, 6000), space=residual(32), epochs=30),
    "pendigits": DepthTask(task=table("pendigits", 1000, 1000, 4000), space=dense(32), epochs=40),
    "text": DepthTask(
        task={
            "name": "text",
            "path": str(DATA / "tinyshakespeare.txt"),
            "context": 32,
            "train_size": 1000,
            "validation_size": 300,
            "test_size": 1000,
        },
        space={"family": "transformer", "depth": list(DEEP), "width": 24},
        epochs=6,
        batch_size=16,
    ),
}
"""What is reported. Nothing was tuned on them."""

JOINT = {
    "letter and operations": replace(REPORTED["letter"], space=mixed(32)),
    "pendigits and operations": replace(REPORTED["pendigits"], space=mixed(32)),
    "spiral and operations": replace(REPORTED["spiral"], space=mixed(16)),
}
"""Depth together with the operation of every block."""

TUNING = {
    "vowel": DepthTask(task=table("vowel", 400, 200, 390), space=residual(24), epochs=40),
    "segment": DepthTask(task=table("segment", 600, 500, 1210), space=dense(24), epochs=30),
    "optdigits": DepthTask(
        task={
            **table("optdigits", 400, 500, 4000),
            "standardize": False,
        },
        space=dense(24),
        epochs=40,
    ),
    "easy spiral": DepthTask(task={"name": "spiral", "turns": 2, "data_seed": 1}, space=dense(8), epochs=40),
    "short number line": DepthTask(
        task={"name": "number_line", "bits": 4, "train_size": 1024, "validation_size": 512, "test_size": 2048},
        space=dense(12),
        epochs=30,
    ),
}
"""On which hyperparameters were chosen."""
