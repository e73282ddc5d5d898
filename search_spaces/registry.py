"""Look a name up in a registry, or import it from the user's own package."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, TypeVar

from search_spaces.errors import UnknownName

Entry = TypeVar("Entry")


def resolve(name: str, table: Mapping[str, Entry], *, what: str) -> Entry:
    """The entry called `name`; a name with a colon (`package.module:attribute`) is imported.

    Raises:
        UnknownName: there is no such entry, module or attribute.
    """
    if name in table:
        return table[name]
    if ":" in name:
        entry: Entry = _imported(name, what)
        return entry
    raise UnknownName(f"unknown {what} {name!r}; allowed: {', '.join(sorted(table))}, or package.module:attribute")


def _imported(name: str, what: str) -> Any:
    module, _, attribute = name.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise UnknownName(f"cannot import {what} {name!r}: {error}") from None
