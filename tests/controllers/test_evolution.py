"""Aging evolution: who lives, who is drawn, and what a child inherits."""

import numpy as np
import pytest

from controllers import make_controller
from controllers.trial import Status
from search_spaces.compose import answer, enumerate_space, sample
from tests.controllers.toys import Product
from tests.controllers.trials import failed, running, scored

FIVE_GENES = Product({f"gene{i}": tuple(range(10)) for i in range(5)})
ALWAYS_THE_BEST = 60
"""A tournament so large that of two or three members the best is left out with a chance below 1e-10."""


def all_equal_to(value):
    return answer(FIVE_GENES, {f"gene{i}": value for i in range(5)})


def evolution(space=FIVE_GENES, seed=0, **options):
    return make_controller("evolution", options, space=space, seed=seed)


def told(controller, *trials):
    for trial in trials:
        controller.tell(trial)
    return controller


def genes_kept(proposal, parent):
    child = proposal.architecture
    return sum(child.decisions[name] == value for name, value in parent.decisions.items())


def assert_children_of(parent, controller):
    for number in range(10, 30):
        assert genes_kept(controller.ask(number), parent) == 4


def test_the_oldest_dies_however_good_it_was():
    best, poor, fair = all_equal_to(1), all_equal_to(2), all_equal_to(3)
    controller = evolution(population=2, tournament=ALWAYS_THE_BEST)
    told(controller, scored(0, best, 0.9), scored(1, poor, 0.1))
    assert_children_of(best, controller)
    told(controller, scored(2, fair, 0.2))
    assert_children_of(fair, controller)


def test_age_is_the_order_of_telling():
    best, poor, fair = all_equal_to(1), all_equal_to(2), all_equal_to(3)
    controller = evolution(population=2, tournament=ALWAYS_THE_BEST)
    told(controller, scored(1, poor, 0.1), scored(0, best, 0.9), scored(2, fair, 0.2))
    assert_children_of(best, controller)


def test_failed_trials_neither_enter_nor_push_anyone_out():
    best, fair = all_equal_to(1), all_equal_to(3)
    controller = evolution(population=2, tournament=ALWAYS_THE_BEST)
    told(controller, scored(0, best, 0.9), scored(1, fair, 0.2), failed(2, all_equal_to(4)), failed(3, all_equal_to(5)))
    assert_children_of(best, controller)


def test_pruned_trials_compete_with_the_score_they_reached():
    best, fair = all_equal_to(1), all_equal_to(3)
    controller = evolution(population=2, tournament=ALWAYS_THE_BEST)
    assert_children_of(best, told(controller, scored(0, best, 0.9, status=Status.PRUNED), scored(1, fair, 0.2)))


def test_warm_up_is_random_until_enough_trials_are_told_or_pending():
    parent = all_equal_to(1)
    controller = told(evolution(population=3, seed=7), scored(0, parent, 0.9))
    one, two = (running(number, controller.ask(number)) for number in (1, 2))
    random = sample(FIVE_GENES, np.random.default_rng((7, 2)))
    assert controller.ask(2, [one]).architecture == random
    assert genes_kept(controller.ask(3, [one, two]), parent) == 4


def test_failures_fill_the_warm_up_but_something_must_live_to_have_children():
    controller = told(evolution(population=2, seed=7), failed(0, all_equal_to(1)), failed(1, all_equal_to(2)))
    for number in (2, 3, 4):
        assert controller.ask(number).architecture == sample(FIVE_GENES, np.random.default_rng((7, number)))
    told(controller, scored(2, all_equal_to(3), 0.1))
    assert_children_of(all_equal_to(3), controller)


@pytest.mark.parametrize("population", [1, 100])
def test_what_was_tried_is_not_tried_again_while_anything_is_left(population):
    one, two, three = enumerate_space(Product({"gene": (1, 2, 3)}))
    for number in range(20):
        controller = evolution(Product({"gene": (1, 2, 3)}), seed=number, population=population)
        told(controller, scored(0, one, 0.5))
        assert controller.ask(number, [running(1, two)]).architecture == three
        told(controller, failed(1, two), scored(2, three, 0.4))
        assert controller.ask(number).architecture in (one, two, three)


def test_equal_winners_are_all_drawn():
    parents = [all_equal_to(1), all_equal_to(2)]
    controller = told(evolution(population=2, tournament=2), *(scored(i, one, 0.5) for i, one in enumerate(parents)))
    chosen = [genes_kept(controller.ask(number), parents[0]) == 4 for number in range(50)]
    assert {True, False} == set(chosen)


def test_crossover_mixes_two_winners_before_the_mutation():
    one, two = all_equal_to(1), all_equal_to(2)
    controller = evolution(population=2, tournament=1, crossover_probability=1.0)
    told(controller, scored(0, one, 0.5), scored(1, two, 0.5))
    mixed = 0
    for number in range(2, 42):
        proposal = controller.ask(number)
        from_one, from_two = genes_kept(proposal, one), genes_kept(proposal, two)
        assert from_one + from_two >= 4
        mixed += from_one >= 2 and from_two >= 2
    # Half of the pairs are two different parents, and those split the genes 1 : 4 or more evenly 15 times in 16.
    assert mixed > 0


def test_without_crossover_a_child_has_one_parent():
    one, two = all_equal_to(1), all_equal_to(2)
    controller = told(evolution(population=2, tournament=1), scored(0, one, 0.5), scored(1, two, 0.5))
    for number in range(2, 42):
        assert max(genes_kept(controller.ask(number), parent) for parent in (one, two)) == 4
