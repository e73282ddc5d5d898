"""Between the service and a sampler of Optuna's (Akiba et al., KDD 2019, arXiv 1907.10902), on any composed space.

A decision is one parameter for every set of options that it is asked with, and its value is the index of the answer:
an ordered number for CMA-ES and quasi-random points, a category for all others. What differs from Optuna:

- Asking leaves no trace. The sampler is seeded with (seed, number) and draws on a scratch trial; what it writes there
  is forgotten, but for a few numbers about the trial itself (its generation), which travel in the proposal's notes.
- Trials count in the order of telling; those pending come last, as running.
- A draw that was tried already is mutated until it is new: its score is known, and the sampler would draw it again.

The methods themselves are in `controllers/optuna_samplers.py` and `controllers/optuna_numeric.py`.
"""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Container, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, ClassVar

import numpy as np
from optuna import Study
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.pruners import NopPruner
from optuna.samplers import BaseSampler
from optuna.samplers._lazy_random_state import LazyRandomState
from optuna.storages import InMemoryStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from optuna.trial import Trial as Sketch
from pydantic import Field
from pydantic.dataclasses import dataclass

from controllers.objectives import Objective
from controllers.trial import Proposal, Status, Trial
from search_spaces.architecture import Architecture, Option
from search_spaces.compose import Decision, mutate, trace
from search_spaces.space import SearchSpace
from search_spaces.values import CONFIG

NAME = "run"
NUM_PROBES = 200
"""Random architectures that show which decisions a space has."""
NUM_SEEDS = 2**32
"""Optuna seeds a Mersenne Twister."""
MAX_MUTATIONS = 20
"""After so many steps that all lead to what was tried already, the draw is proposed all the same."""
FORGOTTEN = (":optimizer", ":relative_params")
"""Parts of the names of what a sampler writes on a trial and others can do without."""
STATES = {
    Status.RUNNING: TrialState.RUNNING,
    Status.COMPLETE: TrialState.COMPLETE,
    Status.PRUNED: TrialState.PRUNED,
    Status.FAILED: TrialState.FAIL,
}

logging.getLogger(InMemoryStorage.__module__).setLevel(logging.WARNING)  # it announces every study


class Scratchpad(InMemoryStorage):
    """The trials that a sampler sees, and what it writes, until the next `show`."""

    def __init__(self, directions: Sequence[StudyDirection]) -> None:
        super().__init__()
        self.create_new_study(directions, NAME)
        self._trials: list[FrozenTrial] = []
        self._attributes: dict[str, Any] = {}

    def show(self, trials: Sequence[FrozenTrial], attributes: Mapping[str, Any]) -> None:
        """Forget everything but this."""
        self._trials, self._attributes = list(trials), dict(attributes)

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        position = len(self._trials)
        self._trials.append(frozen(position, TrialState.RUNNING, {}, {}, {}))
        return position

    def get_trial(self, trial_id: int) -> FrozenTrial:
        return self._trials[trial_id]

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        trials = [trial for trial in self._trials if states is None or trial.state in states]
        return copy.deepcopy(trials) if deepcopy else trials

    def set_trial_param(
        self, trial_id: int, param_name: str, param_value_internal: float, distribution: BaseDistribution
    ) -> None:
        trial = self._trials[trial_id]
        trial.params[param_name] = distribution.to_external_repr(param_value_internal)
        trial.distributions[param_name] = distribution

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        self._trials[trial_id].system_attrs[key] = value

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        return self._attributes

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        self._attributes[key] = value


@dataclass(kw_only=True, config=CONFIG)
class Sampled:
    """What all samplers have in common: the adapter between `ask` and `tell` and a study of Optuna's."""

    NUMERIC: ClassVar[bool] = False
    """Whether the sampler needs numbers."""
    AVOIDS_REPEATS: ClassVar[bool] = True

    space: SearchSpace = Field(repr=False)
    seed: int

    def __post_init__(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            self._sampler = self._make_sampler()
        self._generators = tuple(generators(self._sampler))
        maximised = (objective.is_maximised for objective in self._wanted())
        self._storage = Scratchpad([StudyDirection.MAXIMIZE if more else StudyDirection.MINIMIZE for more in maximised])
        self._study = Study(NAME, self._storage, self._sampler, NopPruner())
        self._told: list[FrozenTrial] = []
        self._tried: set[Architecture] = set()
        self._attributes: dict[str, Any] = {}

    def ask(self, number: int, pending: Sequence[Trial] = ()) -> Proposal:
        rng = np.random.default_rng((self.seed, number))
        running = [self._frozen(len(self._told) + index, trial) for index, trial in enumerate(pending)]
        architecture, notes = self._draw(int(rng.integers(NUM_SEEDS)), running)
        if self.AVOIDS_REPEATS:
            architecture = self._untried(architecture, pending, rng)
        return Proposal(architecture=architecture, notes=notes)

    def tell(self, trial: Trial) -> None:
        assert trial.architecture is not None, "this method proposes architectures only"
        self._told.append(self._frozen(len(self._told), trial))
        self._tried.add(trial.architecture)

    def _make_sampler(self) -> BaseSampler:
        raise NotImplementedError

    def _wanted(self) -> tuple[Objective, ...]:
        return (Objective.VAL_ACCURACY,)

    def _begin(self, seed: int, running: Sequence[FrozenTrial] = ()) -> Sketch:
        """A new trial on a clean scratchpad, with a freshly seeded sampler."""
        for generator in self._generators:
            generator.rng.seed(seed)
        self._storage.show([*self._told, *running], self._attributes)
        return self._study.ask()

    def _draw(self, seed: int, running: Sequence[FrozenTrial]) -> tuple[Architecture, dict[str, Any]]:
        sketch = self._begin(seed, running)

        def choose(name: str, options: Sequence[Option], /) -> Option:
            key, num = parameter(name, options), len(options)
            return options[
                sketch.suggest_int(key, 0, num - 1) if self.NUMERIC else sketch.suggest_categorical(key, range(num))
            ]

        architecture, _ = trace(self.space, choose)
        written = self._storage.get_trial(sketch._trial_id).system_attrs
        notes = {key: value for key, value in written.items() if not any(part in key for part in FORGOTTEN)}
        return architecture, notes

    def _frozen(self, position: int, trial: Trial) -> FrozenTrial:
        """The trial as Optuna sees it."""
        architecture = trial.architecture
        assert architecture is not None, "this method proposes architectures only"
        _, asked = trace(self.space, lambda name, _: architecture.decisions[name])
        values = [value for objective in self._wanted() if (value := objective.of(trial)) is not None]
        is_scored = len(values) == len(self._wanted())
        state = STATES[trial.status] if is_scored or trial.status is Status.RUNNING else TrialState.FAIL
        made = frozen(
            position,
            state,
            {parameter(one.name, one.options): one.options.index(one.answer) for one in asked},
            self._distributions(asked),
            dict(trial.proposal.notes),
            values if is_scored else None,
        )
        if state is TrialState.PRUNED and len(values) == 1:
            assert trial.measurement is not None
            made.intermediate_values[trial.measurement.epochs] = values[0]  # where Optuna looks for it
        return made

    def _untried(self, drawn: Architecture, pending: Sequence[Trial], rng: np.random.Generator) -> Architecture:
        waiting = {trial.architecture for trial in pending}
        child = drawn
        for _ in range(MAX_MUTATIONS):
            if child not in self._tried and child not in waiting:
                return child
            child = mutate(self.space, child, rng)
        return drawn

    def _distributions(self, asked: Sequence[Decision]) -> dict[str, BaseDistribution]:
        make = number_below if self.NUMERIC else one_of
        return {parameter(one.name, one.options): make(len(one.options)) for one in asked}

    def _probes(self) -> Iterator[dict[str, BaseDistribution]]:
        """The parameters of random architectures, the same ones always."""
        rng = np.random.default_rng(0)
        for _ in range(NUM_PROBES):
            _, asked = trace(self.space, lambda _, options: options[int(rng.integers(len(options)))])
            yield self._distributions(asked)


def parameter(name: str, options: Sequence[Option]) -> str:
    """Optuna's name of a decision: a parameter may not have other options now and then."""
    return f"{name} {list(options)}"


@cache
def one_of(num_options: int) -> CategoricalDistribution:
    """Categories 0, 1, ..."""
    return CategoricalDistribution(range(num_options))


@cache
def number_below(num_options: int) -> IntDistribution:
    """Numbers 0, 1, ..."""
    return IntDistribution(0, num_options - 1)


def frozen(
    position: int,
    state: TrialState,
    params: dict[str, Any],
    distributions: dict[str, BaseDistribution],
    attributes: dict[str, Any],
    values: Sequence[float] | None = None,
) -> FrozenTrial:
    """A trial of Optuna's at this position of its study."""
    return FrozenTrial(
        number=position,
        trial_id=position,
        state=state,
        value=None,
        values=values,
        datetime_start=None,
        datetime_complete=None,
        params=params,
        distributions=distributions,
        user_attrs={},
        system_attrs=attributes,
        intermediate_values={},
    )


def seed_after(seed: int, num_told: int) -> int:
    """For what is drawn when a trial is told."""
    return int(np.random.default_rng((seed, num_told, 1)).integers(NUM_SEEDS))


def generators(sampler: BaseSampler) -> Iterator[LazyRandomState]:
    """Every source of randomness of the sampler and of the samplers that it holds."""
    for part in vars(sampler).values():
        if isinstance(part, LazyRandomState):
            yield part
        elif isinstance(part, BaseSampler):
            yield from generators(part)
