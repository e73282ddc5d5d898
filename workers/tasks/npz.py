"""Any NumPy `.npz` file that holds inputs `x` and class labels `y`."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from pydantic.dataclasses import dataclass

from search_spaces.errors import InvalidInput
from search_spaces.values import CONFIG
from workers.tasks.classes import class_numbers, is_label_column
from workers.tasks.images import area_means, channels_first
from workers.tasks.splitting import split_indices
from workers.tasks.task import SearchData, Split

BYTE_MAX = 255.0

Side = Annotated[int, Field(ge=1)]


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class Npz:
    """Labels are whole numbers or text: class k is the k-th of the labels in order. Splits are stratified and disjoint.

    Images without a channel axis (`[N, H, W]`) get one. Bytes are scaled to [0, 1]; floating-point columns are
    standardised with the training split's mean and deviation when `standardize` is set.
    """

    path: Path
    """The file; every worker must see it under this name."""
    train_size: int
    """Examples to train on."""
    validation_size: int
    """Examples that selection looks at."""
    test_size: int | None = None
    """Examples that only the final evaluation looks at; none: all of `test_path`. Required without that."""
    test_path: Path | None = None
    """A file of its own for the test, with the same keys; none: the test split is cut from `path`."""
    x_key: str = "x"
    """Name of the array of inputs."""
    y_key: str = "y"
    """Name of the array of labels."""
    channels_last: bool = False
    """Whether images are stored as `[N, H, W, C]`, not as `[N, C, H, W]`."""
    resize: tuple[Side, Side] | None = None
    """Height and width to shrink images to, by the mean over areas: `[14, 14]` of 28x28."""
    standardize: bool = False
    """Whether to subtract the training split's mean and divide by its deviation, column by column."""
    data_seed: int = Field(default=0, ge=0)
    """Which examples go to which split."""

    def __post_init__(self) -> None:
        if self.test_size is None and self.test_path is None:
            raise InvalidInput("is required, unless test_path is given", field="test_size")

    def load(self) -> SearchData:
        splits, num_classes = self._splits()
        return SearchData(train=splits["train"], validation=splits["validation"], num_classes=num_classes)

    def load_test(self) -> Split:
        return self._splits()[0]["test"]

    def _splits(self) -> tuple[dict[str, Split], int]:
        """All splits, also where one is enough: a test file that cannot be used should not come to light at the end."""
        x, labels = self._read(self.path, "path")
        sizes = {"validation": self.validation_size, "train": self.train_size}
        if self.test_path is None and self.test_size is not None:
            sizes = {"test": self.test_size, **sizes}
        parts = split_indices(labels, sizes, seed=self.data_seed)
        data = {name: (x[rows], labels[rows]) for name, rows in parts.items()}
        if self.test_path is not None:
            data["test"] = self._test_file(self.test_path, x.shape[1:])
        mean, deviation = self._scale(data["train"][0])
        classes = np.unique(labels)
        splits = {}
        for name, (x_of_split, labels_of_split) in data.items():
            standardised = np.ascontiguousarray((x_of_split - mean) / deviation, dtype=np.float32)
            numbers = class_numbers(labels_of_split, classes, field="test_path")
            splits[name] = Split(x=torch.from_numpy(standardised), y=torch.from_numpy(numbers))
        return splits, len(classes)

    def _test_file(self, path: Path, shape: tuple[int, ...]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Inputs of one `shape` and labels from the file for the test."""
        x, labels = self._read(path, "test_path")
        if x.shape[1:] != shape:
            raise InvalidInput(f"must hold inputs of {list(shape)}, got {list(x.shape[1:])}", field="test_path")
        if self.test_size is None:
            return x, labels
        rows = split_indices(labels, {"test": self.test_size}, seed=self.data_seed)["test"]
        return x[rows], labels[rows]

    def _scale(self, x: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """What to subtract from all inputs, and what to divide them by."""
        if not self.standardize:
            return np.asarray(0, np.float32), np.asarray(1, np.float32)
        deviation = x.std(axis=0)
        return x.mean(axis=0), np.where(deviation > 0, deviation, 1.0)

    def _read(self, path: Path, field: str) -> tuple[NDArray[Any], NDArray[Any]]:
        try:
            # NumPy would leave a file that it has opened itself open when it is no .npz.
            with path.open("rb") as content, np.load(content, allow_pickle=False) as file:
                x, labels = self._array(file, self.x_key), self._array(file, self.y_key)
        except FileNotFoundError:
            raise InvalidInput(f"no such file: {path}", field=field) from None
        except (OSError, EOFError, ValueError, zipfile.BadZipFile, AttributeError, TypeError) as error:
            if isinstance(error, InvalidInput):
                raise
            raise InvalidInput(f"{path} is not an .npz file of plain arrays: {error}", field=field) from None
        if not is_label_column(labels):
            raise InvalidInput(
                f"must name one column of whole numbers or text, got {labels.dtype}{list(labels.shape)}", field="y_key"
            )
        if len(x) != len(labels) or len(x) == 0 or x.ndim < 2:
            raise InvalidInput(
                f"must name one input per label: x is {list(x.shape)}, y is {list(labels.shape)}", field="x_key"
            )
        if not (np.issubdtype(x.dtype, np.number) and np.isfinite(x).all()):
            raise InvalidInput("must name finite numbers", field="x_key")
        return self._image(x), labels

    def _array(self, file: Any, key: str) -> NDArray[Any]:
        if key not in file:
            field = "x_key" if key == self.x_key else "y_key"
            raise InvalidInput(f"must be among {', '.join(file)}, got {key!r}", field=field)
        array: NDArray[Any] = file[key]
        return array

    def _image(self, x: NDArray[Any]) -> NDArray[Any]:
        """The inputs with channels first, of the size that was asked for, bytes in [0, 1]; vectors as they are."""
        is_bytes = x.dtype == np.uint8
        x = channels_first(x, channels_last=self.channels_last)
        if self.resize is not None:
            x = area_means(x, self.resize)
        return x.astype(np.float32) / BYTE_MAX if is_bytes else x
