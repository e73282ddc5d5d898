"""What keeps DARTS from skipping, and how it chooses when not by weight: on chains that can be worked out by hand."""

import itertools

import pytest
import torch
from torch import nn

from search_spaces import make_space
from search_spaces.errors import InvalidInput
from search_spaces.readings import LEVEL_LOSS, REMOVAL_ACCURACY, REMOVAL_LOSS
from search_spaces.relaxations import Supernet, make_relaxation
from search_spaces.relaxations.relaxation import Annealed, Concluding, Penalized, Probed, Skipping
from tests.search_spaces.scaling import Scaling, Times, scaling
from tests.search_spaces.test_darts import darts, set_probabilities

X = torch.ones(1, 1)


class Passing(Scaling):
    """`keep` is an identity."""

    def make_block(self, block):
        return nn.Identity() if block.op == "keep" else super().make_block(block)


def passing(**fields):
    return Passing(input_shape=(1,), num_classes=1, **fields)


def cells(**fields):
    options = {"family": "cell", "width": 2, "depth": [1, 2], "ops": ["nor_conv_1x1", "skip_connect"], **fields}
    return make_space(options, input_shape=(1, 4, 4), num_classes=3)


def test_offers_every_optional_protocol():
    network = darts(scaling(depth=[1, 2]))
    for protocol in (Supernet, Annealed, Penalized, Probed, Skipping, Concluding):
        assert isinstance(network, protocol)


def test_probes_every_level_and_every_removal_in_one_pass():
    network = darts(scaling(depth=[0, 1, 3], ops=["double"])).eval()
    (stage,) = network.stages
    set_probabilities(stage.beta_D, [0.2, 0.3, 0.5])
    probe = network.probe(X)
    # Levels are 1, 2, 4 and 8: 0.2 + 0.3 * 2 + 0.5 * 8 = 4.8.
    assert probe.logits.item() == pytest.approx(4.8) == network(X).item()
    assert [level.item() for level in probe.levels] == [1, 2, 4, 8]
    removals = [(0.3 * 2 + 0.5 * 8) / 0.8, (0.2 + 0.5 * 8) / 0.7, 4.8, (0.2 + 0.3 * 2) / 0.5]
    assert [removal.item() for removal in probe.removals] == pytest.approx(removals)
    assert [size.item() for size in probe.sizes] == [1, 4, 16, 64]


def test_independent_weights_are_not_shared_out_when_a_level_goes():
    network = darts(scaling(depth=[0, 1], ops=["double"]), weights="sigmoid").eval()
    with torch.no_grad():
        network.stages[0].beta_D.zero_()
    probe = network.probe(X)
    assert probe.logits.item() == 1.5  # 1 / 2 + 2 / 2
    assert [removal.item() for removal in probe.removals] == [1.0, 0.5]


def test_without_the_only_level_nothing_is_left():
    probe = darts(scaling(depth=2, ops=["double", "triple"])).eval().probe(X)
    assert [removal.item() for removal in probe.removals] == [probe.logits.item()] * 2 + [0.0]


def test_several_stages_have_no_readings():
    network = darts(scaling(stages=[{"depth": [1, 2], "width": 1}] * 2)).eval()
    probe = network.probe(X)
    assert probe.logits.item() == network(X).item()
    assert [list(part) for part in (probe.levels, probe.removals, probe.sizes)] == [[], [], []]


def test_dropout_falls_on_shallow_exits_and_not_on_the_deepest():
    torch.manual_seed(0)
    rate, num_draws = 0.75, 4000
    network = darts(scaling(depth=[0, 1, 2], ops=["double"]), skip_dropout=rate)
    set_probabilities(network.stages[0].beta_D, [0.25, 0.25, 0.5])
    x = torch.ones(num_draws, 1)
    values = {0.5 * 4 + a * 0.25 * 1 / (1 - rate) + b * 0.25 * 2 / (1 - rate) for a in (0, 1) for b in (0, 1)}
    drawn = network(x)
    assert set(drawn.flatten().tolist()) == values
    assert drawn.mean().item() == pytest.approx(2 + 0.25 + 0.5, abs=0.1), "what is left is scaled up"
    assert network.eval()(x).unique().tolist() == [2.75]
    network.train().anneal(1 - 1e-9)
    assert network(x).unique().tolist() == pytest.approx([2.75])


def test_dropout_falls_on_identities():
    torch.manual_seed(0)
    network = darts(passing(depth=1, ops=["double", "keep"]), skip_dropout=0.5)
    set_probabilities(network.mixture.alpha, [[0.5, 0.5]])
    assert network(torch.ones(200, 1)).unique().tolist() == [1.0, 2.0]  # 0.5 * 2, and 0.5 * 1 / (1 - 0.5) or nothing


def test_dropout_falls_on_the_skips_of_cells():
    torch.manual_seed(0)
    network = darts(cells(ops=["none", "skip_connect"], depth=1), skip_dropout=0.5)
    with torch.no_grad():
        network.mixture.alpha.copy_(torch.tensor([-100.0, 100.0]))
    h = torch.ones(1, 2, 4, 4)
    (block,) = network.chain.blocks
    (weights,) = network.mixture.weights()
    assert len(block(h, weights).unique()) > 1
    assert block.eval()(h, weights).unique().tolist() == [4.0]  # nodes 1, 1 + 1, 1 + 1 + 2


def test_auxiliary_path_of_depths_is_the_mean_of_all_exits():
    network = darts(scaling(depth=[0, 1, 2], ops=["double"]), auxiliary_skip=0.6)
    set_probabilities(network.stages[0].beta_D, [0.25, 0.25, 0.5])
    assert network(X).item() == pytest.approx(2.75 + 0.6 * (1 + 2 + 4) / 3)
    network.anneal(0.5)
    assert network(X).item() == pytest.approx(2.75 + 0.3 * (1 + 2 + 4) / 3)


def test_auxiliary_path_of_blocks_is_their_input():
    network = darts(scaling(depth=2, ops=["double", "triple"]), auxiliary_skip=1.0)
    set_probabilities(network.mixture.alpha, [[0.5, 0.5], [1.0, 0.0]])
    assert network(X).item() == pytest.approx((2.5 + 1) * (2 + 1))


def test_auxiliary_path_of_cells_lies_beside_every_edge():
    network = darts(cells(ops=["none", "skip_connect"], depth=1), auxiliary_skip=1.0)
    with torch.no_grad():
        network.mixture.alpha.zero_()
    h = torch.ones(1, 2, 4, 4)
    (block,) = network.chain.blocks
    # Every edge multiplies by 1/2 + 1: nodes 3/2, 3/2 + 9/4, 3/2 + 9/4 + 3/2 (15/4).
    assert torch.allclose(block(h, network.mixture.weights()[0]), torch.full_like(h, 1.5 + 2.25 + 1.5 * 3.75))


def test_counts_what_is_skipped():
    network = darts(passing(depth=[1, 2, 4], ops=["double", "keep"]))
    set_probabilities(network.stages[0].beta_D, [0.2, 0.5, 0.3])
    set_probabilities(network.mixture.alpha, [[0.4, 0.6], [0.6, 0.4], [0.4, 0.6], [0.4, 0.6]])
    assert network.num_skips() == 2 + 1  # blocks 3 and 4 are left out, block 1 is an identity
    assert network.ranking() == [[0, 1], [1, 0], [0, 1], [0, 1], [0, 2, 1]]


def test_counts_the_skipping_edges_of_a_cell_once():
    network = darts(cells(depth=[1, 3]))
    with torch.no_grad():
        network.stages[0].beta_D.copy_(torch.tensor([0.0, 1.0]))
        network.mixture.alpha.copy_(torch.tensor([[0.0, 1.0]] * 2 + [[1.0, 0.0]] * 4))
    assert network.num_skips() == 2


READINGS = {
    REMOVAL_ACCURACY: (0.9, 0.7, 0.8, 0.7),
    REMOVAL_LOSS: (0.1, 0.5, 0.3, 0.6),
    LEVEL_LOSS: (2.0, 0.5, 0.3, 0.4),
}


@pytest.mark.parametrize(
    ("select", "ranked"), [("removal", [3, 1, 2]), ("level_loss", [2, 3, 1]), ("weights", [1, 2, 3])]
)
def test_ranks_depths_by_what_it_is_told_to(select, ranked):
    network = darts(scaling(depth=[1, 2, 3]), select=select)
    set_probabilities(network.stages[0].beta_D, [0.5, 0.3, 0.2])
    assert [one.depth for one in network.derive(READINGS)] == ranked


class Shifted(nn.Module):
    def __init__(self, shift):
        super().__init__()
        self.shift = shift

    def forward(self, h):
        return torch.tanh(h + self.shift)


class Toy(Scaling):
    """Blocks that are neither linear nor alike."""

    def make_block(self, block):
        return {"double": Times(2.0), "triple": Shifted(-1.0), "keep": Shifted(0.5)}[block.op]


def brute_force(network, score):
    """DARTS-PT on the mixture's weights written out: row by row, the candidate whose removal scores worst."""
    weights_RO = network.mixture.alpha.softmax(1).detach()
    kept = weights_RO.clone()
    for row in range(len(kept)):
        scores = []
        for candidate in range(kept.shape[1]):
            without = kept.clone()
            without[row, candidate] = 0
            scores.append(score(without / without.sum(1, keepdim=True)))
        best = scores.index(min(scores))
        kept[row] = 0
        kept[row, best] = 1
    return kept.argmax(1).tolist()


@pytest.mark.parametrize("seed", range(5))
def test_selects_operations_as_a_brute_force_by_removal_does(seed):
    torch.manual_seed(seed)
    ops = ["double", "triple", "keep"]
    network = darts(Toy(input_shape=(1,), num_classes=1, depth=3, ops=ops), select="removal").double().eval()
    with torch.no_grad():
        network.mixture.alpha.copy_(torch.randn(3, 3))
    x, target = torch.randn(20, 1, dtype=torch.float64), torch.randn(20, 1, dtype=torch.float64)

    def written_out(weights_RO):
        h = x
        for row in weights_RO:
            h = row[0] * 2 * h + row[1] * torch.tanh(h - 1) + row[2] * torch.tanh(h + 0.5)
        return 0.5, -(h - target).square().mean().item()

    calls = itertools.count()

    def score():
        next(calls)
        return 0.5, -(network(x) - target).square().mean().item()

    expected = brute_force(network, written_out)
    assert network.num_scores() == 9
    network.conclude(score)
    assert next(calls) == 9
    readings = {REMOVAL_ACCURACY: (0.5,) * 4, REMOVAL_LOSS: (0.0,) * 4}
    (derived,) = network.derive(readings)
    assert list(derived.decisions.values()) == [ops[o] for o in expected]


def test_selects_the_depths_of_stages_by_removal():
    stages = [{"depth": [0, 1], "width": 1}, {"depth": [1, 2], "width": 1}]
    network = darts(scaling(stages=stages, ops=["double"]), select="removal").eval()
    set_probabilities(network.stages[0].beta_D, [0.5, 0.5])
    set_probabilities(network.stages[1].beta_D, [0.2, 0.8])
    assert network.num_scores() == 4
    # The mixture is 1.5 * 3.6. Without an exit: 2 * 3.6, 1 * 3.6, 1.5 * 4, 1.5 * 2. Closer to 5 is better.
    network.conclude(lambda: (0.5, -abs(network(X).item() - 5)))
    # Hurt by 2.2 and 1.4 in the first stage, 1 and 2 in the second.
    depths = [tuple(one.decisions.values()) for one in network.derive({})]
    assert depths == [(0, 2), (1, 2), (0, 1), (1, 1)]  # 4.2, 3.4, 3.2, 2.4
    assert network(X).item() == pytest.approx(5.4), "nothing stays removed"


def test_accuracy_decides_before_the_loss():
    network = darts(scaling(depth=1, ops=["double", "triple"]), select="removal")
    scores = iter([(0.6, -9.0), (0.5, -1.0)])
    network.conclude(lambda: next(scores))
    (derived,) = network.derive({REMOVAL_ACCURACY: (0.0, 0.0), REMOVAL_LOSS: (0.0, 0.0)})
    assert dict(derived.decisions) == {"block1.op": "triple"}


@pytest.mark.parametrize("select", ["weights", "level_loss"])
def test_other_selections_score_nothing(select):
    network = darts(scaling(depth=[1, 2], ops=["double", "triple"]), select=select)
    assert network.num_scores() == 0
    network.conclude(pytest.fail)


@pytest.mark.parametrize(
    ("fields", "field", "message"),
    [
        ({"hard": True}, "hard", "needs weights: gumbel, got softmax"),
        ({"tau_start": 1.0, "tau_end": 2.0}, "tau_end", "must be at most tau_start 1.0, got 2.0"),
        ({"select": "level_loss"}, "select", "level_loss needs one stage, got 2"),
    ],
)
def test_refuses_options_that_contradict(fields, field, message):
    space = scaling(stages=[{"depth": [1, 2], "width": 1}] * 2)
    with pytest.raises(InvalidInput, match=message) as caught:
        make_relaxation({"name": "darts", **fields}).check(space)
    assert caught.value.field == field
