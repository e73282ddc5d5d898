"""What a finished trial pays: the worker's charges, the controller's work, and nothing beyond the reservation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from controllers.cost import Charge, ChargeKind, Cost, Unit
from nas.tariff import num_blocks

FIELDS = {
    Unit.FLOPS: "flops",
    Unit.DEVICE_SECONDS: "device_us",
    Unit.EPOCHS: "epochs",
    Unit.TRIALS: "trials",
}


def bill(
    charges: Sequence[Charge], *, controller_flops: int, epochs_per_trial: int, resumed_epochs: int = 0
) -> tuple[Charge, ...]:
    """The charges of one search trial: the worker's, plus the controller's work, plus the trial itself.

    A training of up to `epochs_per_trial` epochs is one trial, a longer one several. What goes on from another trial is
    the same training: it is another trial only beyond the epochs that are paid as trials already.
    """
    epochs = resumed_epochs + sum(charge.cost.epochs for charge in charges)
    trials = max(num_blocks(epochs, epochs_per_trial), 1) - num_blocks(resumed_epochs, epochs_per_trial)
    if controller_flops == 0 and charges:
        first, *others = charges
        return (replace(first, cost=replace(first.cost, trials=trials)), *others)
    return (*charges, Charge(kind=ChargeKind.CONTROLLER, cost=Cost(flops=controller_flops, trials=trials)))


def cap(charges: Sequence[Charge], limit: int, unit: Unit) -> tuple[tuple[Charge, ...], tuple[Charge, ...]]:
    """Split `charges` into a part of at most `limit` atoms and the rest.

    Only the amounts in `unit` are divided; all other amounts stay with the first part.
    """
    if sum(charge.cost.atoms(unit) for charge in charges) <= limit:
        return tuple(charges), ()
    field = FIELDS[unit]
    paid: list[Charge] = []
    excess: list[Charge] = []
    left = limit
    for charge in charges:
        amount = charge.cost.atoms(unit)
        within = min(amount, left)
        left -= within
        paid.append(replace(charge, cost=replace(charge.cost, **{field: within})))
        if amount > within:
            excess.append(Charge(kind=charge.kind, cost=Cost(**{field: amount - within})))
    return tuple(paid), tuple(excess)
