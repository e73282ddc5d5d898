"""Optuna's samplers of categories as methods, with the library's defaults unless a docstring says otherwise.

- TPE: tree-structured Parzen estimator (Bergstra et al., NeurIPS 2011; multivariate: Falkner et al., ICML 2018)
- GP: Gaussian process with log expected improvement (Ament et al., NeurIPS 2023)
- NSGA-II and NSGA-III (Deb et al., IEEE TEVC 2002; Deb & Jain, IEEE TEVC 2014)
- brute force: the whole space in a random order
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from optuna.samplers import (
    BaseSampler,
    BruteForceSampler,
    GPSampler,
    NSGAIIISampler,
    NSGAIISampler,
    TPESampler,
)
from optuna.samplers._ga import BaseGASampler
from optuna.trial import TrialState
from pydantic import Field
from pydantic.dataclasses import dataclass

from controllers.objectives import Objective
from controllers.optuna import Sampled, seed_after
from controllers.trial import Proposal, Trial
from search_spaces.architecture import Option
from search_spaces.errors import InvalidInput, SearchExhausted
from search_spaces.values import CONFIG

Answers = tuple[tuple[str, Option], ...]
ACCURACY_ALONE = (Objective.VAL_ACCURACY,)
NO_GENERATION = -1
"""Of a trial that another method proposed."""


@dataclass(kw_only=True, config=CONFIG)
class _MultiObjective(Sampled):
    objectives: tuple[Objective, ...] = Field(default=ACCURACY_ALONE, min_length=1)
    """`val_accuracy` (maximised), `inference_flops` and `num_parameters` (minimised). What a run delivers is its most
    accurate network all the same."""

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

    It is fitted to the COMPLETE trials and maximises the expected improvement. What differs from Optuna: the fit does
    not start from the former one, which would be a memory of what was asked.
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
        num_threads = torch.get_num_threads()
        torch.set_num_threads(1)  # on matrices this small more threads only wait for each other
        try:
            return super().ask(number, pending)
        finally:
            torch.set_num_threads(num_threads)


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
