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


def make_task(options: Mapping[str, Any]) -> Task:
    """The task that the mapping `{name: NAME, **fields}` describes.

    Raises:
        InvalidInput: unknown task or field, or a value out of its range.
    """
    fields = dict(options)
    name = fields.pop("name", None)
    if not isinstance(name, str):
        raise InvalidInput(f"is required; allowed: {', '.join(TASKS)}", field="name")
    return read(resolve(name, TASKS, what="task", field="name"), fields)
