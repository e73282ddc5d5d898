"""The error tree of the whole service.

    NasError                      everything this service raises on purpose
    ├── InvalidInput  (ValueError)     a spec, an option or a file that breaks a rule; CLI exit code 2
    │   └── UnknownName  (also KeyError)   a name that no registry holds
    ├── InvalidArchitecture (ValueError)   decisions that are not a point of the space
    ├── SearchExhausted (RuntimeError)     a controller has nothing left to propose
    ├── BudgetExceeded (RuntimeError)      the ledger was asked for more than it holds: our own bug
    ├── TrialFailed (RuntimeError)         a network that broke: data, not an accident
    ├── StoreError (RuntimeError)          the database or the files cannot be read or written; CLI exit code 2
    └── Interrupted (RuntimeError)         a signal stopped the study, which can be resumed; CLI exit code 130

The message is the rule and the values: "depth must be between 1 and 12, got 40".
"""

from __future__ import annotations


class NasError(Exception):
    """Root of every error raised on purpose."""


class InvalidInput(NasError, ValueError):
    """Input that breaks a rule. `field` is the dotted path in the study file, if there is one."""

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.field = field

    def __str__(self) -> str:
        return f"{self.field}: {self.message}" if self.field else self.message

    def within(self, parent: str) -> InvalidInput:
        """The same error, its field seen from the object that holds `parent`."""
        return InvalidInput(self.message, field=".".join(part for part in (parent, self.field) if part))


class UnknownName(InvalidInput, KeyError):
    """A name that is in no registry."""


class InvalidArchitecture(NasError, ValueError):
    """Decisions that are not a point of the space."""


class SearchExhausted(NasError, RuntimeError):
    """Raised by `ask` when nothing is left to propose. The message becomes the run's stop reason."""


class BudgetExceeded(NasError, RuntimeError):
    """More was reserved or charged than the ledger holds."""


class TrialFailed(NasError, RuntimeError):
    """A network that cannot be built, priced or trained."""


class StoreError(NasError, RuntimeError):
    """The results database is unreachable, newer than this code, or holds no such study; or a disk is full."""


class Interrupted(NasError, RuntimeError):
    """The driver was asked to stop; the study can be resumed."""
