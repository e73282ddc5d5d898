"""Searching pays: N trials find a better network than twice as many random ones."""

from functools import cache

import numpy as np
import pytest

from controllers import make_controller
from search_spaces.compose import answer, sample, size
from tests.controllers.toys import OPERATIONS, WIDTHS, Landscape
from tests.controllers.trials import play, scored

SPACE = Landscape()
NUM_TRIALS = 150
NUM_SEEDS = 20
WINS_WANTED = 15
"""Of 20: a method no better than random search with twice the trials would win this often with p = 0.021 at most."""


def best_score(method, num_trials, seed):
    controller = make_controller(method, {}, space=SPACE, seed=seed)
    trials = play(controller, num_trials, lambda number, proposal: scored(number, proposal, truth(proposal)))
    return max(trial.score for trial in trials)


def truth(proposal):
    return SPACE.score(proposal.architecture)


@cache
def best_random_score(seed):
    return best_score("random", 2 * NUM_TRIALS, seed)


@pytest.mark.parametrize("method", ["evolution", "local_search", "predictor", "reinforce", "tpe"])
def test_beats_random_search_with_twice_the_trials(method):
    wins = sum(best_score(method, NUM_TRIALS, seed) > best_random_score(seed) for seed in range(NUM_SEEDS))
    assert wins >= WINS_WANTED


MAX_EPOCHS = 64
NUM_FULL_TRIALS = 20


def score_after(architecture, epochs, seed):
    """A learning curve: the truth less an error that shrinks with the epochs, and is different for every network."""
    error = np.random.default_rng((seed, int(architecture.id, 16))).uniform(0, 0.2)
    return SPACE.score(architecture) - error * (1 - epochs / MAX_EPOCHS)


def best_fully_trained(method, num_epochs, seed):
    """The best score at the full fidelity that trials of so many epochs in all lead to."""
    controller = make_controller(method, {}, space=SPACE, seed=seed, trial_epochs=MAX_EPOCHS)
    number, best = 0, 0.0
    while num_epochs > 0:
        proposal = controller.ask(number)
        epochs = proposal.epochs or MAX_EPOCHS
        num_epochs -= epochs - proposal.resumed_epochs
        trial = scored(number, proposal, score_after(proposal.architecture, epochs, seed))
        controller.tell(trial)
        number += 1
        if epochs == MAX_EPOCHS:
            best = max(best, trial.score)
    return best


@pytest.mark.parametrize("method", ["asha", "successive_halving"])
def test_beats_random_search_with_twice_the_epochs(method):
    num_epochs = NUM_FULL_TRIALS * MAX_EPOCHS
    wins = sum(
        # Random search of other seeds: of the same, it would draw some of the same candidates.
        best_fully_trained(method, num_epochs, seed) > best_fully_trained("random", 2 * num_epochs, NUM_SEEDS + seed)
        for seed in range(NUM_SEEDS)
    )
    assert wins >= WINS_WANTED


def all_scores(depth):
    """Scores of every network of one depth, `[12] * depth`, as sums of tables broadcast against each other."""
    options = [(op, width) for op in OPERATIONS for width in WIDTHS]
    levels = min(depth, 5)
    total = np.zeros((12,) * depth)
    right = np.array([[op == SPACE.best[level][0] for op, _ in options] for level in range(levels)])
    for level in range(levels):
        steps = np.array([abs(WIDTHS.index(width) - WIDTHS.index(SPACE.best[level][1])) for _, width in options])
        total += along(0.6 * right[level] + 0.4 - 0.2 * steps, level, depth)
    for level in range(levels - 1):
        total += 0.5 * along(right[level], level, depth) * along(right[level + 1], level + 1, depth)
    return 0.2 + 0.1 * total - 0.02 * (depth - levels)


def along(values, axis, num_axes):
    return values.reshape([-1 if other == axis else 1 for other in range(num_axes)])


def test_the_best_network_is_the_only_one():
    scores = {depth: all_scores(depth) for depth in range(1, 7)}
    assert sum(table.size for table in scores.values()) == 3_257_436
    assert size(SPACE).points > 1e5
    best = np.ravel_multi_index([OPERATIONS.index(op) * 3 + WIDTHS.index(width) for op, width in SPACE.best], [12] * 5)
    assert scores[5].argmax() == best
    everything = np.sort(np.concatenate([table.ravel() for table in scores.values()]))
    assert everything[-1] == pytest.approx(0.9)
    assert everything[-2] <= 0.9 - 0.019


def test_scores_are_those_of_the_exhaustive_tables():
    rng = np.random.default_rng(0)
    for architecture in (sample(SPACE, rng) for _ in range(50)):
        blocks = architecture.form["blocks"]
        index = tuple(OPERATIONS.index(op) * 3 + WIDTHS.index(width) for op, width in blocks)
        assert SPACE.score(architecture) == pytest.approx(all_scores(architecture.depth)[index])


def test_the_best_network_scores_nine_tenths():
    decisions = {f"block{level}.op": op for level, (op, _) in enumerate(SPACE.best, start=1)}
    decisions |= {f"block{level}.width": width for level, (_, width) in enumerate(SPACE.best, start=1)}
    assert SPACE.score(answer(SPACE, {"depth": 5, **decisions})) == pytest.approx(0.9)
