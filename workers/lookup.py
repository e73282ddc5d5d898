"""Trials over a table: nothing is trained, what training showed and took is looked up."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from controllers.cost import Charge, ChargeKind, Cost, Unit
from controllers.trial import AS_LONG_AS_PAID, SCORE, Measurement
from search_spaces.architecture import Architecture
from search_spaces.errors import TrialFailed
from search_spaces.tabular import Tabular

RETRAINED = "retrained_test_accuracy"


@dataclass(frozen=True, kw_only=True)
class Lookup:
    """Answers from the table behind `space`."""

    space: Tabular
    _known: dict[tuple[int, int, int], Measurement] = field(default_factory=dict, repr=False)
    """Measurements by row, epochs and those that were resumed: a search asks for the same ones again and again."""

    @property
    def fidelities(self) -> tuple[int, ...]:
        """Epochs of training that the table knows the results of, ascending."""
        return tuple(self.space.content.fidelities)

    def knows(self, unit: Unit) -> bool:
        """Whether every fidelity says what it took in `unit`."""
        fidelities = self.space.content.fidelities.values()
        match unit:
            case Unit.FLOPS:
                return all(one.flops_N is not None for one in fidelities)
            case Unit.DEVICE_SECONDS:
                return all(one.device_us_N is not None for one in fidelities)
            case Unit.EPOCHS | Unit.TRIALS:
                return True

    def cost(self, architecture: Architecture, epochs: int) -> Cost:
        """What training a network for so many epochs took, exactly.

        Raises:
            TrialFailed: the table does not know that.
        """
        return self.measure(architecture, epochs).cost

    def costs(self, architecture: Architecture, epochs: int, *, resumed_epochs: int = 0) -> dict[int, Cost]:
        """The cost of every fidelity up to `epochs`, from the resumed epochs on.

        Raises:
            TrialFailed: the table does not know `epochs`, unless it is as long as is paid for.
        """
        if epochs != AS_LONG_AS_PAID:
            self._check(epochs)
        return {
            known: self.measure(architecture, known, resumed_epochs=resumed_epochs).cost
            for known in self.fidelities
            if resumed_epochs < known <= epochs
        }

    def measure(self, architecture: Architecture, epochs: int, *, resumed_epochs: int = 0) -> Measurement:
        """What a search trial of so many epochs shows, at the cost of those beyond the resumed ones.

        Raises:
            TrialFailed: the table does not know that.
        """
        key = self.space.row(architecture), epochs, resumed_epochs
        known = self._known.get(key)
        if known is None:
            whole = self._read(architecture, *key[:2])
            known = self._known[key] = self._beyond(whole, architecture, resumed_epochs) if resumed_epochs else whole
        return known

    def _beyond(self, whole: Measurement, architecture: Architecture, resumed_epochs: int) -> Measurement:
        """Without what the resumed epochs took. Times were measured one by one, so that more epochs may be faster."""
        rest = whole.cost - self.cost(architecture, resumed_epochs)
        own = replace(rest, flops=max(rest.flops, 0), device_us=max(rest.device_us, 0))
        return replace(whole, charges=(Charge(kind=ChargeKind.TRAIN, cost=own),))

    def final(self, architecture: Architecture) -> Measurement:
        """What the fully trained network is worth."""
        row, epochs = self.space.row(architecture), self.fidelities[-1]
        searched = self._read(architecture, row, epochs)
        truth = float(self.space.content.truth_N[row])
        return Measurement(
            metrics={**searched.metrics, RETRAINED: truth},
            charges=(),
            epochs=epochs,
            num_parameters=searched.num_parameters,
            inference_flops=searched.inference_flops,
        )

    def _read(self, architecture: Architecture, row: int, epochs: int) -> Measurement:
        self._check(epochs)
        fidelity = self.space.content.fidelities[epochs]
        footprint = self.space.footprint(architecture)
        cost = Cost(
            flops=0 if fidelity.flops_N is None else int(fidelity.flops_N[row]),
            device_us=0 if fidelity.device_us_N is None else int(fidelity.device_us_N[row]),
            epochs=epochs,
        )
        return Measurement(
            metrics={SCORE: float(fidelity.score_N[row])},
            charges=(Charge(kind=ChargeKind.TRAIN, cost=cost),),
            epochs=epochs,
            num_parameters=footprint.num_parameters,
            inference_flops=footprint.inference_flops,
        )

    def _check(self, epochs: int) -> None:
        if epochs not in self.space.content.fidelities:
            raise TrialFailed(f"the table knows the results of {_listed(self.fidelities)} epochs, got {epochs}")


def _listed(epochs: tuple[int, ...]) -> str:
    return ", ".join(map(str, epochs))
