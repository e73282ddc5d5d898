"""From a study file to runs with budgets: everything that is checked and priced before anything runs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np

from controllers import make_controller
from controllers.controller import Controller
from controllers.cost import Cost, Unit
from controllers.grid import Grid
from controllers.seeds import derive_seed
from controllers.trial import Kind, Proposal
from nas.records import RunPlan
from nas.spec import MAX_AMOUNT, MethodSpec, StudySpec
from nas.tariff import GUESSED_US_PER_FLOP, Throughput, tariff
from search_spaces import make_space
from search_spaces.architecture import Architecture
from search_spaces.compose import Size, sample, size
from search_spaces.errors import InvalidInput, SearchExhausted, TrialFailed
from search_spaces.values import dump, read
from workers.pricing import DataShape, Pricer
from workers.tasks import make_task
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
        with _field("task"):
            data = make_task(spec.task).load()
        with _field("space"):
            self.space = make_space(spec.space, input_shape=data.input_shape, num_classes=data.num_classes)
        with _field("final.training"):
            self.final_training = _final_training(spec)
        shape = DataShape(input_shape=data.input_shape, num_train=len(data.train), num_validation=len(data.validation))
        self.pricer = Pricer(self.space, shape, time_limit_s=spec.limits.trial_seconds)
        self.controllers = {method.label: self.make_controller(method, spec.seeds[0]) for method in spec.methods}
        self.unit = _unit(spec)
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

    def make_controller(self, method: MethodSpec, seed: int) -> Controller:
        """A fresh controller for the run of `method` with `seed`."""
        with _field(f"methods.{self.spec.methods.index(method)}"):
            policy_seed = derive_seed(self.spec.seed, seed, "policy")
            return make_controller(
                method.method,
                method.options,
                space=self.space,
                seed=policy_seed,
                trial_epochs=self.spec.training.epochs,
            )

    def epoch_cost(self, proposal: Proposal) -> Cost:
        """Cost of one epoch of a search trial, without the controller's own.

        Raises:
            TrialFailed: the network cannot be built or run.
        """
        return self.pricer.epoch_cost(proposal, self.spec.training)

    def trial_cost(self, architecture: Architecture) -> Cost:
        """Cost of one ordinary trial.

        Raises:
            TrialFailed: the network cannot be built or run.
        """
        epoch = self.epoch_cost(Proposal(architecture=architecture))
        return replace(epoch * self.spec.training.epochs, trials=1)

    @cached_property
    def grid(self) -> Grid:
        """The grid that `of_grid` refers to: the study's own, or else every point of the space."""
        for controller in self.controllers.values():
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
            return sum((self.trial_cost(point) for point in self.grid.points()), Cost())
        except TrialFailed as error:
            raise InvalidInput(f"cannot price the grid: {error}", field="budget.of_grid") from None

    @cached_property
    def typical_trial(self) -> Cost:
        """Mean cost of ordinary trials of random architectures.

        Raises:
            TrialFailed: a network cannot be built or run.
        """
        flops = sum(self.trial_cost(probe).flops for probe in self._probes) // NUM_PROBES
        return Cost(flops=flops, epochs=self.spec.training.epochs, trials=1)

    @cached_property
    def typical_final(self) -> Cost:
        """Mean cost of training random architectures under the final protocol.

        Raises:
            TrialFailed: a network cannot be built or run.
        """
        training = self.final_training
        proposals = [Proposal(kind=Kind.FINAL, architecture=probe) for probe in self._probes]
        flops = sum(self.pricer.epoch_cost(proposal, training).flops for proposal in proposals) // NUM_PROBES
        return Cost(flops=flops * training.epochs, epochs=training.epochs, trials=1)

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
        """Refuse a budget that does not pay for the first thing that the method asks for."""
        if self.unit is Unit.DEVICE_SECONDS:
            return  # nobody knows yet how fast the workers are
        try:
            proposal = self.controllers[method.label].ask(0)
        except SearchExhausted as error:
            raise InvalidInput(f"{method.label} has nothing to propose: {error}", field="methods") from None
        if proposal is None:
            return
        try:
            epoch = self.epoch_cost(proposal)
        except TrialFailed:
            return  # that is data: the run will record it
        costs = tariff(
            self.unit,
            epoch=epoch,
            controller_flops=proposal.controller_flops,
            epochs_per_trial=self.spec.training.epochs,
            throughput=Throughput(GUESSED_US_PER_FLOP),
        )
        needed = costs.price(proposal.min_epochs or proposal.epochs or self.spec.training.epochs)
        available = int((proposal.budget_share or 1.0) * self.budget)
        if needed > available:
            name = "of_grid" if self.spec.budget.of_grid is not None else self.unit
            raise InvalidInput(
                f"must pay for the first trial of {method.label}, {needed / self.unit.atoms:.4g} {self.unit}, "
                f"got {available / self.unit.atoms:.4g}",
                field=f"budget.{name}",
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
