"""Reads a study file: YAML, and the changes to it that a command line asks for."""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml

from nas.spec import StudySpec, parse_spec
from search_spaces.complaints import show
from search_spaces.errors import InvalidInput

FLOAT = "tag:yaml.org,2002:float"
MAX_WHOLE_EXPONENT = 30
"""Beyond it, a slip of the finger would make a number that fills the memory."""


class StudyLoader(yaml.SafeLoader):
    """YAML 1.1 as PyYAML reads it, but for two things.

    `1e12` is a number, as in YAML 1.2, and a whole one if it has no fraction. A key that occurs twice is an error.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise yaml.constructor.ConstructorError(
                    problem=f"the key {key.value} occurs twice", problem_mark=key.start_mark
                )
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)

    def construct_number(self, node: yaml.ScalarNode) -> int | float:
        """A number with a point, an exponent or both."""
        text = str(node.value).replace("_", "").lower()
        if "e" not in text:
            return self.construct_yaml_float(node)
        number = Decimal(text)
        is_whole = number.adjusted() <= MAX_WHOLE_EXPONENT and number == number.to_integral_value()
        return int(number) if is_whole else float(number)


StudyLoader.add_implicit_resolver(
    FLOAT, re.compile(r"[-+]?[0-9][0-9_]*(\.[0-9_]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)
StudyLoader.add_constructor(FLOAT, StudyLoader.construct_number)


def read_spec(path: Path, overrides: Sequence[str] = ()) -> StudySpec:
    """The study in a YAML file, after `key.path=value` overrides.

    Raises:
        InvalidInput: the file is missing or not YAML, or the study breaks a rule.
    """
    try:
        data = _parse(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise InvalidInput(f"cannot read {path}: {reason}") from None
    except yaml.YAMLError as error:
        raise InvalidInput(f"{path} is not YAML: {_reason(error)}") from None
    if isinstance(data, dict):
        for override in overrides:
            _override(data, override)
    return parse_spec(data)


def _parse(text: str) -> Any:
    return yaml.load(text, Loader=StudyLoader)


def _reason(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    parts = [getattr(error, "context", None), getattr(error, "problem", None)]
    problem = ", ".join(part for part in parts if part) or " ".join(str(error).split())
    return f"line {mark.line + 1}, column {mark.column + 1}: {problem}" if mark else problem


def _override(data: dict[str, Any], override: str) -> None:
    path, equals, text = override.partition("=")
    if not equals or not all(path.split(".")):
        raise InvalidInput(f"must look like key.path=value, got {override!r}", field="--set")
    try:
        value = _parse(text)
    except yaml.YAMLError as error:
        raise InvalidInput(f"must have a YAML value, got {override!r}: {_reason(error)}", field="--set") from None
    *parents, last = path.split(".")
    place: object = data
    for parent in parents:
        place = _child(place, parent, override)
    match place:
        case list():
            place[_index(place, last, override)] = value
        case dict():
            place[last] = value
        case _:
            raise _leads_nowhere(override, place)


def _child(place: object, key: str, override: str) -> object:
    match place:
        case list():
            return place[_index(place, key, override)]
        case dict():
            return place.setdefault(key, {})
        case _:
            raise _leads_nowhere(override, place)


def _index(items: Sequence[object], key: str, override: str) -> int:
    if not key.isdecimal() or int(key) >= len(items):
        raise InvalidInput(f"{override}: {key} must be an index below {len(items)}", field="--set")
    return int(key)


def _leads_nowhere(override: str, place: object) -> InvalidInput:
    return InvalidInput(f"{override} must lead to a field, but {show(place)} has none", field="--set")
