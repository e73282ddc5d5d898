"""A method that starts from given architectures."""

import pytest

from controllers.asha import Asha
from controllers.evolution import Evolution
from controllers.grid import Grid
from controllers.predictor import Predictor
from controllers.random import Random
from controllers.seeded import Seeded, without_seeds
from controllers.successive_halving import SuccessiveHalving
from search_spaces.compose import answer, enumerate_space
from search_spaces.errors import SearchExhausted
from tests.controllers.toys import Landscape, arbitrary_score
from tests.controllers.trials import play, scored

SPACE = Landscape(max_depth=2)
FIRST = [answer(SPACE, {"depth": depth}, partial=True) for depth in (2, 1)]


def outcome(number, proposal):
    return scored(number, proposal, arbitrary_score(proposal.architecture))


def test_the_given_come_first_and_then_all_that_the_method_would_have_proposed_alone():
    seeded = Seeded(controller=Random(space=SPACE, seed=3), first=FIRST)
    proposed = [trial.architecture for trial in play(seeded, 8, outcome)]
    alone = [trial.architecture for trial in play(Random(space=SPACE, seed=3), 6, outcome)]
    assert proposed == FIRST + alone


def test_a_grid_after_seeds_still_visits_every_point():
    points = list(enumerate_space(SPACE))
    seeded = Seeded(controller=Grid(space=SPACE, seed=0), first=FIRST)
    trials = play(seeded, len(points) + 2, outcome)
    assert [trial.architecture for trial in trials[2:]] == points
    with pytest.raises(SearchExhausted):
        seeded.ask(len(trials))


def test_a_population_begins_with_the_seeds():
    """Two members, both given: the third proposal is already a mutant of one of them."""
    evolution = Evolution(space=SPACE, seed=0, population=2, tournament=2)
    third = play(Seeded(controller=evolution, first=FIRST), 3, outcome)[2].architecture
    best = max(FIRST, key=arbitrary_score)
    shared = third.decisions.keys() & best.decisions.keys()
    assert sum(third.decisions[name] != best.decisions[name] for name in shared) == 1


@pytest.mark.parametrize("method", [Asha, SuccessiveHalving])
def test_candidates_that_start_on_the_lowest_rung_start_with_the_seeds(method):
    """With a factor of two and rungs at 1, 2 and 4 epochs."""
    climbing = method(space=SPACE, seed=0, trial_epochs=4, reduction_factor=2)
    trials = play(Seeded(controller=climbing, first=FIRST), 30, outcome)
    assert [trial.architecture for trial in trials[:2]] == FIRST
    assert [trial.proposal for trial in trials[:2]] == [climbing.start(architecture) for architecture in FIRST]
    promoted = {trial.proposal.parent for trial in trials}
    assert promoted & {0, 1}, "seeds are compared with the others"


def test_more_seeds_than_a_bracket_has_places_are_all_compared():
    halving = SuccessiveHalving(space=SPACE, seed=0, trial_epochs=2, reduction_factor=2)
    points = list(enumerate_space(SPACE))[:5]
    assert halving.rungs == ((2, 1), (1, 2))
    trials = play(Seeded(controller=halving, first=points), 8, outcome)
    assert [trial.proposal.epochs for trial in trials[:5]] == [1] * 5
    best = max(trials[:5], key=lambda trial: trial.score)
    assert (trials[5].proposal.parent, trials[5].proposal.epochs) == (best.number, 2)
    assert trials[6].proposal.epochs == 1


def test_the_method_itself_can_be_had():
    grid = Grid(space=SPACE, seed=0)
    assert without_seeds(Seeded(controller=grid, first=FIRST)) is grid
    assert without_seeds(grid) is grid


def test_what_the_method_recommends_counts_from_the_first_seed():
    seeded = Seeded(controller=Predictor(space=SPACE, seed=0, num_random=3), first=FIRST)
    trials = play(seeded, 8, lambda number, proposal: scored(number, proposal, 0.9 if number == 1 else 0.1))
    assert trials[1].architecture == FIRST[1]
    assert seeded.recommend() == 1
    assert Seeded(controller=Random(space=SPACE, seed=0), first=FIRST).recommend() is None
