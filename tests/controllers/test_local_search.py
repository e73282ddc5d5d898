"""Local search: what a neighbourhood is, when a climb moves, and where it starts anew."""

import numpy as np
import pytest

from controllers import make_controller
from controllers.trial import Status
from search_spaces.compose import answer, enumerate_space
from tests.controllers.toys import Landscape, Product, arbitrary_score
from tests.controllers.trials import failed, play, running, scored

FIVE_BY_FIVE = Product({"x": (0, 1, 2, 3, 4), "y": (0, 1, 2, 3, 4)})


def local_search(space=FIVE_BY_FIVE, seed=0, **options):
    return make_controller("local_search", options, space=space, seed=seed)


def point(x, y):
    return answer(FIVE_BY_FIVE, {"x": x, "y": y})


def position(proposal):
    return proposal.architecture.form["x"], proposal.architecture.form["y"]


def in_row_or_column(one, other):
    return (one[0] == other[0]) != (one[1] == other[1])


def start_at(x, y, score=0.5, **options):
    controller = local_search(**options)
    controller.tell(scored(0, point(x, y), score))
    return controller


def test_the_first_network_is_random_and_all_others_are_its_neighbours():
    assert {position(local_search(seed=seed).ask(0)) for seed in range(200)} == {
        (x, y) for x in range(5) for y in range(5)
    }
    controller = start_at(1, 2)
    assert {position(controller.ask(number)) for number in range(1, 200)} == {
        (x, y) for x in range(5) for y in range(5) if in_row_or_column((x, y), (1, 2))
    }


def test_goes_to_the_first_improvement():
    controller = start_at(1, 2)
    controller.tell(scored(1, point(1, 4), 0.4))
    assert all(in_row_or_column(position(controller.ask(number)), (1, 2)) for number in range(2, 50))
    controller.tell(scored(2, point(0, 2), 0.6))
    assert all(in_row_or_column(position(controller.ask(number)), (0, 2)) for number in range(3, 50))


def test_goes_to_the_best_improvement_when_all_neighbours_are_known():
    controller = start_at(1, 2, move="best")
    row_and_column = [(x, 2) for x in (0, 2, 3, 4)] + [(1, y) for y in (0, 1, 3, 4)]
    for number, (x, y) in enumerate(row_and_column, start=1):
        proposal = controller.ask(number)
        assert in_row_or_column(position(proposal), (1, 2))
        controller.tell(scored(number, point(x, y), 0.9 if (x, y) == (4, 2) else 0.6))
    assert all(in_row_or_column(position(controller.ask(number)), (4, 2)) for number in range(9, 50))


def test_starts_anew_at_a_local_optimum():
    controller = start_at(1, 2)
    for number, (x, y) in enumerate([(x, 2) for x in (0, 2, 3, 4)] + [(1, y) for y in (0, 1, 3, 4)], start=1):
        controller.tell(failed(number, point(x, y)) if x == 0 else scored(number, point(x, y), 0.5))
    fresh = {position(controller.ask(number)) for number in range(9, 200)}
    assert fresh == {(x, y) for x in range(5) for y in range(5) if x != 1 and y != 2}
    proposal = controller.ask(9)
    controller.tell(scored(9, proposal, 0.1))
    assert all(in_row_or_column(position(controller.ask(number)), position(proposal)) for number in range(10, 50))


def test_what_is_known_is_climbed_without_trying_it_again():
    """The second climb starts beside a path that is known to lead up: (3, 0) < (3, 1) < (4, 1)."""
    space = Product({"x": tuple(range(5)), "y": (0, 1)})
    controller = local_search(space)
    scores = {(0, 0): 0.5, (4, 0): 0.1, (3, 0): 0.2, (2, 0): 0.1, (1, 0): 0.1, (0, 1): 0.1, (3, 1): 0.3, (4, 1): 0.4}
    for number, ((x, y), score) in enumerate(scores.items()):
        controller.tell(scored(number, answer(space, {"x": x, "y": y}), score))
    # (0, 0) is optimal, its neighbours are all known, and nothing was told yet that belongs to the next climb.
    controller.tell(scored(8, answer(space, {"x": 3, "y": 0}), 0.2))
    neighbours_of_the_top = {(1, 1), (2, 1)}
    assert {position(controller.ask(number)) for number in range(9, 60)} == neighbours_of_the_top


def test_a_climb_starts_from_the_best_of_several():
    controller = local_search(num_starts=3)
    for number, (x, y, score) in enumerate([(0, 0, 0.1), (4, 4, 0.3), (0, 1, 0.2)]):
        assert controller.ask(number) is not None
        controller.tell(scored(number, point(x, y), score))
    assert all(in_row_or_column(position(controller.ask(number)), (4, 4)) for number in range(3, 50))


def test_idle_workers_try_the_next_start_while_the_last_neighbours_are_pending():
    controller = start_at(1, 2)
    pending = []
    for number in range(1, 9):
        pending.append(running(number, controller.ask(number, pending)))
    assert len({position(trial.proposal) for trial in pending}) == 8
    start = controller.ask(9, pending)
    assert not in_row_or_column(position(start), (1, 2))
    controller.tell(scored(9, start, 0.9))  # belongs to the next climb, however good it is
    for trial in pending:
        controller.tell(scored(trial.number, trial.proposal, 0.4))
    assert all(in_row_or_column(position(controller.ask(number)), position(start)) for number in range(10, 50))


def test_a_late_result_of_the_same_climb_still_counts():
    controller = start_at(1, 2)
    late = next(p for p in (controller.ask(number) for number in range(1, 99)) if position(p) == (4, 2))
    controller.tell(scored(1, point(1, 0), 0.6))
    controller.tell(scored(2, late, 0.7))
    assert all(in_row_or_column(position(controller.ask(number)), (4, 2)) for number in range(3, 50))


def test_pruned_trials_compete_with_the_score_they_reached():
    controller = start_at(1, 2)
    controller.tell(scored(1, point(0, 2), 0.6, status=Status.PRUNED))
    assert all(in_row_or_column(position(controller.ask(number)), (0, 2)) for number in range(2, 50))


@pytest.mark.parametrize("move", ["first", "best"])
@pytest.mark.parametrize("seed", range(5))
def test_tries_every_network_once_before_it_repeats_one(move, seed):
    """Also with four trials at a time, on a space in which depth decides what else there is."""
    space = Landscape(max_depth=2)
    rng = np.random.default_rng(seed)
    controller, pending, tried = local_search(space, seed, move=move), [], []
    for number in range(100):
        proposal = controller.ask(number, pending)
        tried.append(proposal.architecture)
        pending.append(running(number, proposal))
        if len(pending) == 4:
            done = pending.pop(rng.integers(4))
            controller.tell(scored(done.number, done.proposal, arbitrary_score(done.architecture)))
    assert len(set(tried)) == 100
    assert set(tried) <= set(enumerate_space(space))


def test_goes_on_when_the_whole_space_is_known():
    trials = play(local_search(), 40, lambda number, proposal: scored(number, proposal, 0.5))
    assert {trial.architecture for trial in trials} == set(enumerate_space(FIVE_BY_FIVE))
