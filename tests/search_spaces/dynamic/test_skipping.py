"""Skipped blocks: compaction against masking, both against each input on its own way."""

import pytest
import torch
from torch import nn

from search_spaces import make_space
from search_spaces.chain import Chain
from search_spaces.compose import answer
from search_spaces.dynamic.skipping import compacted, executed_flops, given, masked, skippable, walk
from search_spaces.flops import count_flops, level_flops

BATCH = 7
SPACES = {
    "mlp": {"family": "mlp", "depth": 4, "width": 8, "ops": ["residual"]},
    "mlp, tied": {"family": "mlp", "depth": 4, "width": 8, "ops": ["residual"], "tied": True},
    "resnet": {"family": "resnet", "depth": 4, "width": 4},
    "resnet, stages": {
        "family": "resnet",
        "stages": [{"depth": 2, "width": 4}, {"depth": 3, "width": 6, "stride": 2}, {"depth": 1, "width": 6}],
    },
    "transformer": {"family": "transformer", "depth": 3, "width": 8, "heads": 2},
}
SHAPE = (1, 8, 8)
SKIPPABLE = {
    "mlp": (1, 2, 3, 4),
    "mlp, tied": (1, 2, 3, 4),
    "resnet": (1, 2, 3, 4),
    "resnet, stages": (1, 2, 4, 5, 6),  # block 3 halves the image and widens it
    "transformer": (1, 2, 3),
}
ALL = pytest.mark.parametrize("name", SPACES)


def chain_and_blocks(name):
    torch.manual_seed(0)
    space = make_space(SPACES[name], input_shape=SHAPE, num_classes=3)
    chain = space.build(answer(space, {}, partial=True))
    chain(torch.randn(16, *SHAPE))  # batch statistics of its own
    return chain.eval(), SKIPPABLE[name]


def inputs(size=BATCH):
    return torch.randn(size, *SHAPE, generator=torch.Generator().manual_seed(1))


def policies(count, size=BATCH):
    generator = torch.Generator().manual_seed(2)
    random = [(torch.rand(size, count, generator=generator) < share).float() for share in (0.1, 0.5, 0.5, 0.9)]
    return [torch.zeros(size, count), torch.ones(size, count), *random]


def run(chain, x_B, policy_BN, blocks, step):
    y_BK, gates = walk(chain, x_B, given(policy_BN), blocks=blocks, step=step)
    assert torch.equal(torch.stack(gates, dim=1), policy_BN)
    return y_BK


@ALL
def test_blocks_that_keep_the_shape_can_be_skipped(name):
    chain, blocks = chain_and_blocks(name)
    assert skippable(chain, SHAPE) == blocks


@ALL
@torch.no_grad()
def test_every_input_goes_its_own_way(name):
    chain, blocks = chain_and_blocks(name)
    for policy_BN in policies(len(blocks)):
        y_BK = run(chain, inputs(), policy_BN, blocks, masked)
        for x, policy, y in zip(inputs(), policy_BN.tolist(), y_BK, strict=True):
            executes = dict(zip(blocks, policy, strict=True))
            kept = [block for number, block in enumerate(chain.blocks, start=1) if executes.get(number, 1)]
            alone = nn.Sequential(chain.stem, *kept, chain.head)(x.unsqueeze(0))[0]
            torch.testing.assert_close(y, alone, rtol=1e-5, atol=1e-6)


@ALL
@pytest.mark.parametrize("size", [1, BATCH])
@torch.no_grad()
def test_compacted_is_masked(name, size):
    chain, blocks = chain_and_blocks(name)
    for policy_BN in policies(len(blocks), size):
        reference = run(chain, inputs(size), policy_BN, blocks, masked)
        torch.testing.assert_close(run(chain, inputs(size), policy_BN, blocks, compacted), reference, rtol=0, atol=1e-6)


@ALL
def test_gradients_are_those_of_the_masked_pass(name):
    chain, blocks = chain_and_blocks(name)
    policy_BN = policies(len(blocks))[3]
    gradients = []
    for step in (masked, compacted):
        loss = run(chain, inputs(), policy_BN, blocks, step).square().sum()
        gradients.append(torch.autograd.grad(loss, list(chain.parameters())))
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


@ALL
@torch.no_grad()
def test_nothing_is_computed_for_those_that_skip(name):
    chain, blocks = chain_and_blocks(name)
    levels = level_flops(chain, SHAPE)
    for policy_BN in policies(len(blocks)):
        by_hand = 0
        for policy in policy_BN.tolist():
            executes = dict(zip(blocks, policy, strict=True))
            by_hand += sum(int(executes.get(number, 1)) * flops for number, flops in enumerate(levels))
        flops_B = executed_flops(levels, blocks, policy_BN)
        assert flops_B.sum() == by_hand
        counted = count_flops(lambda policy_BN=policy_BN: run(chain, inputs(), policy_BN, blocks, compacted))
        assert counted == by_hand
        everything = count_flops(lambda policy_BN=policy_BN: run(chain, inputs(), policy_BN, blocks, masked))
        assert everything == BATCH * sum(levels)


@pytest.mark.parametrize("step", [masked, compacted])
def test_a_policy_may_look_at_the_hidden_state(step):
    """Three blocks that add one, executed below two: each input is asked at its own hidden state."""

    class AddOne(nn.Module):
        def forward(self, h_B1):
            return h_B1 + 1

    chain = Chain(nn.Identity(), [AddOne() for _ in range(3)], nn.Identity())
    asked = []

    def below_two(place, h_B1):
        asked.append((place, h_B1.flatten().tolist()))
        return (h_B1[:, 0] < 2).float()

    y_B1, gates = walk(chain, torch.tensor([[0.0], [1.0], [5.0]]), below_two, blocks=(1, 2, 3), step=step)
    assert asked == [(0, [0.0, 1.0, 5.0]), (1, [1.0, 2.0, 5.0]), (2, [2.0, 2.0, 5.0])]
    assert y_B1.flatten().tolist() == [2.0, 2.0, 5.0]
    assert [g_B.tolist() for g_B in gates] == [[1, 1, 0], [1, 0, 0], [0, 0, 0]]


def test_only_the_blocks_named_are_skipped():
    chain, _ = chain_and_blocks("mlp")
    y_BK, gates = walk(chain, inputs(), given(torch.zeros(BATCH, 1)), blocks=(3,), step=compacted)
    kept = [chain.blocks[number] for number in (0, 1, 3)]
    torch.testing.assert_close(y_BK, nn.Sequential(chain.stem, *kept, chain.head)(inputs()))
    assert len(gates) == 1


def test_soft_gates_mix_a_block_with_its_input():
    block, h_B = nn.Linear(1, 1, bias=False), torch.tensor([[1.0], [2.0]])
    nn.init.constant_(block.weight, 3.0)
    assert masked(block, h_B, torch.tensor([0.25, 0.5])).flatten().tolist() == [0.25 * 3 + 0.75, 0.5 * 6 + 0.5 * 2]
