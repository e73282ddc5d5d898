"""Search guided by a predictor: a Gaussian process proposes the mutant that may well be the best.

Sources: mutants of the best as candidates, White, Neiswanger & Savani, "BANANAS" (AAAI 2021); an upper bound whose
width is drawn anew for every proposal, Berk et al., "Randomised Gaussian process upper confidence bound" (IJCAI 2020),
which needs no schedule and gives parallel workers different proposals; scores of the worse half mapped to a normal
distribution, Song et al., "The Vizier Gaussian process bandit algorithm" (2024). New here: equal networks share one
code, what is known without training is a feature beside it (sizes, and the shortest way from input to output, which
tells residual networks from plain ones), and the mean rises with the sizes a priori.

Shapes: N trials told, M candidates.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from pydantic.dataclasses import dataclass
from scipy.special import ndtri

from controllers.gaussian_process import GaussianProcess, Points
from controllers.main_effects import main_effects
from controllers.trial import Proposal, Status, Trial
from search_spaces.architecture import Architecture
from search_spaces.codes import Coder
from search_spaces.compose import mutate, sample
from search_spaces.space import SearchSpace
from search_spaces.values import CONFIG

Floats = NDArray[np.float64]

REFERENCE_STREAM = 2**31
"""Stands for a trial's number in the stream of the architectures that sizes are measured against."""
NUM_REFERENCES = 64
GROWTH = 1.1
"""Hyperparameters are tuned again whenever there are so many times more trials."""
MAX_TOLD = 400
"""Trials that the model looks at: the best and the latest."""
MAX_PENDING = 64
NUM_TOP = 10
"""Best trials that are mutated."""
NUM_MUTANTS, NUM_TWICE, NUM_RANDOM = 100, 33, 50
"""Candidates: mutants of the best, some of them mutated again, and random ones."""
NUM_ROUNDS, NUM_CLIMBING, NUM_EACH = 2, 8, 6
"""Then the best candidates are mutated: rounds, candidates of each, mutants of each."""
TRUST = 0.5
"""Part of what the model cannot explain of a score that is the network's own, and not the luck of one training."""
WIDTH_SHAPE = 3.0
"""The bound lies so many deviations above the mean on average; the number is Gamma distributed."""


@dataclass(kw_only=True, config=CONFIG)
class Predictor:
    """Random at first, then the candidate with the highest bound; never a network that was tried while others are left.

    The first trials are random. Trials that fail count as the worst one.
    """

    space: SearchSpace = Field(repr=False)
    seed: int
    num_random: int = Field(default=6, ge=2)
    """Random trials at first."""
    size_slope: float = 0.25
    """How much better a network is expected to be that is one deviation larger, before there are any results."""
    recommend_by: Literal["score_and_mean", "main_effects"] = "score_and_mean"
    """What the delivered network is best by; `main_effects`, where decisions hardly interact and scores scatter."""

    def __post_init__(self) -> None:
        self._coder = Coder(self.space)
        self._told: list[Architecture] = []
        self._scores: list[float | None] = []
        self._numbers: list[int | None] = []
        """Of the trials that can be recommended."""
        self._known: set[Architecture] = set()
        self._tune_at = self.num_random
        references = self._references()
        self._num_sizes = self._coder.sizes(references).shape[1]
        known = self._known_sizes(references)
        self._center, self._deviation = known.mean(axis=0), np.where(known.std(axis=0) > 0, known.std(axis=0), 1.0)
        num_decisions = max(float(np.mean([len(one.decisions) for one in references])), 1.0)
        self._model = GaussianProcess(num_decisions=num_decisions, num_sizes=known.shape[1])

    def ask(self, number: int, pending: Sequence[Trial] = ()) -> Proposal:
        rng = np.random.default_rng((self.seed, number))
        under_way = [trial.architecture for trial in pending if trial.architecture is not None]
        if len(self._told) + len(under_way) < self.num_random or not any(score is not None for score in self._scores):
            return Proposal(architecture=sample(self.space, rng))
        return Proposal(architecture=self._best_candidate(rng, under_way))

    def tell(self, trial: Trial) -> None:
        architecture = trial.architecture
        assert architecture is not None, "this method proposes architectures only"
        self._told.append(architecture)
        self._scores.append(trial.score)
        self._known.add(architecture)
        is_complete = trial.status is Status.COMPLETE and trial.score is not None
        self._numbers.append(trial.number if is_complete else None)
        if len(self._told) >= self._tune_at and any(score is not None for score in self._scores):
            kept, z_N = self._data()
            points = self._points([self._told[i] for i in kept])
            self._model.tune(points, z_N - self._expected(points))
            self._tune_at = max(len(self._told) + 1, int(GROWTH * len(self._told)))

    def recommend(self) -> int | None:
        """The trial whose network is worth the most, by its score and by the model's mean.

        The best of many scores was lucky, the more so the more there are. The model's mean is free of luck, but it also
        smooths away what is special about a network. One training of each network cannot tell these two apart, so
        each counts as one half of the difference. Where decisions hardly interact, main effects tell them apart
        better: each is learned from all trials, and what they leave unexplained counts as luck.
        """
        if len(self._told) < self.num_random or not any(number is not None for number in self._numbers):
            return None
        kept, z_N = self._data()
        points = self._points([self._told[i] for i in kept])
        expected_N = self._expected(points)
        if self.recommend_by == "main_effects":
            worth_N = expected_N + main_effects(points, z_N - expected_N)
        else:
            mean_N, _ = self._model.predict(points, z_N - expected_N, None, points)
            worth_N = TRUST * z_N + (1 - TRUST) * (mean_N + expected_N)
        ranked = [self._numbers[kept[i]] for i in np.argsort(-worth_N, kind="stable")]
        return next((number for number in ranked if number is not None), None)

    def _best_candidate(self, rng: np.random.Generator, under_way: Sequence[Architecture]) -> Architecture:
        kept, z_N = self._data()
        told = [self._told[i] for i in kept]
        points = self._points(told)
        rest_N = z_N - self._expected(points)
        waiting = self._points(under_way[-MAX_PENDING:]) if under_way else None
        width = rng.gamma(WIDTH_SHAPE)
        waits = set(under_way)
        best = [told[i] for i in np.argsort(-z_N, kind="stable")[:NUM_TOP]]
        bounds: dict[Architecture, float] = {}
        candidates = self._first_candidates(best, rng)
        for last in range(NUM_ROUNDS + 1):
            fresh = [
                one for one in dict.fromkeys(candidates) if not (one in self._known or one in waits or one in bounds)
            ]
            if fresh:
                asked = self._points(fresh)
                mean_M, deviation_M = self._model.predict(points, rest_N, waiting, asked)
                bound_M = mean_M + self._expected(asked) + width * deviation_M
                bounds.update(zip(fresh, bound_M.tolist(), strict=True))
            if last < NUM_ROUNDS:
                leaders = sorted(bounds, key=lambda one: -bounds[one])[:NUM_CLIMBING]
                candidates = [mutate(self.space, one, rng) for one in leaders for _ in range(NUM_EACH)]
        return max(bounds, key=lambda one: bounds[one]) if bounds else candidates[0] if candidates else best[0]

    def _first_candidates(self, best: Sequence[Architecture], rng: np.random.Generator) -> list[Architecture]:
        mutants = [mutate(self.space, best[i], rng) for i in rng.integers(len(best), size=NUM_MUTANTS)]
        twice = [mutate(self.space, one, rng) for one in mutants[:NUM_TWICE]]
        return [*mutants, *twice, *(sample(self.space, rng) for _ in range(NUM_RANDOM))]

    def _data(self) -> tuple[list[int], Floats]:
        """Positions of the trials that the model looks at, and the scores, warped to mean 0 and variance 1."""
        scores = [score for score in self._scores if score is not None]
        worst = min(scores)
        y_N = np.array([worst if score is None else score for score in self._scores])
        kept = list(range(len(y_N)))
        if len(kept) > MAX_TOLD:
            best = np.argsort(-y_N, kind="stable")[: MAX_TOLD // 2].tolist()
            kept = sorted({*best, *kept[-MAX_TOLD // 2 :]})
        return kept, warped(y_N[kept])

    def _points(self, architectures: Sequence[Architecture]) -> Points:
        sizes_NS = (self._known_sizes(architectures) - self._center) / self._deviation
        return Points(codes_NC=self._coder.answers(architectures), sizes_NS=sizes_NS)

    def _known_sizes(self, architectures: Sequence[Architecture]) -> Floats:
        """What is known without training: sizes, and the shortest way from input to output where it has a length."""
        return np.hstack([self._coder.sizes(architectures), self._coder.shortest_paths(architectures)])

    def _expected(self, points: Points) -> Floats:
        """The mean before there are any results: `[N]`. A short way makes a network neither larger nor smaller."""
        expected_N: Floats = self.size_slope * points.sizes_NS[:, : self._num_sizes].mean(axis=1)
        return expected_N

    def _references(self) -> list[Architecture]:
        rng = np.random.default_rng((self.seed, REFERENCE_STREAM))
        return [sample(self.space, rng) for _ in range(NUM_REFERENCES)]


def warped(y_N: Floats) -> Floats:
    """Scores with mean 0 and variance 1, those below the median with the distances of a normal distribution.

    How much worse the bad ones are tells little about the good ones, and would drown their differences.
    """
    median = np.median(y_N)
    above = y_N[y_N >= median] - median
    spread = np.sqrt(np.mean(above**2))
    ranks = np.argsort(np.argsort(y_N, kind="stable"), kind="stable")
    normal_N = median + spread * ndtri((ranks + 0.5) / len(y_N))
    values_N = np.where(y_N < median, normal_N, y_N)
    deviation = values_N.std()
    z_N: Floats = (values_N - values_N.mean()) / (deviation if deviation > 0 else 1.0)
    return z_N
