import hashlib
import math

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from search_spaces.errors import InvalidInput
from workers.tasks import TASKS, make_task


def fingerprint(*splits):
    digest = hashlib.sha256()
    for split in splits:
        digest.update(split.x.numpy().tobytes() + split.y.numpy().tobytes())
    return digest.hexdigest()[:16]


def rows(split):
    return {row.numpy().tobytes() for row in split.x}


def small(name, tmp_path):
    if name == "npz":
        rng = np.random.default_rng(0)
        np.savez(tmp_path / "data.npz", x=rng.normal(size=(90, 3)), y=np.arange(90) % 3)
        return {
            "name": "npz",
            "path": str(tmp_path / "data.npz"),
            "train_size": 40,
            "validation_size": 20,
            "test_size": 30,
        }
    return {"name": name, "train_size": 40, "validation_size": 20, "test_size": 30}


@pytest.mark.parametrize("name", TASKS)
class TestEveryTask:
    def test_sizes_types_and_labels(self, name, tmp_path):
        task = make_task(small(name, tmp_path))
        data, test = task.load(), task.load_test()
        assert [len(data.train), len(data.validation), len(test)] == [40, 20, 30]
        for split in (data.train, data.validation, test):
            assert (split.x.dtype, split.y.dtype) == (torch.float32, torch.int64)
            assert tuple(split.x.shape[1:]) == data.input_shape
            assert len(split.x) == len(split.y)
            assert split.y.min() >= 0
            assert split.y.max() == data.num_classes - 1
            assert split.x.isfinite().all()

    def test_splits_are_disjoint(self, name, tmp_path):
        task = make_task(small(name, tmp_path))
        data, test = task.load(), task.load_test()
        assert len(rows(data.train) | rows(data.validation) | rows(test)) == 90

    def test_the_test_split_does_not_depend_on_the_others(self, name, tmp_path):
        options = small(name, tmp_path)
        shorter = {**options, "train_size": 7, "validation_size": 5}
        assert fingerprint(make_task(options).load_test()) == fingerprint(make_task(shorter).load_test())

    def test_loading_twice_gives_the_same(self, name, tmp_path):
        options = small(name, tmp_path)
        one, other = make_task(options).load(), make_task(options).load()
        assert fingerprint(one.train, one.validation) == fingerprint(other.train, other.validation)


def test_digits_are_all_of_scikit_learns_images_and_stratified():
    task = make_task({"name": "digits"})
    data, test = task.load(), task.load_test()
    splits = (data.train, data.validation, test)
    assert [len(split) for split in splits] == [1000, 300, 497]
    pixels, labels = load_digits(return_X_y=True)
    ours = torch.cat([split.x for split in splits]).reshape(-1, 64).numpy() * 16
    assert sorted(map(bytes, ours.astype(np.uint8))) == sorted(map(bytes, pixels.astype(np.uint8)))
    for split in splits:
        assert abs(np.bincount(split.y) - len(split) * np.bincount(labels) / len(labels)).max() < 2


def test_digits_are_split_alike_on_every_machine():
    task = make_task({"name": "digits"})
    data = task.load()
    assert fingerprint(data.train, data.validation, task.load_test()) == "f01a6e5cd4dfd4e2"


@pytest.mark.parametrize("turns", [0.5, 2.0])
def test_the_points_of_a_spiral_lie_on_its_arms(turns):
    split = make_task({"name": "spiral", "turns": turns, "noise": 0.0}).load().train
    x, y = split.x.double().numpy(), split.y.numpy()
    radius, angle = np.hypot(*x.T), np.arctan2(x[:, 1], x[:, 0])
    assert radius.max() <= 1
    # Arm 0 is at the angle 2 pi turns r, arm 1 half a turn further.
    off = (angle - 2 * math.pi * turns * radius - math.pi * y) % (2 * math.pi)
    on_the_arm = np.minimum(off, 2 * math.pi - off) * radius
    assert on_the_arm.max() < 1e-5
    # Half of the area of the disc lies within the radius sqrt(1/2), and so do half of the points.
    assert (radius < math.sqrt(0.5)).mean() == pytest.approx(0.5, abs=0.05)
    assert np.bincount(y).tolist() == [512, 512]


def test_the_noise_of_a_spiral_is_what_was_asked_for():
    clean, noisy = (make_task({"name": "spiral", "noise": noise}).load_test() for noise in (0.0, 0.1))
    difference = (noisy.x - clean.x).numpy()
    assert difference.std() == pytest.approx(0.1, rel=0.1)
    assert abs(difference.mean()) < 0.01


def saved(tmp_path, **arrays):
    path = tmp_path / "data.npz"
    np.savez(path, **arrays)
    return {"name": "npz", "path": str(path), "train_size": 6, "validation_size": 2, "test_size": 2}


def everything(options):
    task = make_task(options)
    data = task.load()
    return torch.cat([data.train.x, data.validation.x, task.load_test().x])


def test_bytes_are_scaled_and_images_get_a_channel(tmp_path):
    x = np.full((10, 2, 3), 51, dtype=np.uint8)
    images = everything(saved(tmp_path, x=x, y=np.arange(10) % 2))
    assert images.shape == (10, 1, 2, 3)
    torch.testing.assert_close(images, torch.full((10, 1, 2, 3), 0.2))


def test_standardised_by_the_training_split_alone(tmp_path):
    x = np.random.default_rng(0).normal(size=(10, 3)) * [1, 50, 0] + [0, 7, 4]
    options = saved(tmp_path, x=x, y=np.zeros(10, dtype=int))
    raw, scaled = make_task(options), make_task({**options, "standardize": True})
    train, test = raw.load().train.x.double(), raw.load_test().x.double()
    mean, deviation = train.mean(0), train.std(0, unbiased=False)
    deviation[2] = 1  # a constant column is only shifted
    torch.testing.assert_close(scaled.load_test().x.double(), (test - mean) / deviation, atol=1e-5, rtol=1e-5)
    standardised = scaled.load().train.x
    torch.testing.assert_close(standardised.mean(0), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(standardised.std(0, unbiased=False), torch.tensor([1.0, 1.0, 0.0]), atol=1e-5, rtol=0)


def test_other_keys(tmp_path):
    options = saved(tmp_path, pixels=np.zeros((10, 3)), label=np.arange(10) % 5)
    data = make_task({**options, "x_key": "pixels", "y_key": "label"}).load()
    assert (data.num_classes, data.input_shape) == (5, (3,))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": np.zeros((10, 3))}, "y_key: must be among x, got 'y'"),
        ({"y": np.zeros(10, int)}, "x_key: must be among y, got 'x'"),
        (
            {"x": np.zeros((10, 3)), "y": np.zeros(10)},
            "y_key: must name one column of whole numbers from 0, got float64",
        ),
        ({"x": np.zeros((10, 3)), "y": np.zeros((10, 1), int)}, r"y_key: .* got int64\[10, 1\]"),
        ({"x": np.zeros((10, 3)), "y": np.full(10, -1)}, "y_key: "),
        ({"x": np.zeros((9, 3)), "y": np.zeros(10, int)}, r"x_key: .* x is \[9, 3\], y is \[10\]"),
        ({"x": np.zeros(10), "y": np.zeros(10, int)}, "x_key: must name one input per label"),
        ({"x": np.zeros((0, 3)), "y": np.zeros(0, int)}, "x_key: must name one input per label"),
        ({"x": np.full((10, 3), np.nan), "y": np.zeros(10, int)}, "x_key: must name finite numbers"),
        ({"x": np.full((10, 3), "a"), "y": np.zeros(10, int)}, "x_key: must name finite numbers"),
        ({"x": np.array([{}] * 10), "y": np.zeros(10, int)}, "path: .* is not an .npz file of plain arrays"),
        ({"x": np.zeros((9, 3)), "y": np.zeros(9, int)}, "test_size: splits must fit into the 9 examples"),
    ],
)
def test_files_that_are_no_data_set(tmp_path, arrays, message):
    with pytest.raises(InvalidInput, match=message):
        make_task(saved(tmp_path, **arrays)).load()


def test_files_that_are_no_npz(tmp_path):
    options = saved(tmp_path, x=np.zeros((10, 3)), y=np.zeros(10, int))
    with pytest.raises(InvalidInput, match=r"path: no such file: .*missing.npz"):
        make_task({**options, "path": str(tmp_path / "missing.npz")}).load()
    for content in (b"", b"x,y\n1,2\n", b"PK\x03\x04broken"):
        (tmp_path / "data.npz").write_bytes(content)
        with pytest.raises(InvalidInput, match=r"path: .* is not an .npz file of plain arrays"):
            make_task(options).load()
    np.save(tmp_path / "array.npy", np.zeros(3))
    with pytest.raises(InvalidInput, match=r"path: .* is not an .npz file"):
        make_task({**options, "path": str(tmp_path / "array.npy")}).load()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "name: is required; allowed: digits, npz, spiral"),
        ({"name": "mnist"}, "unknown task 'mnist'"),
        ({"name": "spiral", "turns": 0}, "turns: must be greater than 0, got 0"),
        ({"name": "digits", "size": 3}, "size: is not a known field"),
    ],
)
def test_options_that_are_none(options, message):
    with pytest.raises(InvalidInput, match=message):
        make_task(options)


def test_digits_that_do_not_fit():
    with pytest.raises(
        InvalidInput, match=r"test_size: splits must fit into the 1797 examples, got 497 [+] 300 [+] 1001"
    ):
        make_task({"name": "digits", "train_size": 1001}).load()
