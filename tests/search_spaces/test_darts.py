"""DARTS over chains: mixtures and rankings worked out by hand, and the plain chain as its one-hot limit."""

import itertools
import math

import numpy as np
import pytest
import torch
from torch import nn

from search_spaces import make_space
from search_spaces.compose import sample, validate
from search_spaces.errors import InvalidInput
from search_spaces.relaxations import Supernet, make_relaxation
from search_spaces.relaxations.darts_network import MAX_DERIVED
from tests.search_spaces.examples import example_space
from tests.search_spaces.scaling import Scaling, scaling

CERTAIN = 1000.0
"""A logit whose softmax against zeros is exactly one in float32."""


class Prior(Scaling):
    """Blocks that ask a question of their own."""

    def compose_block(self, choose, prefix):
        return {"op": choose(f"{prefix}prior", ["double", "triple"]), "width": None}


def darts(space, **fields):
    return make_relaxation({"name": "darts", **fields}).supernet(space)


def set_probabilities(logits, probabilities):
    with torch.no_grad():
        logits.copy_(torch.tensor(probabilities).log())


def image_space(**fields):
    options = {"family": "resnet", "ops": ["basic", "plain", "separable"], "block_width": [2, 4], **fields}
    return make_space(options, input_shape=(1, 6, 6), num_classes=3)


def image_stages():
    return image_space(stages=[{"depth": [0, 1, 2], "width": 4}, {"depth": [1, 3], "width": 6, "stride": 2}])


def test_mixes_operations_and_depths_by_softmax():
    network = darts(scaling(depth=[1, 2], ops=["double", "triple"]))
    (stage,) = network.stages
    set_probabilities(network.mixture.alpha, [[0.25, 0.75], [0.75, 0.25]])
    set_probabilities(stage.beta_D, [0.2, 0.8])
    # Block 1 multiplies by 2/4 + 9/4 = 2.75, block 2 by 6/4 + 3/4 = 2.25: 0.2 * 2.75 + 0.8 * 2.75 * 2.25 = 5.5.
    assert network(torch.ones(1, 1)).item() == pytest.approx(5.5)
    assert network.profile() == pytest.approx((0.0, 0.2, 0.8))


def test_stages_hand_on_their_mixtures():
    stages = [{"depth": [0, 1], "width": 1}, {"depth": [1, 3], "width": 1}]
    network = darts(scaling(stages=stages))
    set_probabilities(network.stages[0].beta_D, [0.5, 0.5])
    set_probabilities(network.stages[1].beta_D, [0.25, 0.75])
    # Stage 1 multiplies by (1 + 2) / 2, stage 2 by 2/4 + 3 * 8/4.
    assert network(torch.ones(1, 1)).item() == pytest.approx(1.5 * 6.5)
    assert network.profile() == pytest.approx((0.0, 0.125, 0.125, 0.375, 0.375))


def test_derives_the_strongest_operations_at_the_most_probable_depths():
    network = darts(scaling(depth=[1, 2, 3], ops=["double", "triple", "keep"]))
    (stage,) = network.stages
    set_probabilities(network.mixture.alpha, [[0.2, 0.5, 0.3], [0.6, 0.3, 0.1], [0.3, 0.3, 0.4]])
    set_probabilities(stage.beta_D, [0.3, 0.2, 0.5])
    assert [dict(one.decisions) for one in network.derive({})] == [
        {"depth": 3, "block1.op": "triple", "block2.op": "double", "block3.op": "keep"},
        {"depth": 1, "block1.op": "triple"},
        {"depth": 2, "block1.op": "triple", "block2.op": "double"},
    ]


def test_ranks_the_depths_of_stages_by_their_product():
    network = darts(scaling(stages=[{"depth": [0, 1], "width": 1}, {"depth": [1, 3], "width": 1}]))
    set_probabilities(network.stages[0].beta_D, [0.4, 0.6])
    set_probabilities(network.stages[1].beta_D, [0.25, 0.75])
    depths = [(one.decisions["stage1.depth"], one.decisions["stage2.depth"]) for one in network.derive({})]
    assert depths == [(1, 3), (0, 3), (1, 1), (0, 1)]  # 0.45, 0.30, 0.15, 0.10


def test_derives_the_best_of_many_combinations():
    torch.manual_seed(0)
    sides = range(1, 7)
    network = darts(scaling(stages=[{"depth": list(sides), "width": 1}] * 3))
    for stage in network.stages:
        set_probabilities(stage.beta_D, torch.rand(6).softmax(0).tolist())
    weights = [stage.depth_weights().tolist() for stage in network.stages]
    products = {
        depths: math.prod(of_stage[depth - 1] for of_stage, depth in zip(weights, depths, strict=True))
        for depths in itertools.product(sides, repeat=3)
    }
    expected = sorted(products, key=products.__getitem__, reverse=True)[:MAX_DERIVED]
    assert [tuple(one.decisions.values()) for one in network.derive({})] == expected


def test_block_widths_are_candidates_where_the_operation_has_one():
    # basic has two widths; plain and separable have none to choose: four candidates.
    network = darts(image_stages())
    assert tuple(network.mixture.alpha.shape) == (2 + 3, 4)
    with torch.no_grad():
        network.mixture.alpha[:2, 1] = CERTAIN
        network.mixture.alpha[2:, 2] = CERTAIN
        network.stages[0].beta_D[1] = network.stages[1].beta_D[0] = CERTAIN
    assert dict(network.derive({})[0].decisions) == {
        "stage1.depth": 1,
        "stage1.block1.op": "basic",
        "stage1.block1.width": 4,
        "stage2.depth": 1,
        "stage2.block1.op": "plain",
    }


@pytest.mark.parametrize("space", [image_space(depth=[1, 2, 3], width=4), image_stages()], ids=["plain", "stages"])
@pytest.mark.parametrize("seed", range(4))
def test_one_hot_parameters_give_the_plain_chain(space, seed):
    torch.manual_seed(seed)
    network = darts(space)
    wanted = sample(space, np.random.default_rng(seed))
    plain = space.build(wanted)
    plain.stem.load_state_dict(network.chain.stem.state_dict())
    plain.head.load_state_dict(network.chain.head.state_dict())
    blocks = iter(plain.blocks)
    alpha = iter(network.mixture.alpha.detach().split([len(stage.blocks) for stage in network.stages]))
    with torch.no_grad():
        for stage, form in zip(network.stages, wanted.form["stages"], strict=True):
            if len(stage.depths) > 1:
                stage.beta_D[stage.depths.index(len(form["blocks"]))] = CERTAIN
            alpha_LO = next(alpha)
            for level, block in enumerate(form["blocks"]):
                index = [("basic", 2), ("basic", 4), ("plain", None), ("separable", None)].index(
                    (block["op"], block["width"])
                )
                alpha_LO[level, index] = CERTAIN
                fresh_affine = next(blocks).load_state_dict(
                    stage.blocks[level].candidates[index].state_dict(), strict=False
                )
                assert not fresh_affine.unexpected_keys
    x = torch.randn(4, 1, 6, 6)
    for mode in (True, False):
        assert torch.equal(network.train(mode)(x), plain.train(mode)(x))
    assert network.derive({})[0] == wanted


@pytest.mark.parametrize("name", ["mlp_inner_width", "transformer_vector"])
def test_gradients_reach_every_architecture_parameter(name):
    torch.manual_seed(0)
    space = example_space(name)
    network = darts(space)
    assert isinstance(network, Supernet)
    loss = nn.functional.cross_entropy(network(torch.randn(8, *space.input_shape)), torch.arange(8) % 3)
    gradients = torch.autograd.grad(loss, network.architecture_parameters())
    assert len(gradients) == 2
    assert all((gradient != 0).all() for gradient in gradients)


@pytest.mark.parametrize("name", ["mlp_inner_width", "transformer_vector"])
def test_derived_architectures_are_distinct_points_of_the_space(name):
    space = example_space(name)
    derived = darts(space).derive({})
    for architecture in derived:
        validate(space, architecture)
    assert len(set(derived)) == len(derived) == 3


def test_starts_at_a_thousandth_of_a_standard_normal():
    torch.manual_seed(0)
    network = darts(scaling(depth=list(range(1, 401)), ops=["double", "triple", "keep"]))
    parameters = torch.cat([parameter.flatten() for parameter in network.architecture_parameters()])
    assert parameters.std().item() == pytest.approx(1e-3, rel=0.1)
    assert abs(parameters.mean().item()) < 1e-4


def test_batch_norm_is_affine_only_where_nothing_competes():
    def affine(network):
        return {module.affine for module in network.chain.blocks.modules() if isinstance(module, nn.BatchNorm2d)}

    assert affine(darts(image_space(depth=[1, 2], width=4))) == {False}
    assert affine(darts(image_space(depth=[1, 2], width=4, ops=["basic"], block_width=2))) == {True}


def test_a_depth_that_is_given_is_not_a_parameter():
    network = darts(scaling(depth=2, ops=["double", "triple"]))
    assert [tuple(parameter.shape) for parameter in network.architecture_parameters()] == [(2, 2)]
    assert network.profile() == (0.0, 0.0, 1.0)


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (scaling(depth=[1, 2], width=[1, 2]), r"space\.width must be a single width, got \[1, 2\]"),
        (
            scaling(stages=[{"depth": 1, "width": 1}, {"depth": [1, 2], "width": [1, 2]}]),
            r"space\.stages\.1\.width must be a single width, got \[1, 2\]",
        ),
        (scaling(depth=2), "needs a depth, an operation or a block width to choose"),
        (Prior(input_shape=(1,), num_classes=1, depth=[1, 2]), "darts mixes operations and inner widths"),
        (object(), "relaxes chain spaces only, got object"),
    ],
)
def test_refuses_what_it_cannot_relax(space, message):
    with pytest.raises(InvalidInput, match=message):
        make_relaxation({"name": "darts"}).check(space)
