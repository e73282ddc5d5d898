"""Class numbers for the labels that people have: from 1, with gaps, -1 and 1, or names."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from search_spaces.complaints import show
from search_spaces.errors import InvalidInput

KINDS = "biuU"
"""NumPy's letters for truth values, whole numbers and text."""
MAX_LISTED = 10


def is_label_column(labels: NDArray[Any]) -> bool:
    """Whether these can be labels: one whole number, truth value or text per example."""
    return labels.ndim == 1 and labels.dtype.kind in KINDS


def class_numbers(labels: NDArray[Any], classes: NDArray[Any], *, field: str) -> NDArray[np.int64]:
    """The index of each label `[N]` in `classes` (sorted, distinct).

    Raises:
        InvalidInput: a label is none of the classes; the error names `field`.
    """
    unknown = labels[~np.isin(labels, classes)]
    if len(unknown):
        known = ", ".join(map(show, classes[:MAX_LISTED].tolist())) + (", ..." if len(classes) > MAX_LISTED else "")
        raise InvalidInput(f"must have no labels but {known}, got {show(unknown[0].item())}", field=field)
    return np.searchsorted(classes, labels).astype(np.int64, copy=False)
