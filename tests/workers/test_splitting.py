import hashlib

import numpy as np
import pytest

from search_spaces.errors import InvalidInput
from workers.tasks.splitting import split_indices


def test_two_classes_cut_by_hand():
    # Relative ranks interleave the classes evenly: any four in a row hold two of each.
    parts = split_indices(np.array([0] * 6 + [1] * 6), {"a": 4, "b": 4, "c": 4}, seed=0)
    assert sorted(np.concatenate(list(parts.values()))) == list(range(12))
    assert [sum(rows < 6) for rows in parts.values()] == [2, 2, 2]


@pytest.mark.parametrize("seed", range(5))
def test_every_split_has_the_proportions_of_the_whole(seed):
    y = np.repeat([0, 1, 2], [600, 300, 100])
    parts = split_indices(y, {"test": 210, "validation": 95, "train": 395}, seed=seed)
    rows = np.concatenate(list(parts.values()))
    assert len(set(rows)) == 700
    for part in parts.values():
        counts = np.bincount(y[part], minlength=3)
        # Consecutive evenly spaced ranks: each class is off by less than one, at either end.
        assert abs(counts - len(part) * np.array([0.6, 0.3, 0.1])).max() < 2


def test_the_first_split_does_not_depend_on_the_sizes_of_the_others():
    y = np.arange(50) % 4
    one = split_indices(y, {"test": 10, "validation": 5, "train": 1}, seed=3)
    other = split_indices(y, {"test": 10, "validation": 9, "train": 31}, seed=3)
    assert one["test"].tolist() == other["test"].tolist()
    assert other["validation"].tolist()[:5] == one["validation"].tolist()


def test_the_seed_decides_who_goes_where():
    y = np.arange(50) % 4
    first, second = (split_indices(y, {"train": 25}, seed=seed)["train"] for seed in (0, 1))
    assert first.tolist() != second.tolist()


def test_the_same_split_on_every_machine():
    parts = split_indices(np.arange(100) % 7, {"test": 30, "train": 70}, seed=1)
    text = ",".join(str(row) for rows in parts.values() for row in rows)
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == "f626a858292dff7a"


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"test": 0, "train": 5}, "test_size: must be at least 1, got 0"),
        ({"test": 6, "train": 5}, "test_size: splits must fit into the 10 examples, got 6 [+] 5"),
    ],
)
def test_sizes_that_cannot_be(sizes, message):
    with pytest.raises(InvalidInput, match=message):
        split_indices(np.zeros(10, dtype=np.int64), sizes, seed=0)
