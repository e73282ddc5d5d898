"""What learning a depth by gradient descent does and does not do, on real training.

The known results about LayerSelect and fusion (A. Rivero, ai.stackexchange.com, 2022), at a small size.
"""

import pytest

from controllers.supernets import supernet_proposal
from controllers.trial import Proposal
from tests.workers.blobs import architecture, job, train
from workers.training import Training

DIGITS = {"name": "digits", "train_size": 300, "validation_size": 300}
SPIRAL = {"name": "spiral", "train_size": 512, "validation_size": 256}


def mlp(max_depth):
    return {"family": "mlp", "depth": {"min": 1, "max": max_depth}, "width": 16}


def trained(proposal, space, task, *, epochs, seed=0):
    """The measurement, and the profile after every epoch."""
    profiles = []
    training = Training(epochs=epochs, batch_size=32, learning_rate=0.01)
    one = job(proposal=proposal, space=space, task=task, training=training, epochs=epochs, seed=seed)
    return train(one, lambda epoch, _: profiles.append(epoch.profile)), profiles


def supernet(**options):
    return supernet_proposal(options)


def select_on_digits(*, epochs=12, **fields):
    return trained(supernet(name="layer_select", **fields), mlp(8), DIGITS, epochs=epochs)


def accuracy_of_depth(depth):
    one = architecture(depth, options=mlp(8), input_shape=(1, 8, 8), num_classes=10)
    return trained(Proposal(architecture=one), mlp(8), DIGITS, epochs=12)[0].metrics["val_accuracy"]


def test_the_raw_selector_never_leaves_a_whole_number():
    _, profiles = select_on_digits(initial_k=4.0, epochs=3)
    assert profiles == [tuple(float(level == 4) for level in range(9))] * 3


@pytest.mark.parametrize("curvature", [1.0, 0.25])
def test_the_raw_selector_stays_where_it_starts_though_a_shallow_chain_is_much_better(curvature):
    measured, _ = select_on_digits(curvature=curvature, initial_k=4.5)
    ranked = [one.depth for one in measured.derived]
    assert ranked[:2] == [4, 5]
    assert accuracy_of_depth(1) > accuracy_of_depth(ranked[0]) + 0.05


def test_a_wide_window_on_validation_data_finds_the_shallow_chains():
    measured, _ = select_on_digits(
        initial_k=4.5,
        initial_curvature=0.02,
        normalized=True,
        k_learning_rate=0.1,
        auxiliary_weight=1.0,
        level="validation",
    )
    assert {one.depth for one in measured.derived[:3]} == {1, 2, 3}


def fusion_on_the_spiral(mix, seed):
    """Final weights, and parts of levels in the sum of weights times sizes."""
    options = {"mix": mix, "architecture_learning_rate": 0.02}
    measured, _ = trained(supernet(name="layer_fusion", **options), mlp(5), SPIRAL, epochs=20, seed=seed)
    scaled = measured.readings["scaled_weight"]
    return measured.profile, [value / sum(scaled) for value in scaled]


@pytest.mark.parametrize("seed", [1, 2])
def test_a_linear_fusion_does_not_converge_to_one_level(seed):
    weights, parts = fusion_on_the_spiral("linear", seed)
    assert 0 not in weights
    assert max(parts) < 0.7
    assert sum(part > 0.05 for part in parts) >= 4


@pytest.mark.parametrize("seed", [1, 2])
def test_softmax_keeps_every_level_and_sparsemax_one_or_two(seed):
    weights, _ = fusion_on_the_spiral("softmax", seed)
    assert min(weights) > 0.01
    weights, _ = fusion_on_the_spiral("sparsemax", seed)
    assert sum(weight > 0 for weight in weights) <= 2
