"""Named random streams derived from one root seed."""

from __future__ import annotations

import hashlib

SEED_BITS = 63


def derive_seed(root: int, *path: str | int) -> int:
    """A seed for the stream named by `path`, independent of every other stream of `root`.

    The same on every machine and in every process: a hash, not Python's `hash`. In [0, 2**63), so that it fits
    a database integer and `torch.manual_seed`.
    """
    text = "/".join(str(part) for part in (root, *path))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> (64 - SEED_BITS)
