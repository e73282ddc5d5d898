"""What may be known of every level of a supernet, beside its weight.

Workers take these readings, the store keeps them, whoever reads results asks for them by name: no torch here.
"""

from __future__ import annotations

from collections.abc import Mapping

SCALED_WEIGHT = "scaled_weight"
"""Reading: the size of a level's weight times the root mean square of its hidden state on validation data."""
LEVEL_ACCURACY, LEVEL_LOSS = "level_accuracy", "level_loss"
"""Readings on validation data: the network with all weight on that level."""
LEVEL_DOUBT = "level_doubt"
"""Reading: the standard error of how far `level_accuracy` lies behind the best level's, on the same examples."""
REMOVAL_ACCURACY, REMOVAL_LOSS = "removal_accuracy", "removal_loss"
"""Readings on validation data: the network without that level."""
READINGS = (SCALED_WEIGHT, LEVEL_ACCURACY, LEVEL_LOSS, LEVEL_DOUBT, REMOVAL_ACCURACY, REMOVAL_LOSS)
"""What may be known of every level 0..L after an epoch, beside its weight."""

Readings = Mapping[str, tuple[float, ...]]
"""Numbers per level 0..L, by their names in `READINGS`."""
