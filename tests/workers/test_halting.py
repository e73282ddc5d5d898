"""Networks that halt, in real training: they stop as early as they are paid to."""

import pytest

from search_spaces.readings import READINGS
from tests.workers.blobs import trained_supernet

SPACE = {"family": "mlp", "depth": {"min": 1, "max": 4}, "width": 8, "ops": ["residual"], "tied": True}
EPOCHS = 20


def trained(**fields):
    outcome = trained_supernet({"name": "halting", **fields}, space=SPACE, epochs=EPOCHS)
    assert sum(outcome.profile) == pytest.approx(1)
    mean = sum(level * share for level, share in enumerate(outcome.profile))
    depths = [one.depth for one in outcome.derived]
    assert abs(depths[0] - mean) <= 0.5
    return mean, outcome


@pytest.mark.parametrize(
    ("lambda_p", "mean"),
    [
        (0.2, (1 + 2 * 0.8 + 3 * 0.64 + 4 * 0.512) / (1 + 0.8 + 0.64 + 0.512)),
        (0.8, (1 + 2 * 0.2 + 3 * 0.04 + 4 * 0.008) / (1 + 0.2 + 0.04 + 0.008)),
    ],
)
def test_a_strong_prior_decides_where_inputs_stop(lambda_p, mean):
    assert trained(beta=10, lambda_p=lambda_p)[0] == pytest.approx(mean, abs=0.1)


def test_costly_time_is_saved_under_act():
    free, costly = trained(rule="act", tau=0.0), trained(rule="act", tau=1.0)
    assert costly[0] < 1.2
    assert free[0] > 1.5


@pytest.mark.parametrize("rule", ["ponder", "act"])
def test_levels_are_read_in_the_pass_that_validates(rule):
    _, outcome = trained(rule=rule)
    assert set(outcome.readings) == set(READINGS)
    assert {len(values) for values in outcome.readings.values()} == {5}
    assert outcome.metrics["val_accuracy"] > 0.6  # a third by chance
