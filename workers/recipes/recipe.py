"""What a training procedure is: an ordered list of phases that every batch goes through."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from controllers.cost import ChargeKind
from workers.tasks.task import Split


@dataclass(frozen=True, kw_only=True)
class Phase:
    """One kind of optimisation step.

    Every call of `step` costs the same FLOPs for the same batch sizes, size of a `Growing` network and draw of a
    `Drawing` one: the loop counts the first and charges all.
    """

    name: str
    kind: ChargeKind
    step: Callable[[Split, Split], Tensor]
    """From a training batch and a validation batch to the detached scalar loss; updates parameters."""
    reads_validation: bool = True
    """Whether the step looks at its validation batch: if none does, none is drawn."""
    once: bool = False
    """Whether it belongs to the first batches of an epoch alone, as a measurement does."""


class Recipe(Protocol):
    """One training procedure, bound to one network.

    Made by `RECIPES[name](network, training=..., num_steps=..., **options)`, where `num_steps` is the number of
    batches that the whole trial will see.
    """

    def phases(self, epoch: int) -> Sequence[Phase]:
        """Phases of every batch of `epoch` (from 0), in order.

        Later epochs have no fewer, unless what the training shows ends a phase: a recipe that has not taken a step
        has all its phases in late epochs, as a price is counted on.
        """

    def state_dict(self) -> dict[str, Any]:
        """All state besides the network's own, for checkpoints."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Inverse of `state_dict`."""
