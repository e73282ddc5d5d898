import pytest
import torch
from torch import nn

from search_spaces.relaxations.relaxation import UNLABELLED
from workers.batches import Batches, num_joining
from workers.tasks import SearchData, Split


def numbered(size):
    """Each example is its own number."""
    return Split(x=torch.arange(size).float()[:, None], y=torch.arange(size))


def batches(num_train=10, num_validation=5, *, batch_size=4, seed=0):
    data = SearchData(train=numbered(num_train), validation=numbered(num_validation), num_classes=2)
    return Batches(data, batch_size=batch_size, seed=seed)


def joined_batches(num_unlabelled, *, available):
    """Inputs without a label have numbers from 100."""
    x = torch.arange(100, 100 + available).float()[:, None]
    unlabelled = Split(x=x, y=torch.full((available,), UNLABELLED))
    data = SearchData(train=numbered(10), validation=numbered(5), num_classes=2, unlabelled=unlabelled)
    return Batches(data, batch_size=4, seed=0, num_unlabelled=num_unlabelled)


def drawn(of, epoch):
    return [(train.y.tolist(), validation.y.tolist()) for train, validation in of.epoch(epoch)]


def test_every_batch_is_full_and_no_example_comes_twice():
    steps = drawn(batches(), 0)
    assert len(steps) == len(batches()) == 2
    assert all(len(train) == 4 and len(validation) == 4 for train, validation in steps)
    assert len({example for train, _ in steps for example in train}) == 8


def test_inputs_stay_with_their_labels():
    for train, validation in batches().epoch(3):
        for batch in (train, validation):
            assert batch.x[:, 0].tolist() == batch.y.tolist()


def test_validation_starts_over_when_it_runs_out():
    validation = [examples for _, examples in drawn(batches(num_train=16, num_validation=9), 0)]
    assert validation[0] != validation[1]
    assert validation[2:] == validation[:2]


def test_a_split_smaller_than_the_batch_is_one_batch():
    ((train, validation),) = drawn(batches(num_train=3, num_validation=2, batch_size=64), 0)
    assert (sorted(train), sorted(validation)) == ([0, 1, 2], [0, 1])


def test_every_example_has_its_turn_over_the_epochs():
    of = batches()
    seen = {example for epoch in range(20) for train, _ in drawn(of, epoch) for example in train}
    assert seen == set(range(10))


def test_an_epoch_is_a_function_of_the_seed_and_its_number():
    of, other = batches(num_train=40), batches(num_train=40)
    drawn(of, 0)
    assert drawn(of, 7) == drawn(other, 7)
    assert drawn(of, 7) != drawn(of, 8)
    assert drawn(of, 7) != drawn(batches(num_train=40, seed=1), 7)


def test_no_use_of_the_global_generator():
    before = torch.get_rng_state()
    drawn(batches(), 0)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(("num_train", "batch_size", "steps"), [(8, 4, 2), (11, 4, 2), (4, 4, 1), (3, 4, 1)])
def test_steps_per_epoch(num_train, batch_size, steps):
    of = batches(num_train=num_train, batch_size=batch_size)
    assert len(of) == len(drawn(of, 0)) == steps


def test_without_validation_the_training_batches_are_the_same():
    of = batches()
    pairs, alone = list(of.epoch(2)), list(of.epoch(2, with_validation=False))
    assert [train.y.tolist() for train, _ in alone] == [train.y.tolist() for train, _ in pairs]
    assert {len(unread) for _, unread in alone} == {len(validation) for _, validation in pairs}


def test_inputs_without_a_label_come_after_those_that_would_be_there_anyway():
    of = joined_batches(3, available=7)
    assert len(of) == 2
    for (train, validation), (alone, as_ever) in zip(of.epoch(5), batches().epoch(5), strict=True):
        assert train.y.tolist() == [*alone.y.tolist(), -100, -100, -100]
        assert train.x[:4].equal(alone.x)
        assert validation.y.equal(as_ever.y)
    first, second = ([int(number) for number in train.x[4:, 0]] for train, _ in of.epoch(5))
    assert set(first) | set(second) <= set(range(100, 107))
    assert not set(first) & set(second)


def test_inputs_without_a_label_start_over_when_they_run_out():
    first, second = (sorted(train.x[4:, 0].tolist()) for train, _ in joined_batches(3, available=5).epoch(0))
    assert first == second
    seen = {
        number
        for epoch in range(20)
        for train, _ in joined_batches(3, available=5).epoch(epoch)
        for number in train.x[4:, 0].tolist()
    }
    assert seen == {100, 101, 102, 103, 104}


class Curious(nn.Module):
    def num_unlabelled(self, num_labelled):
        return 2 * num_labelled


@pytest.mark.parametrize(
    ("network", "available", "joining"),
    [(Curious(), 9, 8), (Curious(), 5, 5), (Curious(), 0, 0), (nn.Identity(), 9, 0)],
)
def test_as_many_join_as_a_network_asks_for_and_as_there_are(network, available, joining):
    assert num_joining(network, train_size=4, available=available) == joining
