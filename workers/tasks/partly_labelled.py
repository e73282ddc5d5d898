"""Any task with fewer labels: some training examples keep theirs, of the others only the inputs are left.

The examples with a label are the training split. So methods that have no use for the others train as if they did not
exist, and all methods know the same labels.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor

from search_spaces.errors import InvalidInput
from search_spaces.relaxations.relaxation import UNLABELLED
from search_spaces.values import CONFIG
from workers.tasks.splitting import split_indices
from workers.tasks.task import SearchData, Split, Task

SPLIT_SEED = 0


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class PartlyLabelled:
    """Without this field, all training examples have labels. Those that lose theirs are read by `multi_exit`."""

    task: Task
    labelled: int = Field(ge=1)
    """Training examples that keep their labels, classes in the proportions of all; a text keeps whole windows."""

    def load(self) -> SearchData:
        data = self.task.load()
        num_train = len(data.train)
        if self.labelled >= num_train:
            raise InvalidInput(
                f"must be less than the {num_train} training examples, got {self.labelled}", field="labelled"
            )
        sizes = {"labelled": self.labelled, "unlabelled": num_train - self.labelled}
        rows = split_indices(_classes(data.train.y), sizes, seed=SPLIT_SEED)
        labelled, others = (torch.from_numpy(rows[name]) for name in sizes)
        x, y = data.train.x, data.train.y
        return replace(
            data,
            train=Split(x=x[labelled], y=y[labelled]),
            unlabelled=Split(x=x[others], y=torch.full_like(y[others], UNLABELLED)),
        )

    def load_test(self) -> Split:
        return self.task.load_test()


def _classes(y_N: Tensor) -> NDArray[np.int64]:
    """What is kept in proportion, `[N]`: the classes, or nothing of windows `y_NT` that have one at every position."""
    return (y_N if y_N.dim() == 1 else torch.zeros(len(y_N), dtype=torch.int64)).numpy()
