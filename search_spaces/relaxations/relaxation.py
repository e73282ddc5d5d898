"""What a relaxation is: a supernet over a chain space whose structure is a continuous parameter."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from torch import Tensor, nn

from search_spaces.architecture import Architecture
from search_spaces.readings import Readings
from search_spaces.space import SearchSpace

UNLABELLED = -100
"""In the place of a label that nobody may see: `torch.nn.functional.cross_entropy` gives it no loss."""

Criterion = Callable[[Tensor, Tensor], Tensor]
"""From logits `y_BK` and labels `[B]`, or `y_BTK` and `[B, T]`, to the (mean) loss of every example, `[B]`.

That of an example without a label is 0."""


@runtime_checkable
class Supernet(Protocol):
    """An `nn.Module` with architecture parameters beside its weights.

    What else a supernet can do is told by the protocols below it; each is optional.
    """

    def __call__(self, x_B: Tensor) -> Tensor:
        """Logits `y_BK` of the mixed network."""

    def architecture_parameters(self) -> list[nn.Parameter]:
        """The continuous architecture. All other parameters are weights."""

    def constrain(self) -> None:
        """Project the architecture parameters onto their domain; called after every step that moves them."""

    def profile(self) -> tuple[float, ...]:
        """Weight per level 0..L, in the units of the method, for the results database."""

    def derive(self, readings: Readings) -> tuple[Architecture, ...]:
        """Architectures that the current parameters point to, best first, without repeats.

        `readings` are those of the last epoch; a supernet that is not `Probed` is given none.
        """


@runtime_checkable
class HasObjective(Protocol):
    """Its weights do not minimise the plain loss of `forward`."""

    def objective(self, x_B: Tensor, y_B: Tensor, criterion: Criterion) -> Tensor:
        """The training loss, a scalar in nats per example."""


@runtime_checkable
class SemiSupervised(Protocol):
    """Its objective also learns from inputs without a label, where the task has such."""

    def num_unlabelled(self, num_labelled: int) -> int:
        """How many of them join a training batch of so many labelled ones, whose labels are then `UNLABELLED`."""


@runtime_checkable
class Penalized(Protocol):
    """Its architecture pays for something beside the loss, as for expected FLOPs."""

    def penalty(self) -> Tensor:
        """What is added to the loss that moves the architecture, a scalar."""


@runtime_checkable
class Bayesian(Protocol):
    """Its objective has a prior, which counts once against all training labels and not once per batch."""

    def begin(self, num_labels: int) -> None:
        """Called once before it is trained or priced, with the number of labels in the training data."""


@runtime_checkable
class Annealed(Protocol):
    """It changes on a schedule: a temperature, a window, a dropout rate."""

    def anneal(self, progress: float) -> None:
        """Called before every epoch with the part of the trial that is done, in [0, 1)."""


@dataclass(frozen=True, kw_only=True)
class TrainingStage:
    """A part of a training that is an optimisation of its own."""

    begins: float
    """After this part of all steps; 0: at once; 1: never."""
    learning_rate: float = 1.0
    """Peak, as a multiple of the study's."""


@runtime_checkable
class Staged(Protocol):
    """What it minimises changes from one stage of its training to the next.

    Every stage has a learning-rate schedule and an optimizer state of its own: the end of one schedule over all stages,
    where the rate is almost zero, would be no place to begin something new.
    """

    def stages(self) -> Sequence[TrainingStage]:
        """In order, at least one; the first begins at 0. Of several that begin at one step, the last one does."""

    def begin_stage(self, number: int) -> None:
        """Called before the first step of a stage, from 0, and again when a training goes on from a checkpoint."""


@runtime_checkable
class Drawing(Protocol):
    """Not all its training steps cost the same, because blocks are left out at random."""

    def draw(self) -> int:
        """Draw what the next training step will do, from torch's current generator; equal numbers cost the same.

        A step without a draw, as a price is counted on, does the most that any draw asks for.
        """


@runtime_checkable
class Growing(Protocol):
    """What it costs changes while it is trained."""

    def size(self) -> int:
        """Passes and steps at one size cost the same."""

    def grow_fully(self) -> None:
        """Take the costliest size, which is the one that is priced."""


@runtime_checkable
class Heir(Protocol):
    """It takes what it wants from the weights of its parent."""

    def inherit(self, parent: Mapping[str, Tensor], **how: Any) -> None:
        """Start from the parent's state, as `Proposal.inherits` says.

        Raises:
            TrialFailed: the parent lacks something.
        """


@runtime_checkable
class Freezing(Protocol):
    """What it inherits stays as it is, so that it costs less to train."""

    def freeze(self, **how: Any) -> None:
        """Freeze what `Proposal.inherits` says that it inherits."""


@dataclass(frozen=True, kw_only=True)
class Probe:
    """What one pass over a batch shows of every level 0..L."""

    logits: Tensor
    """`y_BK` of the mixed network, as `forward` returns it."""
    levels: Sequence[Tensor] = ()
    """`y_BK` of the network with all weight on each level."""
    removals: Sequence[Tensor] = ()
    """`y_BK` of the network without each level."""
    sizes: Sequence[Tensor] = field(default=())
    """Mean square of each level's hidden state, scalars."""


@runtime_checkable
class Probed(Protocol):
    """It is validated level by level, in the pass that validates it anyway."""

    def probe(self, x_B: Tensor) -> Probe:
        """`forward`, and what else the hidden states tell."""


@runtime_checkable
class Skipping(Protocol):
    """Its architecture may drift to paths without weights, so its search may have to be stopped."""

    def num_skips(self) -> int:
        """Blocks or operations that the strongest candidates leave out."""

    def ranking(self) -> list[list[int]]:
        """The candidates of every choice, weakest first."""


@runtime_checkable
class Concluding(Protocol):
    """What it derives is decided after its training, by validating other networks that it contains."""

    def num_scores(self) -> int:
        """How many it scores, whatever the scores are. Each costs a pass of `forward` over the validation data."""

    def conclude(self, score: Callable[[], tuple[float, float]]) -> None:
        """Decide; `score` gives validation accuracy and negative loss of the network as it is at that moment."""


class Relaxation(Protocol):
    """A way to relax a space. Hyperparameters are keyword fields of a frozen dataclass.

    `recipe` and `recipe_options()` say how the supernet is trained; `supernet(space)` builds it with fresh weights
    from torch's current generator. One with an attribute `inheritable` that is true holds a chain whose weights derived
    architectures can start from (`search_spaces.inheritance`).

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
