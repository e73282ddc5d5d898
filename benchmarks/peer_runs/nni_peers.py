"""NNI's tuners, driven as NNI's server drives them: a number and a search space in, parameters out, a result back in.

The classic tuners know a `choice`; the regularized evolution for architectures wants each edge to be a `layer_choice`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from nni.algorithms.hpo.evolution_tuner import EvolutionTuner
from nni.algorithms.hpo.random_tuner import RandomTuner
from nni.algorithms.hpo.regularized_evolution_tuner import RegularizedEvolutionTuner
from nni.algorithms.hpo.tpe_tuner import TpeTuner
from nni.tuner import Tuner
from peer_runs.protocol import EDGES, Optimizer, Table

CHOICE, LAYER_CHOICE = "choice", "layer_choice"

TUNERS: dict[str, tuple[str, Callable[[int], Tuner]]] = {
    "random": (CHOICE, lambda seed: RandomTuner(seed=seed)),
    "tpe": (CHOICE, lambda seed: TpeTuner(optimize_mode="maximize", seed=seed)),
    "evolution": (CHOICE, lambda _: EvolutionTuner(optimize_mode="maximize", population_size=10)),
    "regularized_evolution": (LAYER_CHOICE, lambda _: RegularizedEvolutionTuner(population_size=10, sample_size=3)),
}


class Asked:
    """One of NNI's tuners as an optimizer."""

    def __init__(self, tuner: Tuner, kind: str, operations: list[str]) -> None:
        self._tuner = tuner
        self._number = -1
        self._tuner.update_search_space({edge: {"_type": kind, "_value": operations} for edge in EDGES})

    def ask(self) -> Mapping[str, str]:
        self._number += 1
        self._parameters = self._tuner.generate_parameters(self._number)
        return {edge: _chosen(value) for edge, value in self._parameters.items()}

    def tell(self, accuracy: float) -> None:
        self._tuner.receive_trial_result(self._number, self._parameters, accuracy)
        self._tuner.trial_end(self._number, True)


def _chosen(value: Any) -> str:
    return str(value["_value"]) if isinstance(value, dict) else str(value)


def _make(method: str, table: Table, seed: int) -> Optimizer:
    random.seed(seed)  # some of the tuners draw from the global generators
    np.random.seed(seed)  # noqa: NPY002
    kind, make = TUNERS[method]
    return Asked(make(seed), kind, table.operations)


METHODS = {method: partial(_make, method) for method in TUNERS}
