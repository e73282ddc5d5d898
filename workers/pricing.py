"""What a trial will cost, before it starts.

The price is the FLOP count of the real phases and the real validation pass, run on fake tensors: shapes without data,
so nothing is computed and no random number is lost. It equals what the worker will count, to the last FLOP.

An ordinary chain is priced part by part, since FLOPs add up over stem, blocks and head: every distinct block is counted
once and remembered, and a thousand architectures cost little more than one.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import partial
from threading import Thread
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from controllers.cost import Cost
from controllers.trial import Kind, Proposal
from search_spaces.architecture import canonical_json
from search_spaces.chain_space import ChainSpace
from search_spaces.errors import TrialFailed
from search_spaces.flops import count_flops
from search_spaces.relaxations.relaxation import Bayesian, Concluding, Freezing, Growing, Probed
from search_spaces.space import SearchSpace
from workers.batches import num_joining
from workers.build import build_network
from workers.evaluate import BATCH_SIZE
from workers.operating_points import has_points
from workers.recipes import make_recipe
from workers.tasks import Split
from workers.training import Training

Counted = TypeVar("Counted")


@dataclass(frozen=True, kw_only=True)
class DataShape:
    """All that a price depends on besides the network."""

    input_shape: tuple[int, ...]
    num_train: int
    num_validation: int
    label_shape: tuple[int, ...] = ()
    """Of one input; empty for a single label."""
    num_unlabelled: int = 0

    def steps(self, batch_size: int) -> int:
        """Training steps per epoch, as `workers.batches` makes them."""
        return self.num_train // min(batch_size, self.num_train)

    def validation_sizes(self) -> list[int]:
        """Sizes of the forward passes over the validation split."""
        full, rest = divmod(self.num_validation, BATCH_SIZE)
        return [BATCH_SIZE] * full + [rest] * (rest > 0)


class Pricer:
    """Prices the trials of one study."""

    def __init__(self, space: SearchSpace, shape: DataShape, *, time_limit_s: float | None = None) -> None:
        self.space = space
        self.shape = shape
        self.time_limit_s = time_limit_s
        self._parts: dict[Hashable, tuple[int, tuple[int, ...]]] = {}
        self._wholes: dict[Hashable, int] = {}

    def epoch_cost(self, proposal: Proposal, training: Training) -> Cost:
        """The cost of one epoch: every step and the validation pass.

        Raises:
            TrialFailed: the network cannot be built or run, or does not return within the time limit.
        """
        return Cost(flops=_within(self.time_limit_s, partial(self._epoch_flops, proposal, training)), epochs=1)

    def conclusion_cost(self, proposal: Proposal) -> Cost:
        """The cost of what follows the last epoch.

        Raises:
            TrialFailed: as for an epoch.
        """
        if self._is_plain_chain(proposal):
            return Cost()
        key = ("conclusion", _network(proposal), proposal.kind, proposal.choosable)
        if key not in self._wholes:
            count = partial(_on_fake_tensors, partial(self._conclusion_flops, proposal))
            self._wholes[key] = _within(self.time_limit_s, count)
        return Cost(flops=self._wholes[key])

    def _epoch_flops(self, proposal: Proposal, training: Training) -> int:
        if self._is_plain_chain(proposal):
            return self._sum_over_parts(proposal, training)
        key = (_network(proposal), training)
        if key not in self._wholes:
            self._wholes[key] = _on_fake_tensors(partial(self._whole, proposal, training))
        return self._wholes[key]

    def _is_plain_chain(self, proposal: Proposal) -> bool:
        """Whether the network is nothing but its parts, and trained and validated as such."""
        is_plain = not proposal.relaxation and proposal.recipe == "standard"
        return is_plain and isinstance(self.space, ChainSpace) and type(self.space).build is ChainSpace.build

    def _whole(self, proposal: Proposal, training: Training) -> int:
        shape = self.shape
        network = build_network(proposal, self.space, seed=0)
        if isinstance(network, Freezing) and proposal.inherits:
            network.freeze(**proposal.inherits)
        if isinstance(network, Bayesian):
            network.begin(shape.num_train * math.prod(shape.label_shape))
        steps = shape.steps(training.batch_size)
        recipe = make_recipe(proposal.recipe, network, proposal.recipe_options, training=training, num_steps=steps)
        train_size = min(training.batch_size, shape.num_train)
        train = self._batch(train_size + num_joining(network, train_size=train_size, available=shape.num_unlabelled))
        validation = self._batch(min(training.batch_size, shape.num_validation))
        if isinstance(network, Growing):
            network.grow_fully()
        network.train()
        flops = 0
        for phase in recipe.phases(proposal.epochs or training.epochs):
            flops += (1 if phase.once else steps) * count_flops(partial(phase.step, train, validation))
        network.eval()
        return flops + self._sweep_flops(network.probe if isinstance(network, Probed) else network)

    def _conclusion_flops(self, proposal: Proposal) -> int:
        network = build_network(proposal, self.space, seed=0).eval()
        flops = 0
        if isinstance(network, Concluding) and proposal.kind is Kind.RELAXATION and network.num_scores():
            flops += network.num_scores() * self._sweep_flops(network)
        if has_points(network, proposal, self.shape.label_shape):
            passes = (partial(network.observe, number) for number in range(network.num_observations()))
            flops += sum(self._sweep_flops(observe) for observe in passes)
        return flops

    def _sweep_flops(self, forward: Callable[[Tensor], object]) -> int:
        """FLOPs of one pass over the validation split."""
        sizes = self.shape.validation_sizes()
        with torch.no_grad():
            of_size = {size: count_flops(partial(forward, self._batch(size).x)) for size in set(sizes)}
        return sum(of_size[size] for size in sizes)

    def _batch(self, size: int) -> Split:
        x, y = torch.zeros(size, *self.shape.input_shape), torch.zeros(size, *self.shape.label_shape, dtype=torch.int64)
        return Split(x=x, y=y)

    def _sum_over_parts(self, proposal: Proposal, training: Training) -> int:
        space = self.space
        assert isinstance(space, ChainSpace)
        assert proposal.architecture is not None
        blocks = space.blocks(proposal.architecture)
        stages = proposal.architecture.form["stages"]
        first, last = stages[0]["width"], stages[-1]["width"]
        parts: list[tuple[Hashable, Callable[[], nn.Module]]] = [
            (("stem", first), partial(space.make_stem, first)),
            *((block, partial(space.make_block, block)) for block in blocks),
            (("head", last), partial(space.make_head, last)),
        ]
        train_size = min(training.batch_size, self.shape.num_train)
        total = self.shape.steps(training.batch_size) * self._through(parts, train_size, train=True)
        return total + sum(self._through(parts, size, train=False) for size in self.shape.validation_sizes())

    def _through(self, parts: list[tuple[Hashable, Callable[[], nn.Module]]], size: int, *, train: bool) -> int:
        """FLOPs of one step (`train`) or one forward pass of `size` examples through all parts."""
        flops, shape = 0, (size, *self.shape.input_shape)
        for index, (name, make) in enumerate(parts):
            key = (name, shape, train)
            if key not in self._parts:
                self._parts[key] = _on_fake_tensors(partial(_part, make, shape, train=train, is_stem=index == 0))
            part_flops, shape = self._parts[key]
            flops += part_flops
        return flops


def _network(proposal: Proposal) -> str:
    """What is trained and how, as text."""
    architecture = proposal.architecture.id if proposal.architecture else None
    recipe = [proposal.recipe, dict(proposal.recipe_options)]
    inherits = dict(proposal.inherits) if proposal.relaxation else {}
    return canonical_json([architecture, dict(proposal.relaxation), recipe, inherits])


def _part(
    make: Callable[[], nn.Module], shape: tuple[int, ...], *, train: bool, is_stem: bool
) -> tuple[int, tuple[int, ...]]:
    """FLOPs of one part on an input of `shape`, and the shape of its output."""
    module = make().train(train)
    h_in = torch.zeros(shape, requires_grad=train and not is_stem)
    outputs: list[Tensor] = []

    def step() -> None:
        with torch.set_grad_enabled(train):
            outputs.append(module(h_in))
            if train:
                outputs[0].sum().backward()  # type: ignore[no-untyped-call]

    return count_flops(step), tuple(outputs[0].shape)


def _on_fake_tensors(function: Callable[[], Counted]) -> Counted:
    """What `function` returns on fake tensors; on real ones if it looks at values (as truncated normals do) or breaks.

    Torch would log a traceback of everything that breaks on fake tensors, which is nobody's concern.
    """
    log = logging.getLogger("torch._subclasses.fake_tensor")
    try:
        log.disabled = True
        with FakeTensorMode():
            return function()
    except Exception:
        return function()
    finally:
        log.disabled = False


def _within(seconds: float | None, function: Callable[[], int]) -> int:
    """Call `function` in a thread of its own, so that a network that never returns costs no more than that thread.

    The global random numbers are put back here and not there, where an abandoned thread would do it at any time.
    """
    results: list[int] = []
    errors: list[Exception] = []

    def call() -> None:
        try:
            results.append(function())
        except Exception as error:
            errors.append(error)

    thread = Thread(target=call, name="pricing", daemon=True)
    with torch.random.fork_rng(devices=[]):
        thread.start()
        thread.join(seconds)
    if errors:
        raise TrialFailed(f"{type(errors[0]).__name__}: {errors[0]}") from errors[0]
    if not results:
        raise TrialFailed(f"one step must return within {seconds} s while the trial is priced")
    return results[0]
