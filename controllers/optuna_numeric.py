"""Optuna's samplers of numbers as methods: CMA-ES and quasi-random points. Options must be in a meaningful order.

Hyperparameters have the library's defaults unless a docstring says otherwise.

- CMA-ES (Hansen & Ostermeier, Evolutionary Computation 2001)
- QMC: Sobol' or Halton points (Bergstra & Bengio, JMLR 2012, section 5)
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, ClassVar

from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, CmaEsSampler, QMCSampler
from optuna.trial import FrozenTrial, TrialState
from pydantic import Field
from pydantic.dataclasses import dataclass

from controllers.optuna import Sampled, seed_after
from controllers.trial import Trial
from search_spaces.errors import InvalidInput
from search_spaces.values import CONFIG

MIN_CMAES_DIMENSIONS = 2


class Points(StrEnum):
    """Quasi-random sequences of points."""

    SOBOL = "sobol"
    HALTON = "halton"


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

    Two decisions at least must be in every network. A generation counts COMPLETE trials.
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
