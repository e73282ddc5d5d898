"""Any NumPy `.npz` file that holds inputs `x` and class labels `y`."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from pydantic.dataclasses import dataclass

from search_spaces.errors import InvalidInput
from search_spaces.values import CONFIG
from workers.tasks.splitting import split_indices
from workers.tasks.task import SearchData, Split

BYTE_MAX = 255.0


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class Npz:
    """Labels are whole numbers from 0. Images without a channel axis (`[N, H, W]`) get one.

    Bytes are scaled to [0, 1]; floating-point columns are standardised with the training split's mean and
    deviation when `standardize` is set. Splits are stratified and disjoint.
    """

    path: Path
    """The file; every worker must see it under this name."""
    train_size: int
    """Examples to train on."""
    validation_size: int
    """Examples that selection looks at."""
    test_size: int
    """Examples that only the final evaluation looks at."""
    x_key: str = "x"
    """Name of the array of inputs."""
    y_key: str = "y"
    """Name of the array of labels."""
    standardize: bool = False
    """Whether to subtract the training split's mean and divide by its deviation, column by column."""
    data_seed: int = Field(default=0, ge=0)
    """Which examples go to which split."""

    def load(self) -> SearchData:
        splits, num_classes = self._splits()
        return SearchData(train=splits["train"], validation=splits["validation"], num_classes=num_classes)

    def load_test(self) -> Split:
        return self._splits()[0]["test"]

    def _splits(self) -> tuple[dict[str, Split], int]:
        x, y = self._read()
        sizes = {"test": self.test_size, "validation": self.validation_size, "train": self.train_size}
        parts = split_indices(y, sizes, seed=self.data_seed)
        if self.standardize:
            mean, deviation = x[parts["train"]].mean(axis=0), x[parts["train"]].std(axis=0)
            x = (x - mean) / np.where(deviation > 0, deviation, 1.0)
        splits = {
            name: Split(x=torch.from_numpy(x[rows].astype(np.float32)), y=torch.from_numpy(y[rows]))
            for name, rows in parts.items()
        }
        return splits, int(y.max()) + 1

    def _read(self) -> tuple[NDArray[Any], NDArray[np.int64]]:
        try:
            # NumPy would leave a file that it has opened itself open when it is no .npz.
            with self.path.open("rb") as content, np.load(content, allow_pickle=False) as file:
                x, y = self._array(file, self.x_key), self._array(file, self.y_key)
        except FileNotFoundError:
            raise InvalidInput(f"no such file: {self.path}", field="path") from None
        except (OSError, EOFError, ValueError, zipfile.BadZipFile, AttributeError, TypeError) as error:
            if isinstance(error, InvalidInput):
                raise
            raise InvalidInput(f"{self.path} is not an .npz file of plain arrays: {error}", field="path") from None
        if y.ndim != 1 or not np.issubdtype(y.dtype, np.integer) or y.min(initial=0) < 0:
            raise InvalidInput(
                f"must name one column of whole numbers from 0, got {y.dtype}{list(y.shape)}", field="y_key"
            )
        if len(x) != len(y) or len(x) == 0 or x.ndim < 2:
            raise InvalidInput(
                f"must name one input per label: x is {list(x.shape)}, y is {list(y.shape)}", field="x_key"
            )
        if not (np.issubdtype(x.dtype, np.number) and np.isfinite(x).all()):
            raise InvalidInput("must name finite numbers", field="x_key")
        if x.ndim == 3:
            x = x[:, None]
        if x.dtype == np.uint8:
            x = x.astype(np.float32) / BYTE_MAX
        return x, y.astype(np.int64)

    def _array(self, file: Any, key: str) -> NDArray[Any]:
        if key not in file:
            field = "x_key" if key == self.x_key else "y_key"
            raise InvalidInput(f"must be among {', '.join(file)}, got {key!r}", field=field)
        array: NDArray[Any] = file[key]
        return array
