"""The registry of methods."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from controllers.adanet import AdaNet
from controllers.asha import Asha
from controllers.autogrow import AutoGrow
from controllers.boosting import Boosting
from controllers.controller import Controller
from controllers.distillation import Distillation
from controllers.evolution import Evolution
from controllers.fixed import Fixed
from controllers.grid import Grid
from controllers.local_search import LocalSearch
from controllers.lottery_ticket import LotteryTicket
from controllers.magnitude_pruning import MagnitudePruning
from controllers.net2deeper import Net2Deeper
from controllers.one_shot import OneShot, one_shot_options
from controllers.optuna_numeric import CmaEs, Qmc
from controllers.optuna_samplers import BruteForce, Gp, Nsga2, Nsga3, Tpe
from controllers.predictor import Predictor
from controllers.random import Random
from controllers.reinforce import Reinforce
from controllers.stacking import Stacking
from controllers.successive_halving import SuccessiveHalving
from search_spaces.registry import resolve
from search_spaces.relaxations import RELAXATIONS
from search_spaces.space import SearchSpace
from search_spaces.values import read

CONTROLLERS: dict[str, type[Controller]] = {
    "adanet": AdaNet,
    "asha": Asha,
    "autogrow": AutoGrow,
    "boosting": Boosting,
    "brute_force": BruteForce,
    "cmaes": CmaEs,
    "distillation": Distillation,
    "evolution": Evolution,
    "fixed": Fixed,
    "gp": Gp,
    "grid": Grid,
    "local_search": LocalSearch,
    "lottery_ticket": LotteryTicket,
    "magnitude_pruning": MagnitudePruning,
    "net2deeper": Net2Deeper,
    "nsga2": Nsga2,
    "nsga3": Nsga3,
    "predictor": Predictor,
    "qmc": Qmc,
    "random": Random,
    "reinforce": Reinforce,
    "stacking": Stacking,
    "successive_halving": SuccessiveHalving,
    "tpe": Tpe,
    **dict.fromkeys(RELAXATIONS, OneShot),
}
"""Methods by the name that a study file uses. Adding one is one file and one line here; every relaxation is one."""


def make_controller(
    method: str, options: Mapping[str, Any], *, space: SearchSpace, seed: int, trial_epochs: int = 1
) -> Controller:
    """The controller called `method` with these hyperparameters.

    `trial_epochs`, the epochs of one ordinary trial, is for the controllers that have such a field.

    Raises:
        InvalidInput: unknown method or hyperparameter, or a value out of its range.
    """
    controller, fields = resolve(method, CONTROLLERS, what="method", field="method"), options
    if method in RELAXATIONS or hasattr(controller, "supernet"):  # one of the registry, or of the user's own
        controller, fields = OneShot, one_shot_options(method, options)
    filled_in = {"space": space, "seed": seed}
    if "trial_epochs" in getattr(controller, "__dataclass_fields__", {}):
        filled_in["trial_epochs"] = trial_epochs
    return read(controller, fields, filled_in=filled_in)
