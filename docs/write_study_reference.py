"""Writes docs/study.md, the reference of the study file, from the code that reads study files.

python docs/write_study_reference.py            write it
python docs/write_study_reference.py --check    exit with 1 if it is out of date
"""

from __future__ import annotations

import dataclasses
import inspect
import sys
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from controllers import CONTROLLERS
from controllers.one_shot import OneShot
from nas.spec import BudgetSpec, FinalSpec, Limits, MethodSpec, Resources, SchedulerSpec, StudySpec
from search_spaces import SPACES
from search_spaces.mechanisms import MECHANISMS
from search_spaces.relaxations import RELAXATIONS
from workers.tasks import TASKS
from workers.tasks.partly_labelled import PartlyLabelled
from workers.training import Training

TARGET = Path(__file__).with_name("study.md")
FILLED_IN = frozenset({"space", "seed", "trial_epochs", "input_shape", "num_classes", "num_tokens", "task"})
"""Fields that the service fills in."""

INTRODUCTION = """\
# The study file

A study is one YAML file. Everything that is not required has the default given here. Any field can be changed on the
command line: `nas run study.yaml --set training.epochs=5 --set methods.0.order=shuffled`. Names of tasks, spaces,
methods and recipes may also be import paths, `package.module:attribute`, of your own code.

This page is written from the code by `docs/write_study_reference.py`.
"""


def main() -> None:
    text = "\n".join(page()).rstrip() + "\n"
    if "--check" in sys.argv[1:]:
        sys.exit(0 if TARGET.read_text(encoding="utf-8") == text else f"{TARGET.name} is out of date: run {__file__}")
    TARGET.write_text(text, encoding="utf-8")


def page() -> Iterator[str]:
    """The lines of the reference."""
    yield INTRODUCTION
    yield from section("Study", StudySpec)
    yield from section("`methods`: every entry", MethodSpec)
    yield from section("`budget`", BudgetSpec)
    yield from section("`training`", Training)
    yield from section("`final`", FinalSpec)
    yield from section("`resources`", Resources)
    yield from section("`limits`", Limits)
    yield from section("`scheduler`", SchedulerSpec)
    yield "# Tasks\n"
    for name, task in sorted(TASKS.items()):
        yield from section(f"`{name}`", task)
    yield from section("Fields of every task", PartlyLabelled, without=FILLED_IN)
    yield "# Search spaces\n"
    for name, space in sorted(SPACES.items()):
        yield from section(f"`{name}`", space, without=FILLED_IN)
    for name, mechanism in sorted(MECHANISMS.items()):
        yield from section(f"`dynamic.{name}`", mechanism)
    yield "# Methods\n"
    for name, controller in sorted(CONTROLLERS.items()):
        if controller is not OneShot:
            yield from section(f"`{name}`", controller, without=FILLED_IN)
    yield from section("Fields of every relaxation", OneShot, without=FILLED_IN | {"relaxation", "options"})
    for name, relaxation in sorted(RELAXATIONS.items()):
        yield from section(f"`{name}`", relaxation)


def section(title: str, cls: Any, *, without: frozenset[str] = frozenset()) -> Iterator[str]:
    """A heading, the first paragraph of the docstring, and a table of the fields."""
    yield f"## {title}\n"
    yield f"{first_paragraph(cls)}\n"
    shown = {name: field for name, field in fields(cls).items() if name not in without}
    if not shown:
        return
    yield "| field | default | meaning |"
    yield "|---|---|---|"
    for name, field in shown.items():
        yield f"| `{name}` | {default(field)} | {meaning(cls, name)} |"
    yield ""


def fields(cls: Any) -> dict[str, FieldInfo]:
    """Pydantic's view of the fields of a model or a dataclass."""
    found: dict[str, FieldInfo] = cls.model_fields if issubclass(cls, BaseModel) else cls.__pydantic_fields__
    return found


def meaning(cls: Any, name: str) -> str:
    """The docstring under a field, in the class itself or the one it comes from.

    Raises:
        ValueError: there is none.
    """
    for base in cls.__mro__:
        owner = getattr(base, "__pydantic_fields__", {})
        if name in owner and owner[name].description:
            return " ".join(owner[name].description.split())
    raise ValueError(f"{cls.__name__}.{name} has no docstring")


def default(field: FieldInfo) -> str:
    """The default as it would stand in the file."""
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is PydanticUndefined or dataclasses.is_dataclass(value) or isinstance(value, BaseModel):
        return "see below"
    if value is None:
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return f"`{[part.value if isinstance(part, Enum) else part for part in value]}`"
    return f"`{value}`"


def first_paragraph(cls: Any) -> str:
    return " ".join((inspect.getdoc(cls) or "").split("\n\n")[0].split())


if __name__ == "__main__":
    main()
