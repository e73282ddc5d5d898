"""Floor 1: what may be built. Choices, architectures, and the networks they become.

What needs torch is imported when it is first asked for: whoever reads results does not wait for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from search_spaces.architecture import Architecture, Option

if TYPE_CHECKING:
    from search_spaces.families import SPACES, make_space
    from search_spaces.space import Choose, SearchSpace

__all__ = ["SPACES", "Architecture", "Choose", "Option", "SearchSpace", "make_space"]


def __getattr__(name: str) -> Any:
    if name in ("SPACES", "make_space"):
        from search_spaces import families

        return getattr(families, name)
    if name in ("Choose", "SearchSpace"):
        from search_spaces import space

        return getattr(space, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
