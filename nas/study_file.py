"""Reads a study file: YAML, and the changes to it that a command line asks for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from nas.spec import StudySpec, parse_spec
from search_spaces.complaints import show
from search_spaces.errors import InvalidInput
from search_spaces.yaml_text import parse_yaml, read_yaml, yaml_reason


def read_spec(path: Path, overrides: Sequence[str] = ()) -> StudySpec:
    """The study in a YAML file, after `key.path=value` overrides.

    Raises:
        InvalidInput: the file is missing or not YAML, or the study breaks a rule.
    """
    data = read_yaml(path)
    if isinstance(data, dict):
        for override in overrides:
            _override(data, override)
    return parse_spec(data)


def _override(data: dict[str, Any], override: str) -> None:
    path, equals, text = override.partition("=")
    if not equals or not all(path.split(".")):
        raise InvalidInput(f"must look like key.path=value, got {override!r}", field="--set")
    try:
        value = parse_yaml(text)
    except yaml.YAMLError as error:
        raise InvalidInput(f"must have a YAML value, got {override!r}: {yaml_reason(error)}", field="--set") from None
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
