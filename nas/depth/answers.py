"""What the supernet of one run says: how good every level is by each answer, and which is best.

A level of a chain is a depth: level l is what the first l blocks make of the input.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import pandas as pd

from controllers.trial import Kind, Status
from search_spaces.readings import LEVEL_ACCURACY, LEVEL_LOSS, REMOVAL_ACCURACY, REMOVAL_LOSS, SCALED_WEIGHT

LEVEL_COLUMNS = (
    *("run", "label", "seed", "number", "epoch", "level", "weight", "chosen_depth"),
    *(SCALED_WEIGHT, LEVEL_ACCURACY, LEVEL_LOSS, REMOVAL_ACCURACY, REMOVAL_LOSS),
)
"""Of the view `v_depth`."""
POSTERIORS = frozenset({"depth_posterior", "halting"})
"""Relaxations whose weights are a probability distribution over depths by what they mean, not only by their form: no
output is a fusion of levels with these weights."""
SHARES = frozenset({"blockdrop", "byot", "elastic", "multi_exit", "scan", "skipnet"})
"""Relaxations whose weights are how much each level is trained, which is given, or how often it is executed, which is
no merit of a depth: the greatest says nothing."""
RUN_COLUMNS = ("run", "label", "seed", "choice")
"""Of the table `runs`."""

Merits = Mapping[int, float]
"""How good each level is: the greater, the better."""


class Answer(StrEnum):
    """A way to say which depth is best."""

    WEIGHT = "D1"
    """Greatest weight in the fusion of levels."""
    SCALED = "D1s"
    """Greatest weight times the root mean square of what it weighs."""
    LEVEL = "D2"
    """Best with all weight on it, in the same network."""
    TRAINING = "D3"
    """Best ordinary training of that depth."""
    REMOVAL = "D4"
    """The level that is missed most."""
    POSTERIOR = "D5"
    """Most probable."""


ANY_LEVEL = (Answer.WEIGHT, Answer.SCALED)
"""The greatest weight is where it is; what is read of a level by itself has to be a choice."""


@dataclass(frozen=True, kw_only=True)
class Supernet:
    """What one run's supernet says after its last epoch."""

    run: int
    label: str
    seed: int
    number: int
    """Of the trial."""
    relaxation: str
    epoch: int
    merits: Mapping[Answer, Merits]
    """Of every depth of the space, for each answer that there is."""
    depths: Mapping[Answer, int]
    """The answers. Only the level with the greatest weight may be no depth of the space."""
    chosen_depth: int | None
    """What the run chose in the end, by training what the supernet pointed to."""


def supernets(
    runs: pd.DataFrame, trials: pd.DataFrame, levels: pd.DataFrame, allowed: Collection[int]
) -> Iterator[Supernet]:
    """The supernets of a study that were trained to their end, in the order of their runs.

    Of a run that trained several, it is the one that it chose to deliver, or else the last. A plain sum of members
    weighs nothing, and is none of them; nor is a pruned chain, whose levels have no weights but FLOPs.

    Args:
        runs: `RUN_COLUMNS` of one study.
        trials: `run`, `number`, `kind`, `status` and `proposal` of its trials, in the order of their keys.
        levels: `LEVEL_COLUMNS` of it.
        allowed: depths of the space.
    """
    trained = trials[(trials["kind"] == Kind.RELAXATION) & (trials["status"] == Status.COMPLETE)]
    trained = trained[~trained["proposal"].map(_weighs_nothing).astype(bool)]
    is_chosen = trained["number"] == trained["run"].map(runs.set_index("run")["choice"])
    trained = trained.assign(is_chosen=is_chosen.fillna(value=False)).sort_values(["run", "is_chosen", "number"])
    trained = trained.drop_duplicates("run", keep="last")
    relaxations = dict(zip(zip(trained["run"], trained["number"], strict=True), trained["proposal"], strict=True))
    for key, of_trial in levels.groupby(["run", "number"]):
        if key in relaxations:
            last = of_trial[of_trial["epoch"] == of_trial["epoch"].max()]
            yield _supernet(last, str(relaxations[key]["relaxation"]["name"]), allowed)


def _weighs_nothing(proposal: Mapping[str, Any]) -> bool:
    relaxation = proposal["relaxation"]
    is_plain_sum = relaxation["name"] == "ensemble" and relaxation.get("mix") == "sum"
    return bool(is_plain_sum or relaxation["name"] == "pruned")


def _supernet(levels: pd.DataFrame, relaxation: str, allowed: Collection[int]) -> Supernet:
    """From the rows of one epoch."""
    first = levels.iloc[0]
    of_levels = _merits(levels, relaxation)
    merits = {
        answer: {level: value for level, value in of_level.items() if level in allowed}
        for answer, of_level in of_levels.items()
    }
    losses = {
        Answer.LEVEL: _by_level(levels, -levels[LEVEL_LOSS]),
        Answer.REMOVAL: _by_level(levels, levels[REMOVAL_LOSS]),
    }
    depths = {
        answer: _best(of_levels[answer] if answer in ANY_LEVEL else choices, losses.get(answer, {}))
        for answer, choices in merits.items()
        if choices
    }
    return Supernet(
        run=int(first["run"]),
        label=str(first["label"]),
        seed=int(first["seed"]),
        number=int(first["number"]),
        relaxation=relaxation,
        epoch=int(first["epoch"]),
        merits=merits,
        depths=depths,
        chosen_depth=None if pd.isna(first["chosen_depth"]) else int(first["chosen_depth"]),
    )


def is_share(relaxation: str) -> bool:
    """Whether its weights are no merit of a depth. Of one that is imported, nobody knows what they are."""
    return relaxation in SHARES or ":" in relaxation


def _merits(levels: pd.DataFrame, relaxation: str) -> dict[Answer, Merits]:
    """Of every level 0..L."""
    fused = {Answer.WEIGHT: levels["weight"].abs(), Answer.SCALED: levels[SCALED_WEIGHT]}
    posterior = {Answer.POSTERIOR: levels["weight"]}
    columns = {
        **({} if is_share(relaxation) else posterior if relaxation in POSTERIORS else fused),
        Answer.LEVEL: levels[LEVEL_ACCURACY],
        Answer.REMOVAL: -levels[REMOVAL_ACCURACY],
    }
    return {answer: _by_level(levels, column) for answer, column in columns.items() if column.notna().all()}


def _best(merits: Merits, ties: Merits) -> int:
    """The greatest merit; of equals that whose loss says more, then the shallowest."""
    return max(merits, key=lambda level: (merits[level], ties.get(level, 0.0), -level))


def _by_level(levels: pd.DataFrame, column: pd.Series[float]) -> dict[int, float]:
    """Nothing for levels that lack it."""
    pairs = zip(levels["level"].astype(int).tolist(), column.astype(float).tolist(), strict=True)
    return {level: value for level, value in pairs if not math.isnan(value)}
