"""Tables on standard output, line by line, as they come."""

from __future__ import annotations


def head(*names: str) -> None:
    """The first two lines."""
    print(f"| {' | '.join(names)} |\n|{'---|' * len(names)}")


def row(*cells: str) -> None:
    """One line, at once: the next may take minutes."""
    print(f"| {' | '.join(cells)} |", flush=True)
