"""Operating points: accuracy and cost, counted input by input."""

import pytest
import torch

from search_spaces import make_space
from search_spaces.dynamic.exit_rules import ExitRule
from search_spaces.dynamic.operating_point import exit_flops, operating_point
from search_spaces.relaxations import make_relaxation
from tests.search_spaces.dynamic.test_exit_rules import BATCH, CLASSES, logits


def test_a_point_is_the_mean_over_inputs():
    y_EBK, y_B, flops = logits(), torch.arange(BATCH) % CLASSES, (10, 25, 70, 100)
    exit_B = ExitRule(kind="entropy", thresholds=(0.3, 0.4, 0.6)).exits(y_EBK)
    correct, spent, counts = 0, 0, [0, 0, 0, 0]
    for index, taken in enumerate(exit_B.tolist()):
        y = y_EBK[taken, index].tolist()
        correct += y.index(max(y)) == index % CLASSES
        spent += flops[taken]
        counts[taken] += 1
    point = operating_point(y_EBK, y_B, exit_B, flops)
    assert point.accuracy == pytest.approx(correct / BATCH)
    assert point.mean_flops == pytest.approx(spent / BATCH)
    assert point.shares == pytest.approx([count / BATCH for count in counts])
    assert min(counts) > 0


@pytest.mark.parametrize("tied", [False, True])
def test_the_heads_on_the_way_are_paid(tied):
    """Inputs of 5, width 8, 3 classes: a stem of 2 * 5 * 8, residual blocks of 2 * 2 * 8 * 8, heads of 2 * 8 * 3."""
    options = {"family": "mlp", "depth": [0, 1, 3, 4], "width": 8, "ops": ["residual"], "tied": tied}
    space = make_space(options, input_shape=(5,), num_classes=3)
    network = make_relaxation({"name": "multi_exit", "exits": [0, 1, 4]}).supernet(space)
    stem, block, head = 80, 256, 48
    assert exit_flops(network, (5,)) == (stem + head, stem + block + 2 * head, stem + 4 * block + 3 * head)
    assert network.training  # it stays as it is
