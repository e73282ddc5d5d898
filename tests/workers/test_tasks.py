import hashlib
import math
import os
from collections import Counter
from pathlib import Path

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


def small_text(num_characters, seed=0):
    letters = np.array(list("abcdefgh \n"))
    return "".join(letters[np.random.default_rng(seed).integers(len(letters), size=num_characters)])


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
    sizes = {"name": name, "train_size": 40, "validation_size": 20, "test_size": 30}
    if name == "text":
        (tmp_path / "text.txt").write_text(small_text(3000))
        return {**sizes, "path": str(tmp_path / "text.txt"), "context": 9}
    if name == "number_line":
        return {**sizes, "bits": 1}
    if name == "parity":
        return {**sizes, "length": 32, "min_nonzero": 8}
    return sizes


@pytest.mark.parametrize("name", TASKS)
class TestEveryTask:
    def test_sizes_types_and_labels(self, name, tmp_path):
        task = make_task(small(name, tmp_path))
        data, test = task.load(), task.load_test()
        assert [len(data.train), len(data.validation), len(test)] == [40, 20, 30]
        for split in (data.train, data.validation, test):
            assert (split.x.dtype, split.y.dtype) == (torch.int64 if data.num_tokens else torch.float32, torch.int64)
            assert tuple(split.x.shape[1:]) == data.input_shape
            assert tuple(split.y.shape[1:]) == data.label_shape == (data.input_shape if data.num_tokens else ())
            assert len(split.x) == len(split.y) == len(split)
            assert split.y.min() >= 0
            assert split.y.max() == data.num_classes - 1
            assert split.x.isfinite().all()
            assert not data.num_tokens or 0 <= split.x.min() <= split.x.max() < data.num_tokens

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

    def test_labels_can_be_withheld(self, name, tmp_path):
        whole, task = make_task(small(name, tmp_path)), make_task({**small(name, tmp_path), "labelled": 12})
        data = task.load()
        assert data.unlabelled is not None
        assert (len(data.train), len(data.unlabelled), data.num_unlabelled) == (12, 28, 28)
        assert (data.unlabelled.y == -100).all()
        assert data.unlabelled.y.shape[1:] == data.train.y.shape[1:]
        known = {
            (x.numpy().tobytes(), y.numpy().tobytes())
            for x, y in zip(whole.load().train.x, whole.load().train.y, strict=True)
        }
        assert {
            (x.numpy().tobytes(), y.numpy().tobytes()) for x, y in zip(data.train.x, data.train.y, strict=True)
        } <= known
        assert rows(data.train) | rows(data.unlabelled) == rows(whole.load().train)
        assert fingerprint(data.validation, task.load_test()) == fingerprint(whole.load().validation, whole.load_test())
        again = task.load()
        assert fingerprint(again.train, again.unlabelled) == fingerprint(data.train, data.unlabelled)


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
    ("labels", "numbers"),
    [
        ([1, 2, 3, 2, 1] * 2, [0, 1, 2, 1, 0] * 2),
        ([-1, 1, 1, -1, 1] * 2, [0, 1, 1, 0, 1] * 2),
        ([7, 70, 700, 70, 7] * 2, [0, 1, 2, 1, 0] * 2),
        (["cat", "ant", "bee", "ant", "cat"] * 2, [2, 0, 1, 0, 2] * 2),
        ([False, True, True, False, True] * 2, [0, 1, 1, 0, 1] * 2),
    ],
)
def test_class_k_is_the_kth_label_in_order(tmp_path, labels, numbers):
    options = saved(tmp_path, x=np.arange(10.0)[:, None], y=np.array(labels))
    task = make_task(options)
    data = task.load()
    assert data.num_classes == len(set(numbers))
    seen = 0
    for split in (data.train, data.validation, task.load_test()):
        assert split.y.tolist() == [numbers[int(x)] for x in split.x[:, 0]]
        seen += len(split)
    assert seen == 10


def test_a_class_with_one_example_is_in_one_split(tmp_path):
    task = make_task(saved(tmp_path, x=np.arange(10.0)[:, None], y=np.array([5] + [4] * 9)))
    data = task.load()
    splits = (data.train, data.validation, task.load_test())
    assert data.num_classes == 2
    assert sum((split.y == 1).sum().item() for split in splits) == 1


def with_test_file(tmp_path, **arrays):
    """Ten rows 0..9 of the classes a and b to learn from, and a test file of its own."""
    options = saved(tmp_path, x=np.arange(10.0)[:, None] + [0, 5], y=np.array(["a", "b"] * 5))
    np.savez(tmp_path / "test.npz", **arrays)
    del options["test_size"]
    return {**options, "train_size": 7, "validation_size": 3, "test_path": str(tmp_path / "test.npz")}


def test_a_test_file_of_its_own(tmp_path):
    x, y = np.arange(20.0, 28.0)[:, None] + [0, 5], np.array(["b", "b", "a", "b"] * 2)
    options = with_test_file(tmp_path, x=x, y=y)
    task = make_task(options)
    data, test = task.load(), task.load_test()
    assert len(rows(data.train) | rows(data.validation)) == 10
    assert test.x.tolist() == x.tolist()
    assert test.y.tolist() == [1, 1, 0, 1] * 2
    # some of it, with the classes in proportion
    part = make_task({**options, "test_size": 4}).load_test()
    assert sorted(part.y.tolist()) == [0, 1, 1, 1]
    assert rows(part) < rows(test)
    # on the scale of what is learned from
    scaled = make_task({**options, "standardize": True}).load_test().x
    train = data.train.x
    torch.testing.assert_close(scaled, (test.x - train.mean(0)) / train.std(0, unbiased=False))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": np.zeros((4, 2)), "y": np.array(list("abca"))}, "test_path: must have no labels but 'a', 'b', got 'c'"),
        ({"x": np.zeros((4, 3)), "y": np.array(list("abba"))}, r"test_path: must hold inputs of \[2\], got \[3\]"),
        ({"x": np.zeros((4, 2))}, "y_key: must be among x, got 'y'"),
    ],
)
def test_a_test_file_that_does_not_fit_is_refused_before_anything_is_trained(tmp_path, arrays, message):
    task = make_task(with_test_file(tmp_path, **arrays))
    with pytest.raises(InvalidInput, match=message):
        task.load()


def test_a_test_file_that_is_missing(tmp_path):
    options = with_test_file(tmp_path, x=np.zeros((4, 2)), y=np.array(list("abba")))
    with pytest.raises(InvalidInput, match=r"test_path: no such file: .*nowhere.npz"):
        make_task({**options, "test_path": str(tmp_path / "nowhere.npz")}).load()
    with pytest.raises(InvalidInput, match=r"test_size: splits must fit into the 4 examples, got 5"):
        make_task({**options, "test_size": 5}).load()
    del options["test_path"]
    with pytest.raises(InvalidInput, match=r"test_size: is required, unless test_path is given"):
        make_task(options)


def test_images_are_shrunk_by_the_mean_over_areas(tmp_path):
    x = np.zeros((10, 4, 6), dtype=np.uint8)
    x[:, :2, :3] = np.arange(6).reshape(2, 3)  # an area of 2x3 with the mean 2.5
    x[:, 2:, 3:] = 255
    options = saved(tmp_path, x=x, y=np.arange(10) % 2)
    images = everything({**options, "resize": [2, 2]})
    expected = torch.tensor([[2.5 / 255, 0], [0, 1]]).expand(10, 1, 2, 2)
    torch.testing.assert_close(images, expected)
    assert everything({**options, "resize": [4, 6]}).equal(everything(options))
    square = torch.nn.functional.interpolate(everything(options), (2, 3), mode="area")
    torch.testing.assert_close(everything({**options, "resize": [2, 3]}), square)


def test_colours_last(tmp_path):
    x = np.random.default_rng(0).random((10, 2, 4, 3))
    options = {**saved(tmp_path, x=x, y=np.arange(10) % 2), "channels_last": True}
    first = {**saved(tmp_path, x=x.transpose(0, 3, 1, 2), y=np.arange(10) % 2)}
    expected = everything(first)
    np.savez(options["path"], x=x, y=np.arange(10) % 2)
    images = everything(options)
    assert images.shape == (10, 3, 2, 4)
    assert images.equal(expected)
    assert images.is_contiguous()
    shrunk = everything({**options, "resize": [1, 2]})
    torch.testing.assert_close(shrunk, images.reshape(10, 3, 1, 2, 2, 2).mean(dim=(3, 5)))


@pytest.mark.parametrize(
    ("shape", "options", "message"),
    [
        ((10, 4, 6), {"resize": [3, 3]}, r"resize: must divide the image's 4x6, got \[3, 3\]"),
        ((10, 4, 6), {"resize": [8, 12]}, r"resize: must divide the image's 4x6, got \[8, 12\]"),
        ((10, 4), {"resize": [2, 2]}, r"resize: is for images, got inputs of \[4\]"),
        ((10, 4, 6), {"channels_last": True}, r"channels_last: is for images of \[height, width, channels\], got \["),
    ],
)
def test_what_cannot_be_done_to_the_inputs(tmp_path, shape, options, message):
    saved_options = saved(tmp_path, x=np.zeros(shape), y=np.arange(10) % 2)
    with pytest.raises(InvalidInput, match=message):
        make_task({**saved_options, **options}).load()


TABLES = {
    "letter": (20000, 16, 26),
    "pendigits": (10992, 16, 10),
    "optdigits": (5620, 64, 10),
    "waveform5000": (5000, 40, 3),
    "spambase": (4601, 57, 2),
    "segment": (2310, 19, 7),
    "vowel": (990, 10, 11),
    "vehicle": (846, 18, 4),
    "page_blocks": (5473, 10, 5),
    "ionosphere": (351, 34, 2),
    "sonar": (208, 60, 2),
}
"""Rows, columns and classes, as the UCI repository tells them."""


@pytest.mark.parametrize("name", TABLES)
def test_uci_tables_are_read_as_they_come(name):
    path = Path(os.environ.get("NAS_DATA", Path(__file__).parents[3] / "shared" / "data")) / "uci_numeric.npz"
    if not path.exists():
        pytest.skip(f"no {path}: set NAS_DATA to the folder that has it")
    num_rows, num_columns, num_classes = TABLES[name]
    sizes = {"validation_size": num_rows // 5, "test_size": num_rows // 5}
    train_size = num_rows - 2 * (num_rows // 5)
    keys = {"path": str(path), "x_key": f"{name}_x", "y_key": f"{name}_y", "standardize": True}
    task = make_task({"name": "npz", **keys, **sizes, "train_size": train_size})
    data = task.load()
    splits = (data.train, data.validation, task.load_test())
    assert (sum(map(len, splits)), data.input_shape, data.num_classes) == (num_rows, (num_columns,), num_classes)
    counts = torch.stack([split.y.bincount(minlength=num_classes) for split in splits])
    for split, count in zip(splits, counts, strict=True):
        assert abs(count - len(split) * counts.sum(0) / num_rows).max() < 2
        assert count.min() >= 1
        assert split.x.isfinite().all()


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": np.zeros((10, 3))}, "y_key: must be among x, got 'y'"),
        ({"y": np.zeros(10, int)}, "x_key: must be among y, got 'x'"),
        (
            {"x": np.zeros((10, 3)), "y": np.zeros(10)},
            r"y_key: must name one column of whole numbers or text, got float64\[10\]",
        ),
        ({"x": np.zeros((10, 3)), "y": np.zeros((10, 1), int)}, r"y_key: .* got int64\[10, 1\]"),
        ({"x": np.zeros((10, 3)), "y": np.full(10, "2026-01-01", "datetime64[D]")}, "y_key: "),
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
        ({}, "name: is required; allowed: digits, npz, number_line, parity, spiral, text"),
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


@pytest.mark.parametrize(("options", "num_classes"), [({"bits": 12}, 4096), ({"num_classes": 10}, 10), ({}, 64)])
def test_the_class_on_the_number_line_is_the_nearest_number(options, num_classes):
    task = make_task({"name": "number_line", "train_size": 3000, "test_size": 20000, **options})
    data, test = task.load(), task.load_test()
    assert (data.num_classes, data.input_shape) == (num_classes, (1,))
    assert data.train.x.min() >= -1
    assert data.train.x.max() < 1
    # back from [-1, 1) to [1/2, N + 1/2): the nearest number, one by one
    numbers = np.arange(1, num_classes + 1)
    x = (data.train.x[:, 0].double().numpy() + 1) / 2 * num_classes + 0.5
    for point, label in zip(x, data.train.y.tolist(), strict=True):
        distances = abs(numbers - point)
        assert distances[label] == distances.min() <= 0.5
    # evenly: the mean of 20000 draws, and no part of the line without them
    assert test.x.mean().item() == pytest.approx(0, abs=0.02)
    assert np.histogram(test.x, bins=20, range=(-1, 1))[0] == pytest.approx(np.full(20, 1000), rel=0.15)


def test_the_number_line_has_one_size():
    with pytest.raises(InvalidInput, match=r"bits: give either bits or num_classes, got 3 and 8"):
        make_task({"name": "number_line", "bits": 3, "num_classes": 8})
    with pytest.raises(InvalidInput, match=r"bits: must be at most 16, got 17"):
        make_task({"name": "number_line", "bits": 17})


def test_parity_is_that_of_the_ones():
    task = make_task({"name": "parity", "length": 12, "train_size": 3000})
    train = task.load().train
    for vector, label in zip(train.x.int().tolist(), train.y.tolist(), strict=True):
        assert set(vector) <= {-1, 0, 1}
        assert label == vector.count(1) % 2
    # every number of elements that are not 0 is as likely, every place, and both signs
    nonzero = train.x != 0
    assert np.bincount(nonzero.sum(1), minlength=13)[1:] == pytest.approx(np.full(12, 250), rel=0.3)
    assert nonzero.double().mean(0).numpy() == pytest.approx(np.full(12, 6.5 / 12), abs=0.05)
    assert train.x.mean().item() == pytest.approx(0, abs=0.02)


def test_no_vector_of_parity_is_in_two_splits_also_where_there_are_few():
    task = make_task({"name": "parity", "length": 6})
    data = task.load()
    splits = [rows(split) for split in (data.train, data.validation, task.load_test())]
    assert len(set.union(*splits)) == sum(map(len, splits)) <= 3**6 - 1
    assert [len(part) / (3**6 - 1) for part in splits] == pytest.approx([0.6, 0.2, 0.2], abs=0.05)
    # where a vector belongs does not tell where its negative does
    negatives = {(-torch.frombuffer(bytearray(row), dtype=torch.float32)).numpy().tobytes() for row in splits[2]}
    of_negatives = [len({row for row in negatives if row in part}) for part in splits]
    assert min(of_negatives) > 0


def test_parity_extrapolates_to_longer_vectors():
    options = {"name": "parity", "length": 24, "max_nonzero": 12, "test_min_nonzero": 13, "test_max_nonzero": 24}
    task = make_task(options)
    data = task.load()
    numbers = [Counter((split.x != 0).sum(1).tolist()) for split in (data.train, data.validation, task.load_test())]
    assert [(min(number), max(number)) for number in numbers] == [(1, 12), (1, 12), (13, 24)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_nonzero": 9}, "max_nonzero: must be at most the length 8, got 9"),
        ({"min_nonzero": 9}, "min_nonzero: must be at most max_nonzero 8, got 9"),
        ({"min_nonzero": 5, "max_nonzero": 4}, "min_nonzero: must be at most max_nonzero 4, got 5"),
        ({"test_max_nonzero": 9}, "test_max_nonzero: must be at most the length 8, got 9"),
        ({"test_min_nonzero": 5, "test_max_nonzero": 4}, "test_min_nonzero: must be at most test_max_nonzero 4, got 5"),
        ({"max_nonzero": 4, "test_min_nonzero": 5}, "test_min_nonzero: must be at most test_max_nonzero 4, got 5"),
    ],
)
def test_parity_of_vectors_that_there_are_not(options, message):
    with pytest.raises(InvalidInput, match=message):
        make_task({"name": "parity", **options})


def test_parity_of_too_few_vectors_to_share():
    options = {"name": "parity", "length": 1, "train_size": 2, "validation_size": 2, "test_size": 2}
    task = make_task(options)
    with pytest.raises(InvalidInput, match=r"length: must give more vectors than 1 elements, 1 to 1 of them not 0"):
        (task.load(), task.load_test())


def text_task(tmp_path, content, **options):
    path = tmp_path / "text.txt"
    path.write_text(content, encoding="utf-8")
    return make_task({"name": "text", "path": str(path), "context": 4, **options})


def test_a_text_by_hand(tmp_path):
    task = text_task(tmp_path, "abcabcabc" + "abxab" + "cbacb", train_size=2, validation_size=1, test_size=1)
    data, test = task.load(), task.load_test()
    assert (data.num_tokens, data.num_classes) == (4, 4)  # a, b, c and all others
    assert data.train.x.tolist() == [[1, 2, 3, 1], [2, 3, 1, 2]]
    assert data.train.y.tolist() == [[2, 3, 1, 2], [3, 1, 2, 3]]
    assert data.validation.x.tolist() == [[1, 2, 0, 1]]
    assert data.validation.y.tolist() == [[2, 0, 1, 2]]
    assert (test.x.tolist(), test.y.tolist()) == ([[3, 2, 1, 3]], [[2, 1, 3, 2]])


def characters_of(split):
    """How many characters of the text its windows cover, the last label included."""
    return split.x.numel() + 1


def test_no_character_of_a_text_is_in_two_splits(tmp_path):
    # every character is another one, so that an id that is known names its place
    text = "".join(map(chr, range(0x4E00, 0x4E00 + 200)))
    task = text_task(tmp_path, text, validation_size=5, test_size=7)
    data, test = task.load(), task.load_test()
    assert len(data.train) == (200 - 21 - 29 - 1) // 4
    train = set(data.train.x.flatten().tolist()) | set(data.train.y.flatten().tolist())
    assert train == set(range(1, data.num_tokens))
    assert len(train) == characters_of(data.train) <= 200 - characters_of(data.validation) - characters_of(test)
    for split in (data.validation, test):  # nothing of theirs was seen in training
        assert split.x.eq(0).all()
        assert split.y.eq(0).all()
    # the same splits, told apart: what trains first comes first
    known = text_task(tmp_path, text + text, train_size=50, validation_size=20, test_size=20)
    data, test = known.load(), known.load_test()
    assert data.train.x.flatten().tolist() == list(range(1, 201))
    assert data.validation.x[0, 0] == 400 - 81 - 81 - 200 + 1
    assert test.y[-1, -1] == 200
    assert not set(data.validation.x.flatten().tolist()) & set(test.x.flatten().tolist())


def test_the_labels_of_a_text_are_its_next_characters(tmp_path):
    text = small_text(500)
    data = text_task(tmp_path, text, validation_size=3, test_size=3).load()
    assert data.train.y[:, :-1].equal(data.train.x[:, 1:])
    letters = sorted(set(text[: characters_of(data.train)]))
    read = "".join(letters[index - 1] for index in data.train.x.flatten())
    assert read == text[: len(read)]


def test_line_ends_and_byte_order_marks_are_not_characters(tmp_path):
    options = {"train_size": 2, "validation_size": 1, "test_size": 1}
    plain = text_task(tmp_path, "ab\nabc\nab" * 3, **options).load()
    (tmp_path / "text.txt").write_bytes(("\ufeff" + "ab\r\nabc\r\nab" * 3).encode())
    windows = make_task({"name": "text", "path": str(tmp_path / "text.txt"), "context": 4, **options}).load()
    assert fingerprint(windows.train, windows.validation) == fingerprint(plain.train, plain.validation)


def test_texts_that_are_none(tmp_path):
    with pytest.raises(
        InvalidInput, match=r"test_size: splits must fit into the 40 characters, got 5 [+] 25 [+] 29 for 1 [+] 6 [+] 7 "
    ):
        text_task(tmp_path, "a" * 40, validation_size=6, test_size=7).load()
    with pytest.raises(InvalidInput, match=r"context: must be at least 1, got 0"):
        text_task(tmp_path, "a" * 40, context=0)
    (tmp_path / "text.txt").write_bytes("früh".encode("latin-1"))
    options = {"name": "text", "path": str(tmp_path / "text.txt")}
    with pytest.raises(InvalidInput, match=r"path: .*text.txt is not UTF-8 text"):
        make_task(options).load()
    with pytest.raises(InvalidInput, match=r"path: no such file"):
        make_task({**options, "path": str(tmp_path / "nothing.txt")}).load()
    with pytest.raises(InvalidInput, match=r"path: cannot read .*: Is a directory"):
        make_task({**options, "path": str(tmp_path)}).load()


def test_drawn_tasks_are_the_same_on_every_machine():
    for options, expected in (
        ({"name": "number_line", "bits": 5}, "f4d6e3b67dd6a1f4"),
        ({"name": "parity", "length": 10}, "6c9a1ea161e05a42"),
    ):
        task = make_task(options)
        data = task.load()
        assert fingerprint(data.train, data.validation, task.load_test()) == expected
        other = make_task({**options, "data_seed": 1}).load()
        assert fingerprint(other.train) != fingerprint(data.train)


def test_labels_are_kept_in_proportion():
    data = make_task({"name": "digits", "labelled": 100}).load()
    assert abs(np.bincount(data.train.y) - 10).max() <= 1


@pytest.mark.parametrize(
    ("labelled", "message"),
    [
        (40, "must be less than the 40 training examples, got 40"),
        (0, "must be at least 1, got 0"),
        (2.5, "must be a whole number, got 2.5"),
    ],
)
def test_some_labels_are_kept_and_some_are_not(labelled, message):
    with pytest.raises(InvalidInput, match=f"labelled: {message}"):
        make_task({"name": "spiral", "train_size": 40, "labelled": labelled}).load()
