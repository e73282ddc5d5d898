"""Every kind of search can search a space whose decisions depend on the mechanism that was chosen."""

import pytest

from controllers import make_controller
from search_spaces.compose import answer, enumerate_space, validate
from tests.controllers.trials import play, scored
from tests.search_spaces.examples import example_space

SPACE = example_space("dynamic")
METHODS = {
    "random": {},
    "grid": {"order": "shuffled"},
    "evolution": {"population": 8, "tournament": 4},
    "local_search": {},
    "reinforce": {"batch": 3},
    "predictor": {"num_random": 8},
    "tpe": {"num_startup_trials": 8},
}
BEST = answer(SPACE, {"depth": 4, "width": 8, "mechanism": "gates", "gates.supervised_share": 0.5, "gates.alpha": 0.05})


def closeness(number, proposal):
    """Share of the best network's decisions that a network has: the mechanism's count for others only if it has it."""
    right = [proposal.architecture.decisions.get(name) == option for name, option in BEST.decisions.items()]
    return scored(number, proposal, sum(right) / len(right))


@pytest.mark.parametrize("method", METHODS)
def test_a_search_meets_every_mechanism(method):
    controller = make_controller(method, METHODS[method], space=SPACE, seed=0)
    trials = play(controller, 30, closeness)
    for trial in trials:
        validate(SPACE, trial.architecture)
    assert {trial.architecture.decisions["mechanism"] for trial in trials} == {"static", "exits", "gates", "policy"}


@pytest.mark.parametrize("method", ["evolution", "local_search", "predictor"])
def test_a_search_that_learns_finds_the_best(method):
    """Per width, 3 static ones, 1 + 4 + 6 with exits, 3 * 3 with gates and 3 * 2 with a policy: not half are tried."""
    assert sum(1 for _ in enumerate_space(SPACE)) == 2 * (3 + 11 + 9 + 6)
    trials = play(make_controller(method, METHODS[method], space=SPACE, seed=0), 22, closeness)
    assert BEST in [trial.architecture for trial in trials]
