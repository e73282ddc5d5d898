"""Trials as the service tells them, with scores made up by the test."""

from collections.abc import Callable, Sequence

from controllers import Controller
from controllers.trial import SCORE, Kind, Measurement, Proposal, Status, Trial
from search_spaces.architecture import Architecture
from search_spaces.readings import Readings

Outcome = Callable[[int, Proposal], Trial]


def scored(
    number: int,
    proposal: Proposal | Architecture,
    score: float,
    *,
    status: Status = Status.COMPLETE,
    derived: Sequence[Architecture] = (),
    readings: Readings | None = None,
    num_parameters: int = 1,
    inference_flops: int = 1,
) -> Trial:
    proposed = _proposal(proposal)
    epochs = proposed.epochs or 1
    measurement = Measurement(
        metrics={SCORE: score, "train_loss": 1 - score, "val_loss": 1 - score},
        charges=(),
        epochs=epochs,
        num_parameters=num_parameters,
        inference_flops=inference_flops,
        readings=readings or {},
        derived=tuple(derived),
    )
    return Trial(number=number, proposal=proposed, epochs=epochs, seed=0, status=status, measurement=measurement)


def failed(number: int, proposal: Proposal | Architecture) -> Trial:
    return Trial(
        number=number, proposal=_proposal(proposal), epochs=1, seed=0, status=Status.FAILED, reason="broke on purpose"
    )


def running(number: int, proposal: Proposal | Architecture) -> Trial:
    return Trial(number=number, proposal=_proposal(proposal), epochs=1, seed=0)


def play(controller: Controller, num_trials: int, outcome: Outcome) -> list[Trial]:
    """Ask and tell in turn."""
    trials = []
    for number in range(num_trials):
        proposal = controller.ask(number)
        assert proposal is not None, "waits although nothing is pending"
        trials.append(outcome(number, proposal))
        controller.tell(trials[-1])
    return trials


def _proposal(what: Proposal | Architecture) -> Proposal:
    return what if isinstance(what, Proposal) else Proposal(kind=Kind.ARCHITECTURE, architecture=what)
