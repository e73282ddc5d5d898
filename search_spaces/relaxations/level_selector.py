"""The selector of LayerSelect: a window around a real number k that slides over the levels 1..L.

`w_l = max(0, 1 - c (l - k)^2)`, with k clipped to [1, L]. The window may narrow on a schedule, and k may start several
times. Shapes: L levels from 1, S starts.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

UNREACHED = 0.0
"""As the end of a part: it has not ended. No k is below 1."""


class LevelSelector(nn.Module):
    """k, its window, and where earlier starts have led."""

    def __init__(
        self,
        num_levels: int,
        *,
        curvature: float,
        initial_curvature: float | None,
        normalized: bool,
        initial_k: float | None,
        num_starts: int,
    ) -> None:
        super().__init__()
        self.num_levels = num_levels
        self.final_curvature = curvature
        self.initial_curvature = initial_curvature
        self.normalized = normalized
        self.starts = start_points(num_levels, num_starts) if initial_k is None else [initial_k]
        self.k = nn.Parameter(torch.tensor(float(self.starts[0])))
        self.curvature = curvature if initial_curvature is None else initial_curvature
        self.part = nn.Buffer(torch.tensor(0))
        self.ends_S = nn.Buffer(torch.full((len(self.starts),), UNREACHED))

    def weights(self) -> Tensor:
        """Weights `[L]` of levels 1..L."""
        level_L = torch.arange(1, self.num_levels + 1, device=self.k.device)
        # relu, whose gradient at a tie is 0: torch.clamp would pass it, torch.maximum would halve it.
        weights_L = torch.relu(1 - self.curvature * (level_L - self.k) ** 2)
        return weights_L / weights_L.sum() if self.normalized else weights_L

    @torch.no_grad()
    def clip(self) -> None:
        """Bring k back to [1, L]."""
        self.k.clamp_(1, self.num_levels)

    @torch.no_grad()
    def anneal(self, progress: float) -> None:
        """Start the next part when its time has come, and narrow the window.

        An optimizer keeps what it remembers of k, so that the first steps of a part are those of a rolling ball.
        """
        position = progress * len(self.starts)
        part = int(position)
        if part > self.part.item():
            self.ends_S[self.part] = self.k
            self.part.fill_(part)
            self.k.fill_(self.starts[part])
        if self.initial_curvature is not None:
            growth = self.final_curvature / self.initial_curvature
            self.curvature = self.initial_curvature * growth ** (position - part)

    def ends(self) -> list[float]:
        """Where every part has ended, and where the present one is."""
        return [*(end for end in self.ends_S.tolist() if end != UNREACHED), self.k.item()]


def start_points(num_levels: int, num_starts: int) -> list[float]:
    """Those half-way points 1.5, 2.5, ..., L - 0.5 that lie in the middle of `num_starts` equal parts of them."""
    return [math.ceil((start + 0.5) * (num_levels - 1) / num_starts) + 0.5 for start in range(num_starts)]
