"""The five answers of one study, from what is stored of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import pandas as pd

from controllers.trial import Kind
from nas.depth.agreement import Agreement, Pair, agreements, pairs
from nas.depth.answers import Answer, Supernet, supernets
from nas.depth.maps import WeightMap, weight_maps
from nas.depth.trainings import Trainings, ordinary_trainings
from nas.merging import listing, numbered
from search_spaces.errors import InvalidInput
from search_spaces.options import options


@dataclass(frozen=True, kw_only=True)
class DepthStudy:
    """Which depth is best, in five ways."""

    study: str
    allowed: tuple[int, ...]
    """Depths of the space."""
    epochs: int
    """Of an ordinary training."""
    trainings: Trainings
    supernets: tuple[Supernet, ...]
    agreements: tuple[Agreement, ...]
    pairs: tuple[Pair, ...]
    maps: tuple[WeightMap, ...]
    notes: tuple[str, ...]
    """What is missing, and what would bring it."""


def depth_study(spec: Mapping[str, Any], runs: pd.DataFrame, trials: pd.DataFrame, levels: pd.DataFrame) -> DepthStudy:
    """The answers of one study.

    Args:
        spec: its study file, as it is stored.
        runs: `RUN_COLUMNS`, one row per run.
        trials: `TRIAL_COLUMNS`.
        levels: `LEVEL_COLUMNS`.
    """
    allowed = allowed_depths(spec["space"], trials)
    epochs = int(spec["training"]["epochs"])
    trainings = ordinary_trainings(runs, trials, epochs)
    found = tuple(supernets(runs, trials, levels, allowed))
    agreed = tuple(agreements(found, trainings))
    return DepthStudy(
        study=str(spec["name"]),
        allowed=allowed,
        epochs=epochs,
        trainings=trainings,
        supernets=found,
        agreements=agreed,
        pairs=tuple(pairs(found, trainings)),
        maps=tuple(weight_maps(levels, found, trainings.best)),
        notes=(
            *_training_notes(trainings, allowed, epochs),
            *_supernet_notes(runs, trials, found),
            *_regret_notes(agreed),
        ),
    )


def allowed_depths(space: Mapping[str, Any], trials: pd.DataFrame) -> tuple[int, ...]:
    """The depths of the space, all stages together; where it does not say, those of the networks that were tried."""
    try:
        of_stages = [options(stage["depth"]) for stage in space.get("stages") or [space]]
    except (InvalidInput, KeyError, TypeError):  # a table, or a space from elsewhere
        return tuple(sorted(trials["depth"].dropna().astype(int).unique().tolist()))
    totals = {0}
    for of_stage in of_stages:
        totals = {total + depth for total, depth in product(totals, of_stage)}
    return tuple(sorted(totals))


def _training_notes(trainings: Trainings, allowed: Sequence[int], epochs: int) -> Iterator[str]:
    whole = f"ordinary training of {numbered(epochs, 'epoch')}"
    if trainings.best is None:
        yield (
            f"there is no {whole}: D3, and with it the distances, rank correlations and regrets of the others, is "
            "missing; a grid that can pay for every depth would bring it"
        )
        return
    missing = [depth for depth in allowed if depth not in trainings.depths]
    if missing:
        yield f"there is no {whole} at {_depths(missing)}: D3 is the best of the others, and regrets there are unknown"
    if len({len(trained.by_seed) for trained in trainings.depths.values()}) > 1:
        yield "depths differ in how many seeds trained them: the best mean may be that of a few lucky ones"


def _supernet_notes(runs: pd.DataFrame, trials: pd.DataFrame, found: Sequence[Supernet]) -> Iterator[str]:
    """Supernets that are missing, and what those that are there do not report."""
    labels = dict(zip(runs["run"], runs["label"], strict=True))
    meant = {run: labels[run] for run in trials.loc[trials["kind"] == Kind.RELAXATION, "run"]}
    done = {supernet.run for supernet in found}
    if not meant:
        yield "there is no supernet: D3 is the only answer"
    for label in dict.fromkeys(meant.values()):
        own = [run for run, of in meant.items() if of == label]
        left = sum(run not in done for run in own)
        if left:
            yield f"{left} of {numbered(len(own), 'run')} of {label} has no finished supernet that reported its levels"
    for label in dict.fromkeys(supernet.label for supernet in found):
        given = {answer for supernet in found if supernet.label == label for answer in supernet.depths}
        unread = [answer for answer in (Answer.LEVEL, Answer.REMOVAL) if answer not in given]
        if unread:
            yield f"no {' and no '.join(unread)} for {label}: its supernets report no such reading of their levels"


def _regret_notes(agreed: Sequence[Agreement]) -> Iterator[str]:
    for one in agreed:
        unknown = one.num_runs - one.num_regrets
        if unknown and one.distance is not None:
            yield (
                f"{one.answer} of {one.label} names, in {unknown} of {numbered(one.num_runs, 'run')}, a level that was "
                "never trained as a network of its own: no regret"
            )


def _depths(depths: Sequence[int]) -> str:
    return f"{'depth' if len(depths) == 1 else 'depths'} {listing(depths)}"
