"""The adapter proposes what Optuna would, and the samplers do on composed spaces what they are known for."""

import json
import warnings
from collections import Counter

import numpy as np
import optuna
import pytest

from controllers import make_controller
from controllers.optuna import Sampled
from controllers.trial import Proposal, Status
from search_spaces.compose import answer, enumerate_space, size
from search_spaces.errors import InvalidInput, SearchExhausted
from tests.controllers.toys import Landscape, Product, Shifting, arbitrary_score
from tests.controllers.trials import failed, play, running, scored

SAMPLERS = ("brute_force", "cmaes", "gp", "nsga2", "nsga3", "qmc", "tpe")
SMALL = Landscape(max_depth=2)
THREE_BY_FIVE = Product({f"gene{i}": tuple(range(5)) for i in range(3)})


def make(method, space, seed=0, **options):
    return make_controller(method, options, space=space, seed=seed)


def mixed_outcome(number, proposal):
    """Failures, pruned trials and scores."""
    if number % 7 == 3:
        return failed(number, proposal)
    status = Status.PRUNED if number % 5 == 4 else Status.COMPLETE
    return scored(number, proposal, arbitrary_score(proposal.architecture), status=status)


def prepare_nothing(study, number):
    pass


def by_hand(sampler_class, num_trials, space, outcome, *, prepare=prepare_nothing, **options):
    """What Optuna's own study proposes, with a new sampler for every trial."""
    study = optuna.create_study(direction="maximize")
    forms = []
    for number in range(num_trials):
        seed = int(np.random.default_rng((0, number)).integers(2**32))
        study.sampler = sampler_class(seed=seed, **options)
        prepare(study, number)
        trial = study.ask()

        def choose(name, names, trial=trial):
            indices = trial.suggest_categorical(f"{name} {list(names)}", range(len(names)))
            return names[indices]

        architecture = space.compose(choose)
        forms.append(architecture.form)
        told = outcome(number, Proposal(architecture=architecture))
        if told.status is Status.FAILED:
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
        elif told.status is Status.PRUNED:
            trial.report(told.score, told.measurement.epochs)
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        else:
            study.tell(trial, told.score)
    return forms


def forms(trials):
    return [trial.architecture.form for trial in trials]


@pytest.mark.parametrize("group", [False, True])
def test_tpe_proposes_what_a_study_of_optunas_would(group, monkeypatch):
    monkeypatch.setattr(Sampled, "AVOIDS_REPEATS", False)
    space = Landscape()
    trials = play(make("tpe", space, group=group), 60, mixed_outcome)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        expected = by_hand(
            optuna.samplers.TPESampler, 60, space, mixed_outcome, group=group, multivariate=True, constant_liar=True
        )
    assert forms(trials) == expected


def test_nsga2_proposes_what_a_study_of_optunas_would(monkeypatch):
    monkeypatch.setattr(Sampled, "AVOIDS_REPEATS", False)
    trials = play(make("nsga2", Landscape(), population=4), 60, mixed_outcome)
    generations = [trial.proposal.notes["NSGAIISampler:generation"] for trial in trials]
    assert max(generations) > 5

    def prepare(study, number):
        """Optuna sees the parents in another order in the first trial of a generation than in all others."""
        study.sampler.get_parent_population(study, generations[number])

    sampler = optuna.samplers.NSGAIISampler
    assert forms(trials) == by_hand(sampler, 60, Landscape(), mixed_outcome, prepare=prepare, population_size=4)


def test_a_generation_is_as_many_complete_trials_as_the_population():
    trials = play(make("nsga2", Landscape(), population=4), 40, mixed_outcome)
    generations = Counter(
        trial.proposal.notes["NSGAIISampler:generation"] for trial in trials if trial.status is Status.COMPLETE
    )
    assert list(generations) == sorted(generations)
    assert set(list(generations.values())[:-1]) == {4}


def test_cmaes_updates_its_distribution_after_every_generation():
    def closeness(number, proposal):
        genes = proposal.architecture.decisions.values()
        return scored(number, proposal, 1 - sum((gene - 30) ** 2 for gene in genes) / 10_000)

    space = Product({f"gene{i}": tuple(range(41)) for i in range(4)})
    trials = play(make("cmaes", space, population=6), 1 + 12 * 6, closeness)
    generations = [trial.proposal.notes.get("cma:generation") for trial in trials]
    assert generations == [None, *(generation for generation in range(12) for _ in range(6))]
    first, last = (np.mean([trial.score for trial in part]) for part in (trials[1:7], trials[-6:]))
    assert 1 - last < (1 - first) / 4


@pytest.mark.parametrize(
    ("questions", "num"),
    [({"gene": (1, 2, 3)}, 1), ({"gene": (1, 2, 3), "_single": (1,)}, 1), ({}, 0)],
)
def test_cmaes_refuses_spaces_without_two_dimensions(questions, num):
    message = f"cmaes needs 2 decisions that every architecture has, got {num}"
    with pytest.raises(InvalidInput, match=message):
        make("cmaes", Product(questions))


def test_brute_force_tries_every_combination_once():
    trials = play(make("brute_force", SMALL), 12 + 12**2, mixed_outcome)
    assert size(SMALL).points == 12 + 12**2
    assert {trial.architecture for trial in trials} == set(enumerate_space(SMALL))


def test_brute_force_counts_pending_trials_as_tried():
    controller = make("brute_force", THREE_BY_FIVE)
    pending = []
    while len(pending) < 125:
        pending.append(running(len(pending), controller.ask(len(pending), pending)))
    assert len({trial.architecture for trial in pending}) == 125
    with pytest.raises(SearchExhausted, match="all 125 combinations are tried"):
        controller.ask(125, pending)


def test_brute_force_says_when_the_only_network_is_trained():
    controller = make("brute_force", Product({"depth": (2,)}))
    play(controller, 1, mixed_outcome)
    with pytest.raises(SearchExhausted, match="all 1 combinations are tried"):
        controller.ask(1)


@pytest.mark.parametrize("seed", range(3))
def test_the_first_sixteen_sobol_points_fill_a_four_by_four_grid(seed):
    """They are a (0, 4, 2)-net in base 2, scrambled or not: one in every box of 1/4 by 1/4."""
    space = Product({"depth": (1, 2, 3, 4), "width": (16, 32, 64, 128)})
    trials = play(make("qmc", space, seed=seed), 16, mixed_outcome)
    assert {trial.architecture for trial in trials} == set(enumerate_space(space))


def test_quasi_random_points_depend_on_the_number_alone():
    learned, other = make("qmc", Landscape()), make("qmc", Landscape())
    trials = play(learned, 20, mixed_outcome)
    pending = []
    for trial in trials:
        assert other.ask(trial.number, pending) == trial.proposal
        pending.append(running(trial.number, trial.proposal))


def test_pending_trials_keep_tpe_off():
    controller = make("tpe", Landscape())
    told = play(controller, 30, mixed_outcome)
    pending = [running(30 + i, answer(Landscape(), trial.architecture.decisions)) for i, trial in enumerate(told[-3:])]
    assert any(controller.ask(number) != controller.ask(number, pending) for number in range(30, 50))


@pytest.mark.parametrize("method", ["cmaes", "gp", "nsga2", "nsga3", "tpe"])
def test_what_was_tried_is_not_tried_again_while_anything_is_left(method):
    space = Product({"gene": (1, 2, 3), "other": (1, 2, 3)})
    trials = play(make(method, space), 9, lambda number, proposal: scored(number, proposal, 0.5))
    assert {trial.architecture for trial in trials} == set(enumerate_space(space))
    pending = [running(trial.number, trial.proposal) for trial in trials[:8]]
    assert make(method, space).ask(8, pending).architecture == trials[8].architecture


@pytest.mark.parametrize("method", SAMPLERS)
def test_options_may_depend_on_other_answers(method):
    trials = play(make(method, Shifting()), 14, mixed_outcome)
    assert len({trial.architecture for trial in trials}) > 4


@pytest.mark.parametrize("method", sorted(set(SAMPLERS) - {"cmaes"}))
def test_a_space_without_decisions_has_one_proposal(method):
    space = Product({"depth": (2,)})
    assert make(method, space).ask(0).architecture == answer(space, {})


@pytest.mark.parametrize("method", SAMPLERS)
def test_notes_are_json_and_short(method):
    for trial in play(make(method, SMALL), 14, mixed_outcome):
        text = json.dumps(trial.proposal.notes)
        assert json.loads(text) == trial.proposal.notes
        assert len(text) < 100


@pytest.mark.parametrize("method", SAMPLERS)
def test_learns_from_trials_that_another_method_proposed(method):
    controller = make(method, SMALL)
    for number, architecture in enumerate(list(enumerate_space(SMALL))[::10]):
        controller.tell(scored(number, architecture, arbitrary_score(architecture)))
    controller.ask(99)


@pytest.mark.parametrize("method", SAMPLERS)
def test_nothing_is_printed_or_logged(method, capfd, caplog):
    play(make(method, SMALL), 14, mixed_outcome)
    assert capfd.readouterr() == ("", "")
    assert not caplog.records


@pytest.mark.parametrize(
    ("method", "options", "field"),
    [
        ("tpe", {"num_startup_trials": 0}, "num_startup_trials"),
        ("tpe", {"group": True, "multivariate": False}, "group"),
        ("tpe", {"objectives": []}, "objectives"),
        ("tpe", {"objectives": ["speed"]}, "objectives"),
        ("nsga2", {"objectives": ["val_accuracy", "val_accuracy"]}, "objectives"),
        ("nsga2", {"population": 1}, "population"),
        ("nsga3", {"dividing_parameter": 0}, "dividing_parameter"),
        ("cmaes", {"population": 3}, "population"),
        ("qmc", {"points": "hammersley"}, "points"),
        ("brute_force", {"space": None}, "space"),
    ],
)
def test_bad_options_are_refused_by_name(method, options, field):
    with pytest.raises(InvalidInput) as caught:
        make_controller(method, options, space=Landscape(), seed=0)
    assert caught.value.field.startswith(field)
