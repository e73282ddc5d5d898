"""What one classifier learns from the answers of another (Hinton, Vinyals & Dean, 2015, arXiv 1503.02531)."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def distillation(student_BK: Tensor, teacher_BK: Tensor, temperature: float | Tensor) -> Tensor:
    """`T^2 KL(teacher || student)` of answers softened by T, the mean over all labels."""
    return temperature**2 * F.kl_div(
        (student_BK / temperature).flatten(0, -2).log_softmax(dim=-1),
        (teacher_BK / temperature).flatten(0, -2).log_softmax(dim=-1),
        reduction="batchmean",
        log_target=True,
    )
