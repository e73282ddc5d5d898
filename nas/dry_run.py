"""What a study would cost, before anything runs: `nas run --dry-run`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise

from rich.table import Table
from rich.text import Text

from controllers.asha import Asha
from controllers.cost import Cost, Unit
from controllers.grid import Grid
from controllers.one_shot import OneShot
from controllers.seeded import without_seeds
from controllers.successive_halving import SuccessiveHalving
from controllers.trial import AS_LONG_AS_PAID, Kind, Proposal
from nas.output import table
from nas.plan import Plan
from nas.quantities import amount, flops, number, percent
from nas.tables import facts_table
from nas.tariff import GUESSED_US_PER_FLOP, Throughput, num_blocks
from search_spaces.errors import InvalidInput, TrialFailed

UNKNOWN = "unknown before a trial has been measured"


def dry_run_tables(plan: Plan) -> Iterator[Table | Text]:
    """What the study is, what it costs, and how far each method gets."""
    yield Text.assemble((plan.spec.name, "bold"), " can be run. Nothing was run or stored.")
    try:
        yield facts_table(dict(_facts(plan)))
        estimates = [(label, *_estimate(plan, label)) for label in plan.controllers]
    except TrialFailed as error:
        yield Text(f"Some networks of the space cannot be trained, and their trials will fail: {error}")
        return
    yield Text("\nHow far the budget of one run goes", style="bold")
    yield table({"method": False, "trials": True, "which": False}, estimates)


def _facts(plan: Plan) -> Iterator[tuple[str, str]]:
    spec, shape = plan.spec, plan.shape
    if shape is not None:
        sides = "x".join(str(side) for side in shape.input_shape)
        examples = f"{number(shape.num_train)} training and {number(shape.num_validation)} validation examples"
        unlabelled = f", {number(shape.num_unlabelled)} more without a label" if shape.num_unlabelled else ""
        yield "task", f"{spec.task['name']}: {examples} of {sides}{unlabelled}"
    yield "space", f"{spec.space['family']}: {plan.space_size()} architectures"
    yield "runs", f"{len(plan.runs)}: {len(spec.methods)} methods, {len(spec.seeds)} seeds each"
    yield (
        "at a time",
        f"{spec.resources.workers} trials{' of each run, on a simulated clock' if spec.is_tabular else ''}",
    )
    yield "budget", f"{_in_unit(plan, plan.budget)} per run, {_in_unit(plan, plan.budget * len(plan.runs))} in all"
    yield "whole grid", _grid(plan)
    yield "typical trial", f"{_price(plan, plan.typical_trial)} for {spec.training.epochs} epochs"
    final, num_epochs = plan.typical_final, plan.final_training.epochs
    if not spec.is_tabular:
        yield "final protocol", f"about {flops(final.flops)} per run for {num_epochs} epochs, on a separate account"


def _grid(plan: Plan) -> str:
    has_grid = any(isinstance(without_seeds(controller), Grid) for controller in plan.controllers.values())
    if not (has_grid or plan.spec.budget.of_grid or plan.space_size().exact):
        return "too large to be priced"
    try:
        cost = plan.grid_cost
    except InvalidInput as error:
        return error.message
    text = f"{number(len(plan.grid.points()))} points, {_price(plan, cost)}"
    if not _is_known(plan):
        return text
    return f"{text}; a run's budget is {percent(plan.budget / cost.atoms(plan.unit))} % of it"


def _estimate(plan: Plan, label: str) -> tuple[str, str]:
    """How many trials, and which."""
    controller = without_seeds(plan.controllers[label])
    proposal = controller.ask(0)
    if proposal is None or not _is_known(plan):
        return "?", UNKNOWN
    if proposal.epochs == AS_LONG_AS_PAID and proposal.kind is Kind.ARCHITECTURE:
        return "1", f"one network for {number(_affordable_epochs(plan, proposal))} epochs"
    if isinstance(controller, Grid):
        points = controller.points()
        prices = accumulate(plan.prices.trial_cost(point).atoms(plan.unit) for point in points)
        num_paid = sum(price <= plan.budget for price in prices)
        return number(num_paid), f"the first {num_paid} of {len(points)} grid points"
    if isinstance(controller, SuccessiveHalving):
        places, epochs = zip(*controller.rungs, strict=True)
        num_brackets = plan.budget / _climb(plan, places, epochs)
        which = f"brackets of {_listed(places)} trials that reach {_listed(epochs)} epochs"
        return _about(num_brackets * sum(places)), f"{num_brackets:,.1f} {which}, at typical cost"
    if isinstance(controller, Asha):
        reach = [controller.reduction_factor**-rung for rung in range(len(controller.rungs))]
        num_candidates = plan.budget / _climb(plan, reach, controller.rungs)
        which = f"{_about(num_candidates)} candidates, of which one in {controller.reduction_factor} goes on"
        return _about(num_candidates * sum(reach)), f"{which} at {_listed(controller.rungs)} epochs, at typical cost"
    share = proposal.budget_share or 1.0
    each = plan.typical_trial.atoms(plan.unit) + (proposal.controller_flops if plan.unit is Unit.FLOPS else 0)
    if isinstance(controller, OneShot):
        rest = int((1 - share) * plan.budget) // each
        derived = rest if controller.derive_top is None else min(rest, controller.derive_top)
        return f"1 + {derived}", f"a supernet for {percent(share, digits=0)} % of the budget, then what it points to"
    return _about(plan.budget / each), "of typical cost; networks tried before cost nothing"


def _climb(plan: Plan, places: Sequence[float], epochs: Sequence[int]) -> float:
    """Atoms that it takes to train so many networks of typical cost on every rung, each on from the rung below."""
    per_trial, each = plan.spec.training.epochs, plan.typical_trial.atoms(plan.unit)

    def reaching(epochs: int) -> float:
        return num_blocks(epochs, per_trial) if plan.unit is Unit.TRIALS else each * epochs / per_trial

    new = [reaching(high) - reaching(low) for low, high in pairwise((0, *epochs))]
    return sum(count * atoms for count, atoms in zip(places, new, strict=True))


def _about(num: float) -> str:
    return f"{num:,.1f}" if num < 10 else f"{num:,.0f}"


def _listed(numbers: Sequence[int]) -> str:
    *others, last = map(number, numbers)
    return f"{', '.join(others)} and {last}" if others else last


def _is_known(plan: Plan) -> bool:
    """Whether a price in the budget's unit can be known beforehand."""
    return plan.unit is not Unit.DEVICE_SECONDS or plan.spec.is_tabular


def _affordable_epochs(plan: Plan, proposal: Proposal) -> int:
    return plan.prices.tariff(proposal, Throughput(GUESSED_US_PER_FLOP)).affordable(plan.budget)


def _price(plan: Plan, cost: Cost) -> str:
    """FLOPs, beside the amount in the budget's unit where that is another one that can be known beforehand."""
    if plan.unit is Unit.FLOPS or not _is_known(plan):
        return flops(cost.flops)
    in_flops = f" ({flops(cost.flops)})" if cost.flops else ""
    return f"{_in_unit(plan, cost.atoms(plan.unit))}{in_flops}"


def _in_unit(plan: Plan, atoms: int) -> str:
    return amount(atoms / plan.unit.atoms, plan.unit)
