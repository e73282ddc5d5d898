"""What the service relies on, for every method in the registry."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest

from controllers import CONTROLLERS, make_controller
from controllers.controller import Recommending
from controllers.trial import Kind, Status
from search_spaces import SearchSpace, make_space
from search_spaces.compose import enumerate_space, validate
from search_spaces.errors import SearchExhausted
from search_spaces.readings import LEVEL_LOSS
from search_spaces.relaxations import RELAXATIONS, make_relaxation
from tests.controllers.toys import Landscape, arbitrary_score
from tests.controllers.trials import failed, play, running, scored

CHAIN = make_space({"family": "mlp", "depth": {"min": 1, "max": 5}, "width": 8}, input_shape=(2,), num_classes=2)
SMALL = Landscape(max_depth=2)


@dataclass(frozen=True, kw_only=True)
class Example:
    """A method with options, on a space that it can search."""

    space: SearchSpace = field(default_factory=Landscape)
    options: Mapping[str, Any] = field(default_factory=dict)
    num_proposals: int | None = None
    """How many it makes before it is exhausted; None: any number."""
    uses_seed: bool = True
    num_failing: int | None = None
    """How many it makes if all architectures fail; None: as many as ever."""


GROWN = Example(space=CHAIN, num_proposals=5 + 1, uses_seed=False, num_failing=1)

EXAMPLES = {
    "adanet": Example(space=CHAIN, num_proposals=3, uses_seed=False),  # no ensemble is better than the first
    "asha": Example(options={"max_epochs": 9, "reduction_factor": 2}),
    "autogrow": replace(GROWN, num_proposals=4 + 1, options={"patience": 5}),  # its fourth stage fails
    "boosting": Example(
        space=CHAIN, options={"memorised_below": 100}, num_proposals=1 + 1 + 4, uses_seed=False, num_failing=1 + 1
    ),
    "brute_force": Example(space=SMALL, num_proposals=12 + 12**2),
    "cmaes": Example(options={"population": 4}),
    "distillation": Example(
        space=CHAIN, options={"student": {"depth": 2}}, num_proposals=2, uses_seed=False, num_failing=1
    ),
    "evolution": Example(options={"population": 6, "tournament": 3, "crossover_probability": 0.5}),
    "fixed": Example(options={"architecture": {"depth": 2}}, num_proposals=1, uses_seed=False),
    "gp": Example(space=SMALL, options={"num_startup_trials": 14}),
    "grid": Example(space=SMALL, options={"order": "shuffled"}, num_proposals=12 + 12**2),
    "local_search": Example(space=SMALL, options={"num_starts": 2}),
    "lottery_ticket": Example(space=CHAIN, num_proposals=1 + 7, uses_seed=False),
    "magnitude_pruning": Example(space=CHAIN, options={"num_rounds": 3}, num_proposals=1 + 3, uses_seed=False),
    "net2deeper": replace(GROWN, num_proposals=3 + 1, options={"min_gain": 0.0}),
    "nsga2": Example(options={"population": 5}),
    "nsga3": Example(options={"population": 5, "objectives": ["val_accuracy", "num_parameters"]}),
    "predictor": Example(options={"num_random": 4}),
    "qmc": Example(),
    "random": Example(),
    "reinforce": Example(options={"batch": 3, "depth_schedule": {"start": 2, "step": 1, "every": 10}}),
    "stacking": replace(GROWN, num_proposals=4 + 1),
    "successive_halving": Example(options={"max_epochs": 4, "reduction_factor": 2}),
    "tpe": Example(options={"num_startup_trials": 5}),
    **dict.fromkeys(RELAXATIONS, Example(space=CHAIN, num_proposals=1 + 5, uses_seed=False)),
}

GOLDEN = {
    "adanet": "aef284cf920dab49",
    "asha": "22cf651ef67c538f",
    "autogrow": "ffd91ac6069d3545",
    "boosting": "d10b2755c4d745e1",
    "brute_force": "f47fd0e2c14ea7fd",
    "cmaes": "bf2b6e7f706b3236",
    "distillation": "0fcf5412dd85e4ea",
    "evolution": "bbfe9053437a3445",
    "fixed": "86b8c73866719a4e",
    "gp": "8c6b85999fc48ee3",
    "grid": "34dfa47b08c15e28",
    "local_search": "c1558793c318597f",
    "lottery_ticket": "7166a2202c0b7818",
    "magnitude_pruning": "231eed2db5c4ab0b",
    "net2deeper": "4978fea628ac1830",
    "nsga2": "f1a951a0dc9e6141",
    "nsga3": "f1a951a0dc9e6141",
    "predictor": "4fdddf3e7644389e",
    "qmc": "0a63c04b5ac0dda4",
    "random": "42fc61900111e6b6",
    "reinforce": "1382f4e4ce054452",
    "stacking": "6f6a6a2ba66c1892",
    "successive_halving": "b5048b5efbaf0ccd",
    "tpe": "134dd172cdad9ad3",
}
"""First 30 proposals of each method's example at seed 0. They change only when a method is meant to change."""

ALL = pytest.mark.parametrize("method", EXAMPLES)
ENDING = pytest.mark.parametrize("method", [name for name, one in EXAMPLES.items() if one.num_proposals is not None])


def make(method, seed=0):
    example = EXAMPLES[method]
    return make_controller(method, example.options, space=example.space, seed=seed)


def num_proposals(method, wanted):
    return min(wanted, EXAMPLES[method].num_proposals or wanted)


def outcome(number, proposal):
    """Mostly a score, every fourth time a failure, every fifth a pruned trial; a supernet always succeeds."""
    if proposal.kind is Kind.RELAXATION:
        return scored(number, proposal, 0.5, derived=list(enumerate_space(CHAIN)), readings={LEVEL_LOSS: (0.1,) * 6})
    if number % 4 == 3:
        return failed(number, proposal)
    status = Status.PRUNED if number % 5 == 4 else Status.COMPLETE
    return scored(number, proposal, arbitrary_score(proposal.architecture), status=status)


def ask_nothing_else(number, pending):
    pass


def play_in_parallel(controller, num_trials, *, seed, before_ask=ask_nothing_else):
    """Up to four trials at once, which finish in an order that the seed decides."""
    rng = np.random.default_rng(seed)
    proposals, pending, told = [], [], []
    while len(told) < num_trials:
        proposal = None
        if len(pending) < 4 and len(proposals) < num_trials:
            before_ask(len(proposals), pending)
            proposal = controller.ask(len(proposals), pending)
        if proposal is not None:
            pending.append(running(len(proposals), proposal))
            proposals.append(proposal)
        else:
            finished = pending.pop(rng.integers(len(pending)))
            told.append(outcome(finished.number, finished.proposal))
            controller.tell(told[-1])
    return proposals, told


def test_every_method_has_an_example():
    assert set(EXAMPLES) == set(CONTROLLERS)


@ALL
def test_proposals_are_points_of_the_space(method):
    for trial in play(make(method), num_proposals(method, 30), outcome):
        if trial.proposal.kind is Kind.RELAXATION:
            make_relaxation(trial.proposal.relaxation).check(EXAMPLES[method].space)
        else:
            validate(EXAMPLES[method].space, trial.architecture)


@ALL
def test_the_seed_decides(method):
    one, same, other = (
        [t.proposal for t in play(make(method, seed), num_proposals(method, 20), outcome)] for seed in (1, 1, 2)
    )
    assert one == same
    assert (one == other) is not EXAMPLES[method].uses_seed


@ALL
def test_asking_changes_nothing(method):
    count = num_proposals(method, 20)
    curious = make(method)

    def ask_around(number, pending):
        for other in {0, number, count - 1}:
            assert curious.ask(other, pending) == curious.ask(other, pending)

    expected = play_in_parallel(make(method), count, seed=0)
    assert play_in_parallel(curious, count, seed=0, before_ask=ask_around) == expected


@ALL
@pytest.mark.parametrize("seed", range(3))
def test_replay_goes_on_as_if_never_interrupted(method, seed):
    count = num_proposals(method, 24)
    controller, resumed = make(method), make(method)
    proposals, told = play_in_parallel(controller, count, seed=seed)
    assert len(proposals) == len(told) == count
    for trial in told:
        resumed.tell(trial)
    if isinstance(controller, Recommending):
        complete = [trial.number for trial in told if trial.status is Status.COMPLETE]
        assert controller.recommend() == resumed.recommend()
        assert controller.recommend() in complete
    for number in range(count):
        assert resumed.ask(number) == controller.ask(number)


@ALL
def test_goes_on_when_every_architecture_fails(method):
    def fail(number, proposal):
        return outcome(number, proposal) if proposal.kind is Kind.RELAXATION else failed(number, proposal)

    count = EXAMPLES[method].num_failing or num_proposals(method, 30)
    assert len(play(make(method), count, fail)) == count


@ENDING
def test_says_when_nothing_is_left(method):
    controller = make(method)
    play(controller, EXAMPLES[method].num_proposals, outcome)
    for number in (EXAMPLES[method].num_proposals, EXAMPLES[method].num_proposals + 7):
        with pytest.raises(SearchExhausted):
            controller.ask(number)


def test_every_method_but_the_relaxations_has_a_golden_hash():
    assert set(GOLDEN) == set(CONTROLLERS) - set(RELAXATIONS)


@pytest.mark.parametrize("method", GOLDEN)
def test_first_proposals_are_the_golden_ones(method):
    trials = play(make(method), num_proposals(method, 30), outcome)
    ids = " ".join(trial.architecture.id if trial.architecture else str(trial.proposal.relaxation) for trial in trials)
    assert hashlib.sha256(ids.encode()).hexdigest()[:16] == GOLDEN[method]
