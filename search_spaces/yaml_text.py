"""YAML as people write it in study files and table mappings."""

from __future__ import annotations

import re
from collections.abc import Hashable
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml

from search_spaces.errors import InvalidInput

FLOAT = "tag:yaml.org,2002:float"
MAX_WHOLE_EXPONENT = 30
"""Beyond it, a slip of the finger would make a number that fills the memory."""


class Loader(yaml.SafeLoader):
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


Loader.add_implicit_resolver(FLOAT, re.compile(r"[-+]?[0-9][0-9_]*(\.[0-9_]*)?[eE][-+]?[0-9]+$"), list("-+0123456789"))
Loader.add_constructor(FLOAT, Loader.construct_number)


def parse_yaml(text: str) -> Any:
    """What a YAML text says.

    Raises:
        yaml.YAMLError: it is not YAML, or a key occurs twice.
    """
    return yaml.load(text, Loader=Loader)


def read_yaml(path: Path) -> Any:
    """What a YAML file says.

    Raises:
        InvalidInput: the file is missing, or it is not YAML.
    """
    try:
        return parse_yaml(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise InvalidInput(f"cannot read {path}: {reason}") from None
    except yaml.YAMLError as error:
        raise InvalidInput(f"{path} is not YAML: {yaml_reason(error)}") from None


def yaml_reason(error: yaml.YAMLError) -> str:
    """Where and why a text is not YAML, in one line."""
    mark = getattr(error, "problem_mark", None)
    parts = [getattr(error, "context", None), getattr(error, "problem", None)]
    problem = ", ".join(part for part in parts if part) or " ".join(str(error).split())
    return f"line {mark.line + 1}, column {mark.column + 1}: {problem}" if mark else problem
