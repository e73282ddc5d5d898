"""When the architecture stays as it is: rules on sequences made by hand, and their effect on the recipe."""

import copy

import pytest
import torch
from torch import nn

from search_spaces.relaxations.relaxation import Skipping
from workers.recipes import make_recipe
from workers.recipes.early_stop import EarlyStop, is_stable, start_of_growth
from workers.tasks import Split
from workers.training import Training


@pytest.mark.parametrize(
    ("rankings", "epochs", "stable"),
    [
        ("a", 1, False),
        ("aa", 1, True),
        ("ab", 1, False),
        ("aaa", 3, False),
        ("baaa", 2, True),
        ("abaa", 2, False),
        ("aaba", 3, False),
        ("aaaa", 3, True),
    ],
)
def test_rankings_are_stable_when_none_of_so_many_epochs_changed_them(rankings, epochs, stable):
    assert is_stable(rankings, epochs) is stable


FLAT = [1.0] * 20


def test_growth_starts_four_epochs_before_the_last_whole_window():
    # Windows of five around epochs 14 and 10: 1.0 before; after, one value in five weighs a fifth.
    grown = [*FLAT[:16], 2.6]
    assert start_of_growth([*FLAT[:16], 2.4], ratio=1.3, min_epochs=10) is None  # 1.28
    assert start_of_growth(grown, ratio=1.3, min_epochs=10) == 10  # 1.32
    assert start_of_growth(grown, ratio=1.3, min_epochs=11) is None


def test_windows_reach_back_as_far_as_there_are_values():
    # Epochs 0 and 4: the first window is of epochs 0, 1 and 2 alone.
    values = [1.0, 1.0, 4.0, 3.0, 3.0, 3.0, 3.0]
    before, after = (1 + 1 + 4) / 3, (4 + 3 + 3 + 3 + 3) / 5
    for ratio, start in ((after / before - 1e-6, 0), (after / before + 1e-6, None)):
        assert start_of_growth(values, ratio=ratio, min_epochs=0) == start
    assert start_of_growth(values[:6], ratio=1.01, min_epochs=0) is None, "the last window is not whole yet"


@pytest.mark.parametrize("values", [[-1.0] * 7, [0.0] * 7, [-1.0] * 4 + [5.0] * 3, [3.0, 2.0, 1.0, 1.0, 1.0, 1.0, 1.0]])
def test_no_growth_without_a_positive_beginning_or_upwards(values):
    assert start_of_growth(values, ratio=1.3, min_epochs=0) is None


class Linear(nn.Module):
    """Two architecture parameters, whose skips and ranking the test sets."""

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.eye(2))
        self.a = nn.Parameter(torch.zeros(2))
        self.skips = 0
        self.ranked = [[0, 1]]

    def forward(self, x):
        return (x * self.a.exp()) @ self.w

    def architecture_parameters(self):
        return [self.a]

    def num_skips(self):
        return self.skips

    def ranking(self):
        return self.ranked

    def constrain(self): ...
    def profile(self): ...
    def derive(self, readings): ...


BATCH = Split(x=torch.tensor([[1.0, 0.5], [-0.5, 1.0]]), y=torch.tensor([0, 1]))


def bilevel(network, **options):
    return make_recipe("bilevel", network, options, training=Training(schedule="constant"), num_steps=40)


def epoch(recipe, number, *, steps=2):
    phases = recipe.phases(number)
    for step in range(steps):
        for phase in phases:
            if step == 0 or not phase.once:
                phase.step(BATCH, BATCH)
    return [phase.name for phase in phases]


def test_stops_once_there_are_too_many_skips():
    network = Linear()
    assert isinstance(network, Skipping)
    network.skips = 3
    recipe = bilevel(network, max_skips=3, warmup_epochs=1)
    assert epoch(recipe, 0) == ["weights"]
    assert epoch(recipe, 1) == ["architecture", "weights"], "nothing was searched yet"
    assert [phase.name for phase in recipe.phases(1)] == ["architecture", "weights"], "not within an epoch"
    stopped_at = network.a.clone()
    network.skips = 2
    assert epoch(recipe, 2) == ["architecture", "weights"]
    assert not torch.equal(network.a, stopped_at)
    network.skips = 3
    stopped_at = network.a.clone()
    assert epoch(recipe, 3) == ["weights"]
    network.skips = 0
    assert epoch(recipe, 4) == ["weights"], "for good"
    assert torch.equal(network.a, stopped_at)


def test_stops_once_the_ranking_is_stable():
    network = Linear()
    recipe = bilevel(network, stable_epochs=2)
    names = []
    for number, ranking in enumerate([[0, 1], [1, 0], [1, 0], [1, 0], [0, 1]]):
        names.append(epoch(recipe, number))
        network.ranked = [ranking]
    assert [len(of_epoch) for of_epoch in names] == [2, 2, 2, 2, 1]


def test_goes_back_to_where_the_growth_began(monkeypatch):
    eigenvalues = iter([1.0] * 8 + [9.0] * 8)
    monkeypatch.setattr("workers.recipes.bilevel.largest_eigenvalue", lambda *_: torch.tensor(next(eigenvalues)))
    network = Linear()
    recipe = bilevel(network, eigenvalue_ratio=1.3, eigenvalue_min_epochs=2)
    before, names = [], []
    for number in range(12):
        before.append(network.a.clone())
        names.append(epoch(recipe, number))
    # The ninth eigenvalue, of epoch 8, is the first to be large: the window around epoch 6 against that around 2.
    assert names == [["curvature", "architecture", "weights"]] * 9 + [["weights"]] * 3
    assert torch.equal(network.a, before[2])


def test_a_fresh_recipe_has_all_phases_however_late():
    network = Linear()
    network.skips = 9
    options = {"max_skips": 1, "stable_epochs": 1, "eigenvalue_ratio": 1.3}
    names = [phase.name for phase in bilevel(network, **options).phases(10**6)]
    assert names == ["curvature", "architecture", "weights"]


@pytest.mark.parametrize("number", [4, 8])
def test_resumes_to_the_bit(number):
    def run(network, recipe, epochs):
        return [epoch(recipe, one) for one in epochs], network.a.clone()

    options = {"eigenvalue_ratio": 1.0000001, "eigenvalue_min_epochs": 0, "stable_epochs": 9}
    torch.manual_seed(0)
    network = Linear()
    recipe = bilevel(network, **options)
    run(network, recipe, range(number))
    saved = copy.deepcopy((network.state_dict(), recipe.state_dict()))
    torch.manual_seed(1)
    uninterrupted = run(network, recipe, range(number, 12))
    resumed = Linear()
    again = bilevel(resumed, **options)
    resumed.load_state_dict(saved[0])
    again.load_state_dict(saved[1])
    torch.manual_seed(1)
    names, a = run(resumed, again, range(number, 12))
    assert names == uninterrupted[0]
    assert torch.equal(a, uninterrupted[1])


def test_rules_without_their_number_are_off():
    network = Linear()
    network.skips = 100
    stop = EarlyStop(network, network.architecture_parameters())
    assert not stop.measures_curvature
    for number in range(20):
        assert not stop.is_over_at(number)
        stop.note_step()
