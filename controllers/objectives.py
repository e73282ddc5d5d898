"""What a method may search for: measurements of a trial, and which way each is better."""

from __future__ import annotations

from enum import StrEnum

from controllers.trial import SCORE, Trial


class Objective(StrEnum):
    """A measurement to optimise. The accuracy is maximised, sizes are minimised."""

    VAL_ACCURACY = SCORE
    INFERENCE_FLOPS = "inference_flops"
    """FLOPs of the forward pass of one input."""
    NUM_PARAMETERS = "num_parameters"

    @property
    def is_maximised(self) -> bool:
        """Whether more is better."""
        return self is Objective.VAL_ACCURACY

    def of(self, trial: Trial) -> float | None:
        """What the trial measured; None where it did not."""
        if trial.measurement is None:
            return None
        match self:
            case Objective.VAL_ACCURACY:
                return trial.score
            case Objective.INFERENCE_FLOPS:
                return trial.measurement.inference_flops
            case Objective.NUM_PARAMETERS:
                return trial.measurement.num_parameters
