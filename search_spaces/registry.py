"""Look a name up in a registry, or import it from the user's own package."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, TypeVar

from search_spaces.errors import UnknownName

Entry = TypeVar("Entry")


def resolve(name: str, table: Mapping[str, Entry], *, what: str, field: str = "") -> Entry:
    """The entry called `name`; a name with a colon (`package.module:attribute`) is imported.

    Raises:
        UnknownName: there is no such entry, module or attribute.
    """
    if name in table:
        return table[name]
    if ":" in name:
        entry: Entry = _imported(name, what, field)
        return entry
    allowed = f"{', '.join(sorted(table))}, or package.module:attribute"
    raise UnknownName(f"unknown {what} {name!r}; allowed: {allowed}", field=field)


def _imported(name: str, what: str, field: str) -> Any:
    module, _, attribute = name.partition(":")
    try:
        entry = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise UnknownName(f"cannot import {what} {name!r}: {error}", field=field) from None
    if not isinstance(entry, type):
        raise UnknownName(f"{what} {name!r} must be a class, got {type(entry).__name__}", field=field)
    return entry
