"""Features of an input as whatever decides on its blocks should see them: how it differs from other inputs.

What is common to all inputs is by far the greater part of a pooled feature. A linear layer on it learns one decision
for all of them long before it tells them apart, and once that decision is certain it has no gradient left: gates and
policy networks on plain features end with one policy (docs/dynamic_gates.md). Neither paper does this.
Shapes: B batch, D features.
"""

from __future__ import annotations

from torch import nn


def standardized_linear(linear: nn.Linear) -> nn.Sequential:
    """A linear layer that sees features `[B, D]` with mean 0 and variance 1 over inputs, in training over the batch."""
    return nn.Sequential(nn.BatchNorm1d(linear.in_features, affine=False), linear)
