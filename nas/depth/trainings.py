"""How good each depth is when it is trained in the ordinary way: the third answer, which the others are held against.

Ordinary: a network of its own, from fresh weights, by the standard recipe, for all the epochs of the study's
`training`. A run's continuation, a shortened or pruned trial, and a network that starts from a supernet's weights do
not count. Runs with one seed share their random streams, so the same network with the same trial seed, found by two
methods, is one training, and seeds are what is averaged over.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from controllers.trial import Kind, Proposal, Status
from nas.statistics.bootstrap import mean
from nas.statistics.estimate import Estimate
from nas.statistics.location import mean_and_error
from nas.statistics.significance import DIGITS
from search_spaces.values import load

TRIAL_COLUMNS = (
    *("run", "number", "kind", "status", "recipe", "depth", "epochs_trained", "architecture_id", "seed"),
    *("reused_from", "proposal", "val_accuracy"),
)
"""Of the table `trials`."""
STANDARD = Proposal().recipe


@dataclass(frozen=True, kw_only=True)
class Trained:
    """One depth."""

    by_seed: Mapping[int, float]
    """Mean validation accuracy of its trainings, by the seed of the run."""
    num_trainings: int
    accuracy: Estimate
    """Mean over seeds."""
    error: float | None
    """Standard error of that mean; None with one seed."""


@dataclass(frozen=True, kw_only=True)
class Trainings:
    """The profile of a study."""

    depths: Mapping[int, Trained]
    """By depth, shallowest first; a depth that was never trained in the ordinary way is missing."""

    @property
    def means(self) -> dict[int, float]:
        """Mean validation accuracy by depth."""
        return {depth: trained.accuracy.value for depth, trained in self.depths.items()}

    @property
    def best(self) -> int | None:
        """D3: the depth with the highest mean, of equals the shallowest."""
        return max(self.depths, key=lambda depth: (round(self.means[depth], DIGITS), -depth), default=None)

    @property
    def tied(self) -> tuple[int, ...]:
        """Depths whose mean is within a standard error of the best one's, that one among them."""
        if self.best is None:
            return ()
        top = self.depths[self.best]
        lowest = round(top.accuracy.value - (top.error or 0.0), DIGITS)
        return tuple(depth for depth, value in self.means.items() if round(value, DIGITS) >= lowest)

    def regret(self, depth: int, seed: int) -> float | None:
        """What ordinary training loses by this depth against the best one; None where it was never trained.

        On the run's own seed if both depths were trained on it, so that what the seed brings to both cancels out; else
        by the means over all seeds.
        """
        if self.best is None or depth not in self.depths:
            return None
        best, other = self.depths[self.best], self.depths[depth]
        if seed in best.by_seed and seed in other.by_seed:
            return best.by_seed[seed] - other.by_seed[seed]
        return best.accuracy.value - other.accuracy.value


def ordinary_trainings(runs: pd.DataFrame, trials: pd.DataFrame, epochs: int) -> Trainings:
    """The profile of one study.

    Args:
        runs: `run` and `seed` of its runs.
        trials: `TRIAL_COLUMNS` of its trials.
        epochs: of every ordinary trial.
    """
    is_whole = (
        (trials["kind"] == Kind.ARCHITECTURE)
        & (trials["status"] == Status.COMPLETE)
        & (trials["recipe"] == STANDARD)
        & (trials["epochs_trained"] == epochs).fillna(value=False)
        & trials["reused_from"].isna()
        & trials["val_accuracy"].notna()
    )
    found = trials[is_whole]
    is_own_N = np.array([_is_own(load(Proposal, proposal), epochs) for proposal in found["proposal"]], dtype=bool)
    found = found[is_own_N]
    found = found.drop_duplicates(["architecture_id", "seed"]).drop(columns="seed")
    found = found.merge(runs[["run", "seed"]], on="run")
    return Trainings(depths=dict(_by_depth(found)))


def _is_own(proposal: Proposal, epochs: int) -> bool:
    """Whether this is a training of its own; going on where a shorter one stopped is the longer one."""
    starts_fresh = not proposal.inherits and (proposal.parent is None or proposal.resumed_epochs > 0)
    return starts_fresh and not proposal.recipe_options and proposal.schedule_epochs in (None, epochs)


def _by_depth(found: pd.DataFrame) -> Iterator[tuple[int, Trained]]:
    for depth in sorted(found["depth"].unique().tolist()):
        of_depth = found[found["depth"] == depth]
        means = of_depth.groupby("seed")["val_accuracy"].mean()
        by_seed = dict(zip(means.index.astype(int).tolist(), means.tolist(), strict=True))
        values = list(by_seed.values())
        error = float(mean_and_error(np.array(values), [len(values)])[1]) if len(values) > 1 else None
        yield int(depth), Trained(by_seed=by_seed, num_trainings=len(of_depth), accuracy=mean([values]), error=error)
