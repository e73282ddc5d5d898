"""A small table of six networks, in files of every kind, and the mapping that explains it."""

from pathlib import Path

import numpy as np
import pandas as pd
import yaml

COLUMNS = {
    "depth": [1, 1, 1, 2, 2, 2],
    "op": [0, 1, 2, 0, 1, 2],
    "same": [0, 1, 1, 3, 4, 5],  # the second and the third are one network
    "val_4": [10.0, 20.0, 25.0, 30.0, 40.0, 50.0],
    "val_8": [15.0, 35.0, 25.0, 45.0, 42.0, 49.0],
    "seconds_4": [1.0, 2.0, 2.5, 3.0, 4.0, 5.0],
    "seconds_8": [2.0, 4.0, 5.0, 6.0, 8.0, 10.0],
    "test_0": [12.0, 30.0, 32.0, 40.0, 50.0, 60.0],
    "test_1": [14.0, 34.0, 32.0, 42.0, 52.0, 64.0],
    "mflops": [1.0, 2.0, 2.0, 3.0, 4.0, 5.0],
    "parameters": [100, 200, 200, 300, 400, 500],
}
"""Accuracies in percent; rows in the order of the decisions, the last fastest."""

MAPPING = {
    "name": "six",
    "decisions": {"depth": "depth", "op": {"column": "op", "labels": ["skip", "small", "large"]}},
    "depth": "depth",
    "flops": {"column": "mflops", "scale": 1e6},
    "parameters": "parameters",
    "equal": "same",
    "observations": [
        {"epochs": 8, "score": {"column": "val_8", "scale": 0.01}, "seconds": "seconds_8"},
        {"epochs": 4, "score": {"column": "val_4", "scale": 0.01}, "seconds": "seconds_4"},
    ],
    "truth": {"column": ["test_0", "test_1"], "scale": 0.01},
}


def write_table(folder: Path, kind: str = "csv", **columns) -> Path:
    """The table, with some columns changed, or left out if None, in a file of its kind."""
    content = {name: values for name, values in {**COLUMNS, **columns}.items() if values is not None}
    path = folder / f"table.{kind}"
    match kind:
        case "npz":
            np.savez(path, **{name: np.array(values) for name, values in content.items()})
        case "csv":
            pd.DataFrame(content).to_csv(path, index=False)
        case "parquet":
            pd.DataFrame(content).to_parquet(path)
    return path


def write_mapping(folder: Path, **changes) -> Path:
    """The mapping, with some entries changed, or left out if None."""
    content = {name: value for name, value in {**MAPPING, **changes}.items() if value is not None}
    path = folder / "mapping.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path
