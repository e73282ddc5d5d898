"""One run's account of compute: reserve before, settle after, never above the budget."""

from __future__ import annotations

from search_spaces.errors import BudgetExceeded


class Ledger:
    """Whole-number accounting in the atoms of one unit (see `controllers.cost.Unit`).

    At any time `spent + sum of reservations <= budget`.
    """

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self.spent = 0
        self._reserved: dict[int, int] = {}
        self._held = 0

    @property
    def free(self) -> int:
        """What is neither spent nor reserved."""
        return self.budget - self.committed

    @property
    def committed(self) -> int:
        """What is spent or reserved."""
        return self.spent + self._held

    def reservation(self, number: int) -> int:
        """What trial `number` has reserved."""
        return self._reserved[number]

    def reserve(self, number: int, amount: int) -> None:
        """Set `amount` aside for trial `number`, which holds nothing yet.

        Raises:
            BudgetExceeded: there is not that much.
        """
        if amount > self.free:
            raise BudgetExceeded(f"trial {number} reserves {amount}, but only {self.free} of {self.budget} are free")
        self._reserved[number] = amount
        self._held += amount

    def charge(self, amount: int) -> None:
        """Spend from what is free, outside any reservation.

        Raises:
            BudgetExceeded: there is not that much.
        """
        if amount > self.free:
            raise BudgetExceeded(f"a charge of {amount} exceeds the {self.free} of {self.budget} that are free")
        self.spent += amount

    def release(self, number: int) -> None:
        """Free all that trial `number` has reserved."""
        self._held -= self._reserved.pop(number)

    def settle(self, number: int, amount: int) -> None:
        """Spend `amount` for trial `number` and free the rest of its reservation.

        Raises:
            BudgetExceeded: it is more than the trial reserved.
        """
        reserved = self._reserved[number]
        if amount > reserved:
            raise BudgetExceeded(f"trial {number} spent {amount}, but reserved {reserved}")
        self.release(number)
        self.spent += amount
