"""From a study file to runs with budgets: everything that is checked and priced before anything runs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import numpy as np

from controllers import make_controller
from controllers.controller import Controller
from controllers.cost import Cost, Unit
from controllers.grid import Grid
from controllers.seeded import Seeded, without_seeds
from controllers.seeds import derive_seed
from controllers.trial import Proposal, Status, Trial
from nas.prices import Prices, TablePrices, TrainingPrices
from nas.records import RunPlan
from nas.spec import MAX_AMOUNT, MethodSpec, StudySpec
from nas.start import first_architectures
from nas.tariff import GUESSED_US_PER_FLOP, Throughput
from search_spaces import make_space
from search_spaces.architecture import Architecture
from search_spaces.compose import Size, sample, size
from search_spaces.errors import InvalidInput, SearchExhausted, TrialFailed
from search_spaces.space import SearchSpace
from search_spaces.tabular import Tabular
from search_spaces.values import dump, read
from workers.lookup import Lookup
from workers.pricing import DataShape, Pricer
from workers.tasks import SearchData, make_task
from workers.training import Training

FINAL_EPOCHS_FACTOR = 3
"""The final protocol trains this many times longer than a trial, unless the study says otherwise."""
NUM_PROBES = 16
"""Architectures drawn to estimate what an ordinary trial costs."""


class Plan:
    """A checked study: the values that every run shares, and the runs.

    Raises:
        InvalidInput: the spec cannot be carried out; the message names the field.
    """

    def __init__(self, spec: StudySpec) -> None:
        self.spec = spec
        _check_storage(spec.resources.storage)
        self.unit = _unit(spec)
        with _field("final.training"):
            self.final_training = _final_training(spec)
        with _field("task"):
            data = make_task(spec.task).load() if spec.task else None
        with _field("space"):
            self.space = _space(spec, data)
        self.shape = None if data is None else _shape(data)
        self.prices = self._prices()
        self.controllers = {method.label: self.make_controller(method, spec.seeds[0]) for method in spec.methods}
        self.budget = self._budget()
        self.runs = tuple(
            RunPlan(
                index=index,
                label=method.label,
                method=method.method,
                options=method.options,
                seed=seed,
                unit=self.unit,
                budget=self.budget,
            )
            for index, (method, seed) in enumerate((method, seed) for method in spec.methods for seed in spec.seeds)
        )
        for method in spec.methods:
            self._check_first_trial(method)

    def _prices(self) -> Prices:
        if self.shape is not None:
            return TrainingPrices(
                unit=self.unit,
                pricer=Pricer(self.space, self.shape, time_limit_s=self.spec.limits.trial_seconds),
                training=self.spec.training,
                final_training=self.final_training,
            )
        assert isinstance(self.space, Tabular), "all other spaces need a task, as the spec sees to"
        lookup = Lookup(space=self.space)
        epochs = self.spec.training.epochs
        if epochs not in lookup.fidelities:
            allowed = " or ".join(map(str, lookup.fidelities))
            raise InvalidInput(f"must be {allowed}, what the table knows, got {epochs}", field="training.epochs")
        if not lookup.knows(self.unit):
            name = "unit" if self.spec.budget.of_grid is not None else self.unit
            raise InvalidInput(f"needs observations that say what they took in {self.unit}", field=f"budget.{name}")
        return TablePrices(unit=self.unit, lookup=lookup, epochs=epochs)

    def make_controller(self, method: MethodSpec, seed: int) -> Controller:
        """A fresh controller for the run of `method` with `seed`."""
        with _field(f"methods.{self.spec.methods.index(method)}"):
            policy_seed = derive_seed(self.spec.seed, seed, "policy")
            controller = make_controller(
                method.method,
                method.options,
                space=self.space,
                seed=policy_seed,
                trial_epochs=self.spec.training.epochs,
            )
            if method.start_from is None:
                return controller
            with _field("start_from"):
                first = first_architectures(method.start_from, self.space, seed=policy_seed)
            return Seeded(controller=controller, first=first)

    @cached_property
    def grid(self) -> Grid:
        """The grid that `of_grid` refers to: the study's own, or else every point of the space."""
        for controller in map(without_seeds, self.controllers.values()):
            if isinstance(controller, Grid):
                return controller
        try:
            return read(Grid, {}, filled_in={"space": self.space, "seed": self.spec.seed})
        except InvalidInput as error:
            raise InvalidInput(f"{error.message}, by adding a grid to the methods", field="budget.of_grid") from None

    @cached_property
    def grid_cost(self) -> Cost:
        """What training every point of the grid once costs.

        Raises:
            InvalidInput: a point cannot be priced.
        """
        try:
            return sum((self.prices.trial_cost(point) for point in self.grid.points()), Cost())
        except TrialFailed as error:
            raise InvalidInput(f"cannot price the grid: {error}", field="budget.of_grid") from None

    @cached_property
    def typical_trial(self) -> Cost:
        """Mean cost of ordinary trials of random architectures.

        Raises:
            TrialFailed: a network cannot be built or run.
        """
        return self._mean(self.prices.trial_cost)

    @cached_property
    def typical_final(self) -> Cost:
        """Mean cost of training random architectures under the final protocol.

        Raises:
            TrialFailed: a network cannot be built or run.
        """
        return self._mean(self.prices.final_cost)

    def _mean(self, cost: Callable[[Architecture], Cost]) -> Cost:
        costs = [cost(probe) for probe in self._probes]
        return Cost(**{name: sum(getattr(one, name) for one in costs) // NUM_PROBES for name in vars(costs[0])})

    @cached_property
    def _probes(self) -> tuple[Architecture, ...]:
        rng = np.random.default_rng(self.spec.seed)
        return tuple(sample(self.space, rng) for _ in range(NUM_PROBES))

    def space_size(self) -> Size:
        """Number of architectures."""
        return size(self.space)

    def _budget(self) -> int:
        budget = self.spec.budget
        if budget.of_grid is not None:
            atoms = budget.of_grid * self.grid_cost.atoms(self.unit)
            if atoms > MAX_AMOUNT:
                raise InvalidInput(f"must be at most {MAX_AMOUNT} {self.unit}, got {atoms:.4g}", field="budget.of_grid")
            return int(atoms)
        return int(getattr(budget, self.unit) * self.unit.atoms)

    def _check_first_trial(self, method: MethodSpec) -> None:
        """Refuse a budget that pays for nothing of what the method asks for before it is given up."""
        if self.unit is Unit.DEVICE_SECONDS and self.shape is not None:
            return  # nobody knows yet how fast the workers are
        controller = self.controllers[method.label]
        refused: list[int] = []
        for number in range(self.spec.limits.idle_proposals):
            try:
                proposal = controller.ask(number)
            except SearchExhausted as error:
                if not refused:
                    raise InvalidInput(f"{method.label} has nothing to propose: {error}", field="methods") from None
                break
            needed = None if proposal is None else self._least(proposal)
            if proposal is None or needed is None or needed <= self.budget:
                return
            if not refused:  # the other is never told anything
                controller = self.make_controller(method, self.spec.seeds[0])
            refused.append(needed)
            epochs = proposal.epochs or self.spec.training.epochs
            controller.tell(Trial(number=number, proposal=proposal, epochs=epochs, seed=0, status=Status.FAILED))
        name = "of_grid" if self.spec.budget.of_grid is not None else self.unit
        raise InvalidInput(
            f"must pay for the first trial of {method.label}, {min(refused) / self.unit.atoms:.4g} {self.unit}, "
            f"got {self.budget / self.unit.atoms:.4g}",
            field=f"budget.{name}",
        )

    def _least(self, proposal: Proposal) -> int | None:
        """Atoms that it costs at least; None: it cannot be built, which is data that the run will record."""
        try:
            costs = self.prices.tariff(proposal, Throughput(GUESSED_US_PER_FLOP))
        except TrialFailed:
            return None
        return costs.price(proposal.fewest_epochs(self.spec.training.epochs))


def _space(spec: StudySpec, data: SearchData | None) -> SearchSpace:
    if data is None:
        return make_space(spec.space, input_shape=(), num_classes=0)
    return make_space(
        spec.space, input_shape=data.input_shape, num_classes=data.num_classes, num_tokens=data.num_tokens
    )


def _shape(data: SearchData) -> DataShape:
    return DataShape(
        input_shape=data.input_shape,
        label_shape=data.label_shape,
        num_train=len(data.train),
        num_validation=len(data.validation),
        num_unlabelled=data.num_unlabelled,
    )


def _unit(spec: StudySpec) -> Unit:
    if spec.budget.of_grid is not None:
        return spec.budget.unit
    return next(unit for unit in Unit if getattr(spec.budget, unit) is not None)


def _final_training(spec: StudySpec) -> Training:
    longer = {"epochs": FINAL_EPOCHS_FACTOR * spec.training.epochs}
    return read(Training, {**dump(spec.training), **longer, **spec.final.training})


def _check_storage(folder: Path) -> None:
    """Whether the folder is there and can be written, or can be made: nothing is made here."""
    nearest = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        reason = "cannot be written" if nearest.is_dir() else "is no folder"
        raise InvalidInput(
            f"must be a folder that can be written, got {folder}: {nearest} {reason}", field="resources.storage"
        )


@contextmanager
def _field(name: str) -> Iterator[None]:
    """Errors raised inside name the study's field."""
    try:
        yield
    except InvalidInput as error:
        raise error.within(name) from None
