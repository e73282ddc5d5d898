"""The pass that drops inputs which have left, against the one that computes everything, in answers and in FLOPs."""

import pytest
import torch
from torch import nn

from search_spaces import make_space
from search_spaces.compose import answer
from search_spaces.dynamic.conditional import run_compacted, run_masked
from search_spaces.dynamic.exit_rules import ExitRule, confidence, entropy
from search_spaces.dynamic.operating_point import exit_flops
from search_spaces.flops import count_flops
from search_spaces.relaxations import make_relaxation

BATCH, EXITS = 40, 4
FAMILIES = {
    "mlp": ((5,), {"family": "mlp", "depth": [0, 1, 3, 4], "width": 8}),
    "mlp_tied": ((5,), {"family": "mlp", "depth": [0, 1, 3, 4], "width": 8, "ops": ["residual"], "tied": True}),
    "resnet": ((1, 8, 8), {"family": "resnet", "depth": [1, 2, 3, 5], "width": 4}),
    "transformer": ((1, 8, 8), {"family": "transformer", "depth": [1, 2, 3, 4], "width": 8, "heads": 2}),
    "multiscale": (
        (1, 8, 8),
        {"family": "multiscale", "depth": 7, "base": 1, "growth": 2, "channels": 4, "head_channels": 6},
    ),
}
EVERYWHERE = pytest.mark.parametrize("family", FAMILIES)
RULES = pytest.mark.parametrize("kind", ["confidence", "entropy", "patience"])


def network_and_inputs(family):
    """Heads as large as trained ones, and batch statistics that are not those of the batch."""
    torch.manual_seed(0)
    input_shape, options = FAMILIES[family]
    space = make_space(options, input_shape=input_shape, num_classes=3)
    if family == "multiscale":  # whose networks have exits of their own
        network = space.build(answer(space, {}))
    else:
        network = make_relaxation({"name": "multi_exit"}).supernet(space)
    for head in network.heads.values():
        for layer in head.modules():
            if isinstance(layer, nn.Linear):
                nn.init.normal_(layer.weight)
    network(torch.randn(64, *input_shape))  # moves the running statistics
    return network.eval(), torch.randn(BATCH, *input_shape)


def random_rules(kind, network, x_B):
    """Thresholds per exit that some inputs meet and others do not."""
    generator = torch.Generator().manual_seed(1)
    y_EBK = torch.stack(network.exit_logits(x_B))
    for _ in range(6):
        quantile_M = torch.rand(EXITS - 1, generator=generator)
        if kind == "patience":
            thresholds = torch.randint(EXITS, (EXITS - 1,), generator=generator).tolist()
        else:
            score_EB = confidence(y_EBK) if kind == "confidence" else entropy(y_EBK)
            thresholds = [torch.quantile(score_EB[m], quantile_M[m]).item() for m in range(EXITS - 1)]
        yield ExitRule(kind=kind, thresholds=tuple(thresholds))


@EVERYWHERE
@RULES
@torch.no_grad()
def test_dropping_inputs_changes_no_answer(family, kind):
    network, x_B = network_and_inputs(family)
    taken = set()
    for rule in random_rules(kind, network, x_B):
        compacted, masked = run_compacted(network, x_B, rule), run_masked(network, x_B, rule)
        assert torch.equal(compacted.exits, masked.exits)
        torch.testing.assert_close(compacted.logits, masked.logits, rtol=0, atol=1e-6)
        taken |= set(compacted.exits.tolist())
    assert len(taken) > 1


@EVERYWHERE
@RULES
@torch.no_grad()
def test_all_or_none_leave_at_the_first_exit(family, kind):
    network, x_B = network_and_inputs(family)
    at_once, never = {"confidence": (0, 1.1), "entropy": (1.1, 0), "patience": (0, EXITS)}[kind]
    for threshold, exit_ in [(at_once, 0), (never, EXITS - 1)]:
        compacted = run_compacted(network, x_B, ExitRule(kind=kind, thresholds=(threshold,) * (EXITS - 1)))
        assert (compacted.exits == exit_).all()
        torch.testing.assert_close(compacted.logits, network.exit_logits(x_B)[exit_], rtol=0, atol=1e-6)


@EVERYWHERE
@torch.no_grad()
def test_what_has_left_is_not_computed(family):
    """Torch counts, for the whole pass, the sum over inputs of what the exit that they take costs."""
    network, x_B = network_and_inputs(family)
    flops = exit_flops(network, x_B.shape[1:])
    for rule in random_rules("confidence", network, x_B):
        exits = run_compacted(network, x_B, rule).exits.tolist()
        assert count_flops(lambda rule=rule: run_compacted(network, x_B, rule)) == sum(flops[one] for one in exits)


@torch.no_grad()
def test_one_input_is_a_batch():
    network, x_B = network_and_inputs("mlp")
    rule = next(random_rules("confidence", network, x_B))
    whole = run_compacted(network, x_B, rule)
    for index in range(BATCH):
        one = run_compacted(network, x_B[index : index + 1], rule)
        assert one.exits.item() == whole.exits[index]
        torch.testing.assert_close(one.logits[0], whole.logits[index], rtol=0, atol=1e-6)


def test_batch_statistics_are_refused():
    network, x_B = network_and_inputs("resnet")
    with pytest.raises(AssertionError, match="batch statistics"):
        run_compacted(network.train(), x_B, ExitRule(kind="confidence", thresholds=(0.5,) * 3))
