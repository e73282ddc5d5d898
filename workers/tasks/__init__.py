"""Data sets with fixed splits, resident on the device."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from search_spaces.errors import InvalidInput
from search_spaces.registry import resolve
from search_spaces.values import read
from workers.tasks.digits import Digits
from workers.tasks.npz import Npz
from workers.tasks.number_line import NumberLine
from workers.tasks.parity import Parity
from workers.tasks.partly_labelled import PartlyLabelled
from workers.tasks.spiral import Spiral
from workers.tasks.task import SearchData, Split, Task
from workers.tasks.text import Text

__all__ = ["TASKS", "SearchData", "Split", "Task", "make_task"]

TASKS: dict[str, type[Task]] = {
    "digits": Digits,
    "npz": Npz,
    "number_line": NumberLine,
    "parity": Parity,
    "spiral": Spiral,
    "text": Text,
}
"""Tasks by the name that a study file uses. Adding one is one file and one line here."""

OWN_FIELDS = ("name", "labelled")
"""Fields of every task beside its own."""


def make_task(options: Mapping[str, Any]) -> Task:
    """The task that the mapping `{name: NAME, **fields}` describes; of any of them, `labelled` may be a field.

    Raises:
        InvalidInput: unknown task or field, or a value out of its range.
    """
    own = {name: option for name, option in options.items() if name in OWN_FIELDS}
    fields = {name: option for name, option in options.items() if name not in OWN_FIELDS}
    name = own.get("name")
    if not isinstance(name, str):
        raise InvalidInput(f"is required; allowed: {', '.join(TASKS)}", field="name")
    task = read(resolve(name, TASKS, what="task", field="name"), fields, beside=OWN_FIELDS)
    if "labelled" not in own:
        return task
    return read(PartlyLabelled, {"labelled": own["labelled"]}, filled_in={"task": task})
