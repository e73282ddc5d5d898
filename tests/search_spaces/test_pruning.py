"""Pruning by hand: which weights go, what is left, and where a round starts."""

import copy

import pytest
import torch
from torch import nn

from search_spaces import make_space
from search_spaces.chain import Chain
from search_spaces.errors import InvalidInput
from search_spaces.flops import level_flops
from search_spaces.pruning import density, effective_flops, load_under_masks, mask_layers, prune_smallest, unmasked
from search_spaces.relaxations import Supernet, make_relaxation
from search_spaces.relaxations.relaxation import HasObjective, Heir
from tests.search_spaces.examples import CHAINS, example_space

MLP = make_space({"family": "mlp", "depth": [1, 2], "width": 4}, input_shape=(2,), num_classes=3)
CUT = {"rate": 0.5, "output_rate": 0.0, "scope": "layer"}


def linear(*rows: list[float]) -> nn.Linear:
    layer = nn.Linear(len(rows[0]), len(rows))
    layer.weight.data = torch.tensor(rows)
    return layer


def masked_chain() -> Chain:
    """Two inputs, one hidden layer of two, two outputs."""
    chain = Chain(linear([1.0, -8.0], [3.0, -2.0]), [linear([0.1, -0.4], [0.3, 0.2])], linear([5.0, -7.0], [6.0, -4.0]))
    mask_layers(chain)
    return chain


def weights(chain: Chain) -> list[list[float]]:
    return [part.weight.flatten().tolist() for part in chain.parts()]


def test_every_layer_loses_its_smallest_and_the_last_its_own_share():
    chain = masked_chain()
    prune_smallest(chain, rate=0.5, output_rate=0.25, scope="layer")
    assert weights(chain) == [[0, -8, 3, 0], pytest.approx([0, -0.4, 0.3, 0]), [5, -7, 6, 0]]


def test_a_second_round_cuts_a_share_of_what_is_left():
    chain = masked_chain()
    for _ in range(2):
        prune_smallest(chain, rate=0.5, output_rate=0.25, scope="layer")
    # half of two is one; a quarter of three, 0.75, is one as well
    assert weights(chain) == [[0, -8, 0, 0], pytest.approx([0, -0.4, 0, 0]), [0, -7, 6, 0]]
    assert density(chain) == (1 + 1 + 2) / 12


def test_weights_of_all_layers_but_the_last_compete_in_the_global_scope():
    chain = masked_chain()
    prune_smallest(chain, rate=0.5, output_rate=0.0, scope="global")
    assert weights(chain) == [[1, -8, 3, -2], [0, 0, 0, 0], [5, -7, 6, -4]]


def test_effective_flops_by_hand():
    chain = masked_chain()
    prune_smallest(chain, rate=0.5, output_rate=0.25, scope="layer")
    assert level_flops(chain, (2,)) == (8, 8, 8)
    assert effective_flops(chain, (2,)) == (4, 4, 6)


@pytest.mark.parametrize("name", CHAINS)
def test_masks_of_ones_change_nothing(name):
    space = example_space(name)
    torch.manual_seed(0)
    network = make_relaxation({"name": "pruned"}).supernet(space).eval()
    dense = space.build(network.architecture).eval()
    dense.load_state_dict(unmasked(network.chain.state_dict()))
    tokens = getattr(space, "num_tokens", 0)
    x = torch.randint(tokens, (4, *space.input_shape)) if tokens else torch.randn(4, *space.input_shape)
    torch.testing.assert_close(network(x), dense(x))
    assert density(network.chain) == 1
    dense_flops = level_flops(dense, space.input_shape)
    assert level_flops(network.chain, space.input_shape) == dense_flops
    assert effective_flops(network.chain, space.input_shape) == dense_flops
    assert network.profile() == (*dense_flops[:-2], dense_flops[-2] + dense_flops[-1])


@pytest.mark.parametrize("name", [name for name in CHAINS if "transformer" not in name])
def test_effective_flops_are_those_of_the_weights_that_are_left(name):
    """All FLOPs of these families are those of weights, each of which is used as often as any other of its layer."""
    space = example_space(name)
    torch.manual_seed(0)
    chain = make_relaxation({"name": "pruned"}).supernet(space).chain
    prune_smallest(chain, rate=0.3, output_rate=0.6, scope="global")
    layers = [layer for layer in chain.modules() if isinstance(layer, (nn.Linear, nn.Conv2d))]
    uses = {}
    for layer in layers:  # positions at which a weight is used, over all its calls
        layer.register_forward_hook(
            lambda layer, _, y: uses.__setitem__(
                layer, uses.get(layer, 0) + (y[0, 0].numel() if isinstance(layer, nn.Conv2d) else 1)
            )
        )
    chain.eval()(torch.randn(1, *space.input_shape))
    expected = sum(2 * uses[layer] * int(layer.weight.count_nonzero()) for layer in layers if layer in uses)
    assert sum(effective_flops(chain, space.input_shape)) == pytest.approx(expected)


def test_what_is_cut_out_is_not_trained():
    torch.manual_seed(0)
    network = make_relaxation({"name": "pruned"}).supernet(MLP)
    network.inherit(network.state_dict(), **CUT)
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.1)
    cut = [layer.weight == 0 for layer in network.chain.modules() if isinstance(layer, nn.Linear)]
    assert [int(zeros.sum()) for zeros in cut] == [4, 8, 8, 0]
    for _ in range(3):
        network(torch.randn(8, 2)).square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    after = [layer.weight for layer in network.chain.modules() if isinstance(layer, nn.Linear)]
    assert [int((weight == 0).sum()) for weight in after] == [4, 8, 8, 0]
    assert all((weight[zeros] == 0).all() for weight, zeros in zip(after, cut, strict=True))


def rounds(start):
    """The first round with its initial weights, the same after a training, and a second round that inherits it."""
    torch.manual_seed(0)
    options = {"name": "pruned", "start": start}
    first, second = (make_relaxation(options).supernet(MLP) for _ in range(2))
    initial = copy.deepcopy(first.chain)
    with torch.no_grad():
        for parameter in first.parameters():
            parameter.add_(torch.randn_like(parameter))
    fresh = copy.deepcopy(second.chain)
    second.inherit(first.state_dict(), **CUT)
    sources = {"initial": initial, "trained": first.chain, "random": fresh}
    return first, second, sources[start]


@pytest.mark.parametrize("start", ["initial", "trained", "random"])
def test_a_round_cuts_by_what_was_trained_and_starts_as_it_is_told(start):
    first, second, source = rounds(start)
    trained, left, started = (
        [layer for layer in chain.modules() if isinstance(layer, nn.Linear)]
        for chain in (first.chain, second.chain, source)
    )
    for old, new, origin in zip(trained[:-1], left[:-1], started[:-1], strict=True):
        smallest = old.weight.abs() < old.weight.abs().flatten().sort().values[old.weight.numel() // 2]
        assert torch.equal(new.weight, origin.weight.masked_fill(smallest, 0))
        assert torch.equal(new.bias, origin.bias)
    assert torch.equal(left[-1].weight, started[-1].weight)


def test_a_third_round_goes_back_as_far_as_the_second():
    _, second, initial = rounds("initial")
    third = make_relaxation({"name": "pruned"}).supernet(MLP)
    third.inherit(second.state_dict(), **CUT)
    left = [layer.weight for layer in third.chain.modules() if isinstance(layer, nn.Linear)]
    origin = [layer.weight for layer in initial.modules() if isinstance(layer, nn.Linear)]
    assert [int(weight.count_nonzero()) for weight in left] == [8 // 4, 16 // 4, 16 // 4, 12]
    assert all((weight == start)[weight != 0].all() for weight, start in zip(left, origin, strict=True))


def test_only_one_network_counts_as_parameters():
    for start in ("initial", "trained"):
        network = make_relaxation({"name": "pruned", "start": start}).supernet(MLP)
        # two inputs, two hidden layers behind a stem of four, three classes
        assert sum(weight.numel() for weight in network.parameters()) == 2 * 4 + 4 + 2 * (4 * 4 + 4) + 4 * 3 + 3
        assert isinstance(network, Supernet)
        assert isinstance(network, Heir)
        assert not isinstance(network, HasObjective)


def test_weights_without_masks_are_those_with_zeros():
    first, second, _ = rounds("trained")
    plain = MLP.build(second.architecture)
    plain.load_state_dict(unmasked(second.chain.state_dict()))
    x = torch.randn(5, 2)
    torch.testing.assert_close(plain(x), second(x))
    load_under_masks(second.chain, unmasked(first.chain.state_dict()))
    assert density(second.chain) == (4 + 8 + 8 + 12) / 52


def test_the_architecture_is_one_of_a_chain_space():
    network = make_relaxation({"name": "pruned", "architecture": {"depth": 1}}).supernet(MLP)
    assert [one.depth for one in network.derive({})] == [1]
    assert make_relaxation({"name": "pruned"}).supernet(MLP).architecture.depth == 2
    with pytest.raises(InvalidInput, match=r"^architecture: depth must be one of \[1, 2\], got 7"):
        make_relaxation({"name": "pruned", "architecture": {"depth": 7}}).check(MLP)
    with pytest.raises(InvalidInput, match="pruning needs a chain space, got str"):
        make_relaxation({"name": "pruned"}).check("no space")
