"""Floor 2: what to try next. The trial values and every method that proposes.

The methods need torch and are imported when they are first asked for: whoever reads results does not wait for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from controllers.controller import Controller
    from controllers.methods import CONTROLLERS, make_controller

__all__ = ["CONTROLLERS", "Controller", "make_controller"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from controllers import methods

    return getattr(methods, name)
