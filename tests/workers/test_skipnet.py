"""SkipNet in real training: blocks are executed where that pays."""

import pytest

from tests.workers.blobs import trained_supernet

SPACE = {"family": "mlp", "depth": {"min": 1, "max": 4}, "width": 8, "ops": ["residual"]}
EPOCHS = 20


def trained(**fields):
    outcome = trained_supernet({"name": "skipnet", **fields}, space=SPACE, epochs=EPOCHS)
    stem, *shares = outcome.profile
    assert (stem, len(shares)) == (1.0, 4)
    assert abs(outcome.derived[0].depth - max(1, sum(shares))) <= 0.5
    return sum(shares), outcome


@pytest.mark.parametrize(
    "fields",
    [{"supervised_share": 0.5}, {"supervised_share": 0}, {"supervised_gate": "gumbel", "supervised_share": 1}],
    ids=str,
)
def test_blocks_are_skipped_if_that_is_worth_more_than_any_loss(fields):
    executed, outcome = trained(alpha=100, **fields)
    assert executed < 0.5
    assert outcome.metrics["val_accuracy"] > 0.6  # a third by chance; stem and head are never skipped


@pytest.mark.parametrize("gate", ["straight_through", "soft"])
def test_the_supervised_stage_alone_learns(gate):
    _, outcome = trained(supervised_share=1, supervised_gate=gate)
    assert outcome.metrics["val_accuracy"] > 0.6
