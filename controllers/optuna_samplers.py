"""Optuna's samplers as methods. Hyperparameters have the library's defaults unless their docstring says otherwise.

- TPE: tree-structured Parzen estimator (Bergstra et al., NeurIPS 2011; multivariate: Falkner et al., ICML 2018)
- GP: Gaussian process with log expected improvement (Ament et al., NeurIPS 2023)
- NSGA-II and NSGA-III (Deb et al., IEEE TEVC 2002; Deb & Jain, IEEE TEVC 2014)
- CMA-ES (Hansen & Ostermeier, Evolutionary Computation 2001)
- QMC: Sobol' or Halton points (Bergstra & Bengio, JMLR 2012, section 5)
- brute force: the whole space in a random order
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from enum import StrEnum
from typing import Any, ClassVar

import numpy as np
from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import (
    BaseSampler,
    BruteForceSampler,
    CmaEsSampler,
    GPSampler,
    NSGAIIISampler,
    NSGAIISampler,
    QMCSampler,
    TPESampler,
)
from optuna.samplers._ga import BaseGASampler
from optuna.trial import FrozenTrial, TrialState
from pydantic import Field
from pydantic.dataclasses import dataclass

from controllers.objectives import Objective
from controllers.optuna import NUM_SEEDS, Sampled
from controllers.trial import Proposal, Trial
from search_spaces.architecture import Option
from search_spaces.errors import InvalidInput, SearchExhausted
from search_spaces.values import CONFIG

MIN_CMAES_DIMENSIONS = 2
Answers = tuple[tuple[str, Option], ...]
ACCURACY_ALONE = (Objective.VAL_ACCURACY,)
NO_GENERATION = -1
"""Of a trial that another method proposed."""


class Points(StrEnum):
    """Quasi-random sequences of points."""

    SOBOL = "sobol"
    HALTON = "halton"


@dataclass(kw_only=True, config=CONFIG)
class _MultiObjective(Sampled):
    objectives: tuple[Objective, ...] = Field(default=ACCURACY_ALONE, min_length=1)
    """`val_accuracy` (maximised), `inference_flops` and `num_parameters` (minimised)."""

    def __post_init__(self) -> None:
        if len(set(self.objectives)) < len(self.objectives):
            raise InvalidInput(f"must be distinct, got {', '.join(self.objectives)}", field="objectives")
        super().__post_init__()

    def _wanted(self) -> tuple[Objective, ...]:
        return self.objectives


@dataclass(kw_only=True, config=CONFIG)
class Tpe(_MultiObjective):
    """Draws candidates from the density of good trials, and proposes the one that is least likely among the others.

    Decisions that not every architecture has are modelled one by one, unless in a `group`. A PRUNED trial counts by
    the score it reached, below every COMPLETE one; with several objectives, as a poor one.
    """

    num_startup_trials: int = Field(default=10, ge=1)
    """Scored trials before the model takes over; until then proposals are random."""
    num_ei_candidates: int = Field(default=24, ge=1)
    """Candidates per proposal."""
    multivariate: bool | None = None
    """Model decisions jointly; none: with one objective only."""
    group: bool = False
    """Model decisions jointly that occur together, also where not every architecture has them."""
    constant_liar: bool = True
    """Count pending trials among the poor ones, so that parallel proposals differ."""

    def __post_init__(self) -> None:
        if self.group and self.multivariate is False:
            raise InvalidInput("needs multivariate", field="group")
        super().__post_init__()

    def _make_sampler(self) -> BaseSampler:
        is_multivariate = len(self.objectives) == 1 or self.group if self.multivariate is None else self.multivariate
        return TPESampler(
            n_startup_trials=self.num_startup_trials,
            n_ei_candidates=self.num_ei_candidates,
            multivariate=is_multivariate,
            group=self.group,
            constant_liar=self.constant_liar,
            seed=0,
        )


@dataclass(kw_only=True, config=CONFIG)
class Gp(Sampled):
    """Proposes where a Gaussian process expects most; decisions that not all trials so far had are answered at random.

    It is fitted to the COMPLETE trials and maximises the expected improvement, which takes about a second. What
    differs from Optuna: the fit does not start from the former one, which would be a memory of what was asked.
    """

    num_startup_trials: int = Field(default=10, ge=1)
    """COMPLETE trials before the model takes over; until then proposals are random."""
    deterministic: bool = False
    """Assume that a score has no noise."""

    def _make_sampler(self) -> BaseSampler:
        return GPSampler(
            n_startup_trials=self.num_startup_trials,
            deterministic_objective=self.deterministic,
            warn_independent_sampling=False,
            seed=0,
        )

    def ask(self, number: int, pending: Sequence[Trial] = ()) -> Proposal:
        assert isinstance(self._sampler, GPSampler)
        self._sampler._gprs_cache_list = None
        return super().ask(number, pending)


@dataclass(kw_only=True, config=CONFIG)
class Nsga2(_MultiObjective):
    """Breeds generations from the best fronts; decisions that not all trials so far had are answered at random.

    Of a front that does not fit whole, the least crowded become parents.
    """

    population: int = Field(default=50, ge=2)
    """COMPLETE trials of a generation; the first is random."""
    crossover_probability: float = Field(default=0.9, ge=0, le=1)
    """Chance that a child has two parents."""
    swapping_probability: float = Field(default=0.5, ge=0, le=1)
    """Chance of a decision to come from the second parent."""
    mutation_probability: float | None = Field(default=None, ge=0, le=1)
    """Chance of a decision to be answered anew; none: one in their number."""

    def _make_sampler(self) -> BaseSampler:
        return NSGAIISampler(**self._options())

    def _options(self) -> dict[str, Any]:
        return {
            "population_size": self.population,
            "crossover_prob": self.crossover_probability,
            "swapping_prob": self.swapping_probability,
            "mutation_prob": self.mutation_probability,
            "seed": 0,
        }

    def __post_init__(self) -> None:
        super().__post_init__()
        self._sizes: Counter[int] = Counter()

    def tell(self, trial: Trial) -> None:
        super().tell(trial)
        if self._told[-1].state is TrialState.COMPLETE:
            assert isinstance(self._sampler, BaseGASampler)
            generation = self._told[-1].system_attrs.get(self._sampler._get_generation_key(), NO_GENERATION)
            self._sizes[generation] += 1
            if self._sizes[generation] == self.population and generation != NO_GENERATION:
                self._choose_parents()

    def _choose_parents(self) -> None:
        """The first trial of the next generation chooses its parents, and writes them down for the others."""
        self._begin(seed_after(self.seed, len(self._told))).relative_params  # noqa: B018
        self._attributes = self._storage.get_study_system_attrs(self._study._study_id)


@dataclass(kw_only=True, config=CONFIG)
class Nsga3(Nsga2):
    """As `nsga2`, but the parents of the last front that fits are spread over reference directions."""

    dividing_parameter: int = Field(default=3, ge=1)
    """Density of the reference directions: parts into which every axis is divided."""

    def _make_sampler(self) -> BaseSampler:
        return NSGAIIISampler(**self._options(), dividing_parameter=self.dividing_parameter)


class _CmaEsSampler(CmaEsSampler):
    """Over the decisions that every architecture has: an optimiser cannot lose a dimension."""

    def __init__(self, common: Sequence[str], **options: Any) -> None:
        super().__init__(**options)
        self._common = common

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        found = super().infer_relative_search_space(study, trial)
        space = {name: distribution for name, distribution in found.items() if name in self._common}
        return space if len(space) >= MIN_CMAES_DIMENSIONS else {}


@dataclass(kw_only=True, config=CONFIG)
class CmaEs(Sampled):
    """Adapts a normal distribution over the options' indices; decisions that not all networks have are random.

    Two decisions at least must be in every network, and options must be in a meaningful order. A generation counts
    COMPLETE trials.
    """

    NUMERIC: ClassVar[bool] = True

    num_startup_trials: int = Field(default=1, ge=1)
    """COMPLETE trials before the distribution takes over; until then proposals are random."""
    population: int | None = Field(default=None, ge=4)
    """Trials of a generation; none: 4 + floor(3 ln(number of decisions))."""

    def _make_sampler(self) -> BaseSampler:
        common = set.intersection(*(set(probe) for probe in self._probes()))
        if len(common) < MIN_CMAES_DIMENSIONS:
            raise InvalidInput(
                f"cmaes needs {MIN_CMAES_DIMENSIONS} decisions that every architecture has, got {len(common)}"
            )
        return _CmaEsSampler(
            sorted(common),
            n_startup_trials=self.num_startup_trials,
            popsize=self.population,
            warn_independent_sampling=False,
            seed=0,
        )

    def tell(self, trial: Trial) -> None:
        super().tell(trial)
        if self._told[-1].state is TrialState.COMPLETE:
            self._update(self._told[-1])

    def _update(self, told: FrozenTrial) -> None:
        """Keep the optimiser if the trial completes a generation: the next trial would update and write it down."""
        sketch = self._begin(seed_after(self.seed, len(self._told)))
        sketch.relative_params  # noqa: B018
        written = self._storage.get_trial(sketch._trial_id).system_attrs
        told.system_attrs.update({key: value for key, value in written.items() if ":optimizer" in key})


class _QmcSampler(QMCSampler):
    """Over all decisions of a space, each with a coordinate of its own; trial n is point n."""

    def __init__(self, space: dict[str, BaseDistribution], **options: Any) -> None:
        super().__init__(**options)
        self._space = space

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return self._space

    def _find_sample_id(self, study: Study, search_space: dict[str, BaseDistribution]) -> int:
        return study._storage.get_n_trials(study._study_id) - 1  # all but the one that is drawn


@dataclass(kw_only=True, config=CONFIG)
class Qmc(Sampled):
    """Covers the space evenly: random search with quasi-random numbers. Learns nothing.

    Every decision has a coordinate of its own, which an architecture without that decision ignores.
    """

    NUMERIC: ClassVar[bool] = True
    AVOIDS_REPEATS: ClassVar[bool] = False  # the points are even as they are

    points: Points = Points.SOBOL
    """`sobol` or `halton`."""
    scramble: bool = True
    """Randomise the points by the run's seed. Optuna's default is false, with which all seeds are one run."""

    def _make_sampler(self) -> BaseSampler:
        space = {name: distribution for probe in self._probes() for name, distribution in probe.items()}
        return _QmcSampler(
            space,
            qmc_type=self.points.value,
            scramble=self.scramble,
            warn_independent_sampling=False,
            seed=seed_after(self.seed, 0),
        )


@dataclass(kw_only=True, config=CONFIG)
class BruteForce(Sampled):
    """Every combination of answers once, in a random order."""

    AVOIDS_REPEATS: ClassVar[bool] = False  # there are none

    def _make_sampler(self) -> BaseSampler:
        return BruteForceSampler(seed=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._answers: set[Answers] = set()

    def ask(self, number: int, pending: Sequence[Trial] = ()) -> Proposal:
        proposal = super().ask(number, pending)
        known = self._answers.union(answers(trial.proposal) for trial in pending)
        if answers(proposal) in known:  # the sampler draws one at random when nothing is left
            raise SearchExhausted(f"all {len(known)} combinations are tried")
        return proposal

    def tell(self, trial: Trial) -> None:
        super().tell(trial)
        self._answers.add(answers(trial.proposal))


def answers(proposal: Proposal) -> Answers:
    """What tells two combinations apart, even where they are the same network."""
    assert proposal.architecture is not None
    return tuple(proposal.architecture.decisions.items())


def seed_after(seed: int, num_told: int) -> int:
    """For what is drawn when a trial is told."""
    return int(np.random.default_rng((seed, num_told, 1)).integers(NUM_SEEDS))
