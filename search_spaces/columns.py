"""Columns of an `.npz`, CSV or Parquet file, checked as they are asked for.

A matrix of an `.npz` file has its columns as `name[0]`, `name[1]`, ... Shapes: N rows.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from search_spaces.errors import InvalidInput

INDEXED = re.compile(r"(.+)\[(\d+)\]")
MAX_LISTED = 30
READERS: Mapping[str, Callable[[Path], pd.DataFrame]] = {".csv": pd.read_csv, ".parquet": pd.read_parquet}


class Columns:
    """The arrays of one file.

    Raises:
        InvalidInput: the file is missing, of another kind or damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._arrays = _read(path)

    @property
    def num_rows(self) -> int:
        """Rows of the longest array; what else counts as a column must be as long."""
        return max((len(array) for array in self._arrays.values() if array.ndim), default=0)

    def array(self, name: str) -> NDArray[Any]:
        """A whole array, which need not be a column.

        Raises:
            InvalidInput: there is none of that name.
        """
        if name not in self._arrays:
            names = list(self._arrays)
            listed = ", ".join(names[:MAX_LISTED]) + (", ..." if len(names) > MAX_LISTED else "")
            raise InvalidInput(f"must be a column of {self.path}, got {name!r}; columns: {listed or 'none'}")
        return self._arrays[name]

    def column(self, name: str) -> NDArray[Any]:
        """One value per row `[N]`.

        Raises:
            InvalidInput: there is no such column, or it has another length or more than one dimension.
        """
        indexed = INDEXED.fullmatch(name) if name not in self._arrays else None
        values = self.array(indexed[1] if indexed else name)
        if indexed:
            index = int(indexed[2])
            if values.ndim != 2 or index >= values.shape[1]:
                raise InvalidInput(f"{name!r} must point into a matrix, but {indexed[1]} is {list(values.shape)}")
            values = values[:, index]
        if values.shape != (self.num_rows,):
            raise InvalidInput(f"must be one value per row, but {name} is {list(values.shape)} of {self.num_rows} rows")
        return values

    def numbers(self, names: Sequence[str], scale: float = 1.0) -> NDArray[np.float64]:
        """The mean of numeric columns, times `scale`: `[N]`.

        Raises:
            InvalidInput: also when a value is missing, NaN, infinite or no number.
        """
        columns = [self._finite(name) for name in names]
        mean_N: NDArray[np.float64] = np.mean(columns, axis=0) * scale
        return mean_N

    def _finite(self, name: str) -> NDArray[np.float64]:
        values = self.column(name)
        if values.dtype == np.bool_ or not np.issubdtype(values.dtype, np.number):
            raise InvalidInput(f"{name} must hold numbers, got {values.dtype}")
        numbers_N = values.astype(np.float64)
        bad = np.flatnonzero(~np.isfinite(numbers_N))
        if len(bad):
            raise InvalidInput(f"{name} must be finite, got {numbers_N[bad[0]]} in row {bad[0]} ({len(bad)} such rows)")
        return numbers_N


def _read(path: Path) -> Mapping[str, NDArray[Any]]:
    kind = path.suffix.lower()
    if kind not in (".npz", *READERS):
        raise InvalidInput(f"must be an .npz, .csv or .parquet file, got {path}")
    try:
        if kind == ".npz":
            # NumPy would leave a file that it has opened itself open when it is no .npz.
            with path.open("rb") as content, np.load(content, allow_pickle=False) as file:
                return {name: file[name] for name in file}
        frame = READERS[kind](path)
    except FileNotFoundError:
        raise InvalidInput(f"no such file: {path}") from None
    except (OSError, EOFError, ValueError, zipfile.BadZipFile, AttributeError, TypeError) as error:
        raise InvalidInput(f"cannot read {path}: {str(error).splitlines()[0] if str(error) else error!r}") from None
    return {str(name): frame[name].to_numpy() for name in frame.columns}
