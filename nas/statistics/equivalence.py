"""Whether a difference is too small to matter: two one-sided t tests.

That a difference is not significant does not say that there is none. So a margin is stated beforehand, and the burden
of proof turned round: the hypotheses are that the method is worse than the baseline by the margin or more, and that it
is better by the margin or more. Rejecting the first shows that it is no worse, rejecting both that they are equivalent
(Schuirmann, Journal of Pharmacokinetics and Biopharmaceutics 15, 1987).

The standard error is that of the mean over tasks; its degrees of freedom are Welch and Satterthwaite's, for one task
n - 1.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass

import numpy as np

from nas.statistics.bootstrap import Strata
from nas.statistics.significance import ALPHA, DIGITS, holm

MARGIN = 0.0025
"""A quarter of a point of accuracy: about what other seeds do to a well-trained image classifier."""


@dataclass(frozen=True, kw_only=True)
class Equivalence:
    """P values of one method against the baseline."""

    no_worse: float
    """Of the hypothesis that it is worse by the margin or more."""
    no_better: float
    """Of the hypothesis that it is better by the margin or more."""
    equivalent: float
    """Of both: the greater of the two."""

    @property
    def conclusion(self) -> str:
        """What may be claimed: `equivalent`, `no worse`, `no better`, or `open`."""
        claims = {"equivalent": self.equivalent, "no worse": self.no_worse, "no better": self.no_better}
        return next((claim for claim, p in claims.items() if p <= ALPHA), "open")


def paired_equivalence(strata: Strata, margin: float) -> Equivalence | None:
    """Test paired differences against a margin.

    Args:
        strata: differences by task.
        margin: above 0.

    Returns:
        None where a task has but one difference.
    """
    if min(len(stratum) for stratum in strata) < 2:
        return None
    rounded = [np.round(np.asarray(stratum, dtype=float), DIGITS) for stratum in strata]
    mean = math.fsum(float(stratum.mean()) for stratum in rounded) / len(rounded)
    variances = [float(stratum.var(ddof=1)) / len(stratum) for stratum in rounded]
    degrees = [len(stratum) - 1 for stratum in rounded]
    error = math.sqrt(math.fsum(variances)) / len(rounded)
    no_worse = _beyond(mean + margin, error, variances, degrees)
    no_better = _beyond(margin - mean, error, variances, degrees)
    return Equivalence(no_worse=no_worse, no_better=no_better, equivalent=max(no_worse, no_better))


def holm_equivalence(tests: Sequence[Equivalence]) -> Iterator[Equivalence]:
    """Each of the three p values corrected over the methods."""
    corrected = (holm(p_values) for p_values in zip(*(astuple(test) for test in tests), strict=True))
    for no_worse, no_better, equivalent in zip(*corrected, strict=True):
        yield Equivalence(no_worse=no_worse, no_better=no_better, equivalent=equivalent)


def _beyond(distance: float, error: float, variances: Sequence[float], degrees: Sequence[int]) -> float:
    """Upper tail of Student's t at distance / error."""
    if error <= 10.0**-DIGITS:  # all differences are one number
        return 0.0 if distance > 10.0**-DIGITS else 1.0
    from scipy.special import stdtr  # not everybody who imports this waits for SciPy

    freedom = math.fsum(variances) ** 2 / math.fsum(
        variance**2 / degree for variance, degree in zip(variances, degrees, strict=True)
    )
    return float(stdtr(freedom, -distance / error))
