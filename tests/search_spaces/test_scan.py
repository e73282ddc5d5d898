"""SCAN: attention, the ensemble, and what both cost, by hand."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from search_spaces import make_space
from search_spaces.dynamic.conditional import run_compacted, run_masked
from search_spaces.dynamic.exit_rules import ExitRule, confidence
from search_spaces.dynamic.exits import Ensembled
from search_spaces.dynamic.operating_point import exit_flops
from search_spaces.flops import count_flops, inference_flops
from search_spaces.relaxations import make_relaxation
from search_spaces.relaxations.scan import Attention

FAMILIES = {
    "mlp": ((5,), {"family": "mlp", "depth": [0, 1, 3], "width": 8}),
    "resnet": ((1, 8, 8), {"family": "resnet", "depth": [1, 2, 3], "width": 4}),
    "resnet, odd": ((1, 7, 5), {"family": "resnet", "depth": [1, 2, 3], "width": 4}),
    "transformer": ((1, 8, 8), {"family": "transformer", "depth": [1, 2, 3], "width": 8, "heads": 2}),
}
EVERYWHERE = pytest.mark.parametrize("family", FAMILIES)
BATCH, CLASSES = 30, 3


def scan(family, **options):
    """Classifiers as large as trained ones, and batch statistics that are not those of the batch."""
    torch.manual_seed(0)
    input_shape, space = FAMILIES[family]
    network = make_relaxation({"name": "scan", **options}).supernet(
        make_space(space, input_shape=input_shape, num_classes=CLASSES)
    )
    for head in network.heads.values():
        for layer in head.classifier.modules():
            if isinstance(layer, nn.Linear):
                nn.init.normal_(layer.weight)
    network(torch.randn(64, *input_shape))  # moves the running statistics
    return network.double(), torch.randn(BATCH, *input_shape, dtype=torch.float64)


def criterion(y_BK, y_B):
    return F.cross_entropy(y_BK, y_B, reduction="none")


def by_hand(network, x_B):
    """Features and logits of every classifier, with attention written out."""
    states = network.chain.hidden_states(x_B)
    features, logits = [], []
    for depth in network.depths:
        h, head = states[depth], network.heads[str(depth)]
        if depth != network.depths[-1]:
            mask = head.attention.mask(h)
            if h.dim() == 4:
                mask = mask[:, :, : h.shape[2], : h.shape[3]]
            h = h / (1 + torch.exp(-mask))
        features.append(h)
        logits.append(head.classifier(h))
    return features, logits


@EVERYWHERE
def test_the_last_exit_is_the_mean_of_all_classifiers(family):
    network, x_B = scan(family)
    assert isinstance(network, Ensembled)
    network.eval()
    _, (y1, y2, y3) = by_hand(network, x_B)
    exits = network.exit_logits(x_B)
    assert len(exits) == 4
    for one, other in zip(exits, [y1, y2, y3, (y1 + y2 + y3) / 3], strict=True):
        torch.testing.assert_close(one, other)
    torch.testing.assert_close(network(x_B), exits[-1])
    probe = network.probe(x_B)
    torch.testing.assert_close(probe.logits, exits[-1])
    for depth, y_BK in zip(network.depths, (y1, y2, y3), strict=True):
        torch.testing.assert_close(probe.levels[depth], y_BK)


@EVERYWHERE
def test_classifiers_learn_from_the_deepest_and_the_ensemble_from_nothing(family):
    """In evaluation mode, so that two passes see one normalisation."""
    network, x_B = scan(family, alpha=0.4, temperature=2.0, hint_weight=0.3)
    network.eval()
    y_B = torch.arange(BATCH) % CLASSES
    (f1, f2, f3), (y1, y2, y3) = by_hand(network, x_B)

    def mean(f):
        return f.mean(dim=(2, 3)) if f.dim() == 4 else f.mean(dim=1) if f.dim() == 3 else f

    expected = F.cross_entropy(y3, y_B) / 3
    for f, y in ((f1, y1), (f2, y2)):
        p, q = (y3.detach() / 2).softmax(1), (y / 2).softmax(1)
        taught = 4 * (p * (p / q).log()).sum() / BATCH
        hint = ((mean(f) - mean(f3).detach()) ** 2).sum() / BATCH
        expected = expected + (0.6 * F.cross_entropy(y, y_B) + 0.4 * taught + 0.3 * hint) / 3
    loss = network.objective(x_B, y_B, criterion)
    torch.testing.assert_close(loss, expected)
    parameters = list(network.parameters())
    for one, other in zip(
        torch.autograd.grad(loss, parameters), torch.autograd.grad(expected, parameters), strict=True
    ):
        torch.testing.assert_close(one, other)


def test_attention_weighs_every_position():
    """A mask of zeros halves, whatever its rim."""
    attention = Attention(nn.ZeroPad2d((0, 1, 0, 1)))
    h_BCHW = torch.zeros(2, 3, 5, 4)
    assert attention(h_BCHW).shape == h_BCHW.shape
    silent = nn.Linear(6, 6)
    nn.init.zeros_(silent.weight)
    nn.init.zeros_(silent.bias)
    torch.testing.assert_close(Attention(silent)(torch.full((2, 6), 3.0)), torch.full((2, 6), 1.5))


@pytest.mark.parametrize(
    ("family", "attention"),
    [
        # 4 -> 4 channels, 3x3 at 4x4 positions; then 4x4 from 4x4 positions
        ("resnet", 2 * 9 * 16 * 16 + 2 * 16 * 16 * 16),
        # 7x5 strides to 4x3
        ("resnet, odd", 2 * 9 * 16 * 12 + 2 * 16 * 16 * 12),
        # 8 -> 4 -> 8
        ("mlp", 2 * 8 * 4 + 2 * 4 * 8),
    ],
)
def test_attention_is_paid_at_every_exit_but_the_deepest(family, attention):
    network, _ = scan(family)
    input_shape, space = FAMILIES[family]
    plain = make_relaxation({"name": "multi_exit"}).supernet(
        make_space(space, input_shape=input_shape, num_classes=CLASSES)
    )
    first, second, third = exit_flops(plain, input_shape)
    expected = (first + attention, second + 2 * attention, third + 2 * attention)
    assert exit_flops(network, input_shape) == (*expected, expected[-1])
    assert inference_flops(network, input_shape) == expected[-1]


@EVERYWHERE
@torch.no_grad()
def test_dropping_inputs_changes_no_answer_and_pays_for_no_more_than_the_exits_taken(family):
    network, x_B = scan(family)
    flops = exit_flops(network.float(), FAMILIES[family][0])  # of inputs in single precision
    network.double().eval()
    confidence_EB = confidence(torch.stack(network.exit_logits(x_B)))
    taken = set()
    for shares in [(0.8, 0.8, 0.8), (0.2, 0.7, 0.9), (0.9, 0.3, 0.6), (1.1, 1.1, 0.5)]:
        thresholds = tuple(
            2.0 if share > 1 else torch.quantile(confidence_EB[m], share).item() for m, share in enumerate(shares)
        )
        rule = ExitRule(kind="confidence", thresholds=thresholds)
        compacted, masked = run_compacted(network, x_B, rule), run_masked(network, x_B, rule)
        assert torch.equal(compacted.exits, masked.exits)
        torch.testing.assert_close(compacted.logits, masked.logits)
        spent = sum(flops[exit_] for exit_ in compacted.exits.tolist())
        assert count_flops(lambda rule=rule: run_compacted(network, x_B, rule)) == spent
        taken |= set(compacted.exits.tolist())
    assert taken == {0, 1, 2, 3}


def test_settings_have_a_threshold_for_every_classifier():
    network, x_B = scan("mlp")
    network.eval()
    with torch.no_grad():
        observed = [network.observe(0, x_B)]
        settings = network.settings(observed)
        assert {len(setting.thresholds) for setting in settings} == {3}
        never = next(setting for setting in settings if setting.label == "last exit")
        torch.testing.assert_close(network.run_at(never, x_B), network(x_B))
        point = network.operating_point(never, observed, torch.zeros(BATCH, dtype=torch.int64))
    assert point.shares == (0, 0, 0, 1)
    assert point.mean_flops == inference_flops(network, (5,))
