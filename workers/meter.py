"""Counts what a trial spends: FLOPs from the real step, device time from the clock."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch

from controllers.cost import MICROSECONDS_PER_SECOND, Charge, ChargeKind, Cost, total
from search_spaces.errors import TrialFailed
from search_spaces.flops import flop_counter
from workers.tasks.task import Split

Result = TypeVar("Result")


class Meter:
    """Adds up costs by kind.

    The first call of each named step with each batch size runs under torch's FLOP counter; later calls cost the
    same and are not slowed down by counting.
    """

    def __init__(self, device: torch.device, *, max_flops: int | None = None) -> None:
        self.device = device
        self.max_flops = max_flops
        self._costs: dict[ChargeKind, Cost] = {}
        self._flops: dict[tuple[Hashable, int], int] = {}

    def step(
        self, name: Hashable, kind: ChargeKind, function: Callable[..., Result], batch: Split, *more: Split
    ) -> Result:
        """Call `function` on the batches and charge its FLOPs, also when it breaks halfway.

        Raises:
            TrialFailed: the step would exceed `max_flops`: the network costs more than it was priced at.
        """
        key = (name, len(batch))
        if key in self._flops:
            self._charge_known(kind, self._flops[key])
            return function(batch, *more)
        with flop_counter() as counter:
            try:
                result = function(batch, *more)
            finally:
                self._add(kind, Cost(flops=counter.get_total_flops()))
        self._flops[key] = counter.get_total_flops()
        return result

    def flops(self, name: Hashable, size: int) -> int:
        """FLOPs of one step that has run on a batch of `size`."""
        return self._flops[name, size]

    @contextmanager
    def clock(self, kind: ChargeKind) -> Iterator[None]:
        """Charge the device time of the enclosed work."""
        start = time.perf_counter()
        try:
            yield
        finally:
            if self.device.type == "cuda":
                torch.cuda.synchronize(self.device)
            elapsed = time.perf_counter() - start
            self._add(kind, Cost(device_us=round(elapsed * MICROSECONDS_PER_SECOND)))

    def count_epoch(self) -> None:
        """Charge one epoch of training."""
        self._add(ChargeKind.TRAIN, Cost(epochs=1))

    def resume(self, charges: tuple[Charge, ...]) -> None:
        """Go on from the charges of a checkpoint."""
        self._costs = {charge.kind: charge.cost for charge in charges}

    def charges(self) -> tuple[Charge, ...]:
        """One charge per kind, in the order in which the kinds first occurred."""
        return tuple(Charge(kind=kind, cost=cost) for kind, cost in self._costs.items())

    def total(self) -> Cost:
        """The sum of all charges."""
        return total(self.charges())

    def _charge_known(self, kind: ChargeKind, flops: int) -> None:
        if self.max_flops is not None and self.total().flops + flops > self.max_flops:
            raise TrialFailed(f"costs more than it was priced at: the grant of {self.max_flops} FLOPs is spent")
        self._add(kind, Cost(flops=flops))

    def _add(self, kind: ChargeKind, cost: Cost) -> None:
        self._costs[kind] = self._costs.get(kind, Cost()) + cost
