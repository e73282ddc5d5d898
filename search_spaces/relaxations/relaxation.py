"""What a relaxation is: a supernet over a chain space whose structure is a continuous parameter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from torch import Tensor, nn

from search_spaces.architecture import Architecture
from search_spaces.space import SearchSpace


@runtime_checkable
class Supernet(Protocol):
    """An `nn.Module` with architecture parameters beside its weights."""

    def __call__(self, x_B: Tensor) -> Tensor:
        """Logits `y_BK` of the mixed network."""

    def architecture_parameters(self) -> list[nn.Parameter]:
        """The continuous architecture. All other parameters are weights."""

    def constrain(self) -> None:
        """Project the architecture parameters onto their domain; called after every step that moves them."""

    def profile(self) -> tuple[float, ...]:
        """Weight per level 0..L, in the units of the method, for the results database."""

    def derive(self) -> tuple[Architecture, ...]:
        """Architectures that the current parameters point to, best first, without repeats."""


class Relaxation(Protocol):
    """A way to relax a space. Hyperparameters are keyword fields of a frozen dataclass.

    `recipe` and `recipe_options()` say how the supernet is trained; `supernet(space)` builds it with fresh weights
    from torch's current generator.

    Raises:
        InvalidInput: from `supernet` or `check`, when the space has a shape that the method cannot relax.
    """

    @property
    def recipe(self) -> str:
        """Name of the recipe in `workers.recipes`."""

    def recipe_options(self) -> Mapping[str, Any]:
        """Keyword arguments of the recipe."""

    def check(self, space: SearchSpace) -> None:
        """Refuse a space that the method cannot relax, before anything is built."""

    def supernet(self, space: SearchSpace) -> nn.Module:
        """The supernet, a `Supernet`."""


def weight_parameters(network: nn.Module) -> list[nn.Parameter]:
    """The parameters of a supernet that are not its architecture's."""
    assert isinstance(network, Supernet), f"{type(network).__name__} has no architecture parameters"
    architecture = {id(parameter) for parameter in network.architecture_parameters()}
    return [parameter for parameter in network.parameters() if id(parameter) not in architecture]
