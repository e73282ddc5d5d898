"""Settings of dynamic networks, and their operating points: by hand, and against the network that really leaves out."""

import json
from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from search_spaces import make_space
from search_spaces.compose import answer
from search_spaces.dynamic.dynamic import Dynamic
from search_spaces.dynamic.gates import OPEN, RecurrentGates
from search_spaces.dynamic.skipping_settings import THRESHOLDS
from search_spaces.flops import count_flops
from search_spaces.operating_points import MeasuredPoint, Setting
from search_spaces.relaxations import make_relaxation
from search_spaces.relaxations.policed_network import PolicedNetwork
from search_spaces.values import dump, load

MLP = {"family": "mlp", "depth": [1, 3], "width": 8, "ops": ["residual"]}
IMAGES = {"family": "resnet", "depth": [1, 3], "width": 4}
BATCH = 37


def architecture(chain, input_shape, mechanism, **decisions):
    space = make_space(
        {"family": "dynamic", "chain": chain, "gates": {"gate": ["recurrent", "ff1"]} if chain is IMAGES else {}},
        input_shape=input_shape,
        num_classes=3,
    )
    return space.build(answer(space, {"depth": 3, "mechanism": mechanism, **decisions}, partial=True))


def supernet(chain, input_shape, name, **options):
    space = make_space(chain, input_shape=input_shape, num_classes=3)
    return make_relaxation({"name": name, **options}).supernet(space)


NETWORKS = {
    "exits": lambda: architecture(MLP, (5,), "exits"),
    "exits of images": lambda: architecture(IMAGES, (1, 8, 8), "exits", **{"exits.spacing": 2}),
    "gates": lambda: architecture(MLP, (5,), "gates"),
    "gates of images": lambda: architecture(IMAGES, (1, 8, 8), "gates", **{"gates.gate": "ff1"}),
    "policy": lambda: architecture(MLP, (5,), "policy"),
    "policy of images": lambda: architecture(IMAGES, (1, 8, 8), "policy"),
    "tied exits": lambda: supernet({**MLP, "tied": True}, (5,), "multi_exit"),
    "tied gates": lambda: supernet({**MLP, "tied": True}, (5,), "skipnet"),
    "tied policy": lambda: supernet({**MLP, "tied": True}, (5,), "blockdrop"),
}
ALL = pytest.mark.parametrize("name", NETWORKS)


def make(name):
    """A network in float64 whose inputs go different ways, and inputs."""
    torch.manual_seed(0)
    network = NETWORKS[name]().double()
    assert isinstance(network, Dynamic)
    with torch.no_grad():
        if isinstance(getattr(network, "gates", None), RecurrentGates):
            network.gates.score.bias.sub_(OPEN)
        if isinstance(network, PolicedNetwork):  # whose head says the same of all inputs
            for parameter in network.policy[1].head.parameters():
                torch.nn.init.normal_(parameter)
        deciding = getattr(network, "gates", getattr(network, "policy", network))
        for parameter in deciding.parameters():
            parameter.mul_(3)
    x_B = torch.randn(BATCH, *network.space.input_shape, dtype=torch.float64)
    network.train()
    for _ in range(30):
        network(x_B)  # moves the running statistics
    return network.eval(), x_B, torch.arange(BATCH) % 3


def observe(network, x_B):
    with torch.no_grad():
        return [network.observe(number, x_B) for number in range(network.num_observations())]


def beside(settings):
    """The same settings, but no input stands right on a threshold, where rounding decides."""
    return [
        replace(one, thresholds=tuple(None if value is None else value - 1e-9 for value in one.thresholds))
        if "threshold" not in one.label
        else one
        for one in settings
    ]


@ALL
def test_a_point_is_what_the_network_does_that_computes_no_more(name):
    network, x_B, y_B = make(name)
    observed = observe(network, x_B)
    settings = beside(network.settings(observed))
    points = [network.operating_point(setting, observed, y_B) for setting in settings]
    with torch.no_grad():
        for setting, point in zip(settings, points, strict=True):
            y_BK = network.run_at(setting, x_B)
            assert point.accuracy == (y_BK.argmax(dim=1) == y_B).double().mean().item()
            flops = count_flops(lambda setting=setting: network.run_at(setting, x_B))
            assert point.mean_flops * BATCH == pytest.approx(flops, rel=1e-12)
    assert len({point.mean_flops for point in points}) > 2
    assert len({setting.label for setting in settings}) == len(settings)


@ALL
def test_points_of_other_data_are_those_of_the_same_thresholds(name):
    network, x_B, _ = make(name)
    settings = beside(network.settings(observe(network, x_B)))
    other_B, y_B = x_B.flip(0)[:11] + 0.1, torch.arange(11) % 3
    observed = observe(network, other_B)
    with torch.no_grad():
        for setting in settings:
            y_BK = network.run_at(setting, other_B)
            point = network.operating_point(setting, observed, y_B)
            assert point.accuracy == (y_BK.argmax(dim=1) == y_B).double().mean().item()


@ALL
def test_settings_and_points_survive_json(name):
    network, x_B, y_B = make(name)
    observed = observe(network, x_B)
    for setting in network.settings(observed):
        point = network.operating_point(setting, observed, y_B)
        one = MeasuredPoint(model="own", split="test", setting=setting, point=point, latency_ms_batch1=0.5)
        assert load(MeasuredPoint, json.loads(json.dumps(dump(one), allow_nan=False))) == one


def sure(probability, answer):
    """Logits of three classes, one of which has this probability and the others share the rest."""
    logits = torch.full((3,), (1 - probability) / 2, dtype=torch.float64)
    logits[answer] = probability
    return logits.log()


def test_exits_by_hand():
    """Eight inputs of class 0. The first exit is the surer the lower the number, and right about the first six.

    Width 8, inputs of 5: a stem of 80, blocks of 256 and heads of 48.
    """
    network = architecture(MLP, (5,), "exits", **{"exits.spacing": 2})  # at 1 and 3
    first = [sure(0.95 - 0.05 * number, 0 if number < 6 else 1) for number in range(8)]
    y_BEK = torch.stack([torch.stack([one, sure(0.9, 0)]) for one in first])
    observed = [(y_BEK,)]
    settings = {setting.label: setting for setting in network.settings(observed)}
    # A share p / (p + p^2) = 1 / (1 + p) of eight leaves first: for p = 1/8 to 15/8 that is 7, 6, 5, 5, 4, 4, 4, 4, 3,
    # 3, 3, 3, 3, 2, 2. The threshold is the confidence of the last of them; of equal ones, the first p has its name.
    assert list(settings) == ["p=0.125", "p=0.25", "p=0.375", "p=0.625", "p=1.125", "p=1.75", "last exit"]
    assert settings["p=0.625"].thresholds == pytest.approx((0.8,))
    assert settings["p=0.125"].thresholds == pytest.approx((0.65,))
    assert settings["last exit"].thresholds == (None,)
    early, late = 80 + 256 + 48, 80 + 3 * 256 + 2 * 48
    y_B = torch.zeros(8, dtype=torch.int64)
    for label, leaving, right in (("p=0.625", 4, 8), ("p=0.125", 7, 7), ("last exit", 0, 8)):
        point = network.operating_point(settings[label], observed, y_B)
        assert point.shares == (leaving / 8, 1 - leaving / 8)
        assert point.mean_flops == (leaving * early + (8 - leaving) * late) / 8
        assert point.accuracy == right / 8
    costs = [network.operating_point(one, observed, y_B).mean_flops for one in settings.values()]
    assert all(cheap < dear for cheap, dear in pairwise(costs))


def test_gates_by_hand():
    """Three blocks that say scores of 1, 0 and -3 to every input: probabilities 0.73, 0.5 and 0.047."""
    network = architecture(MLP, (5,), "gates")

    class Constant(torch.nn.Module):
        def forward(self, place, h_B, memory):
            return h_B.new_tensor([1.0, 0.0, -3.0])[place].expand(len(h_B)), None

    network.gates = Constant()
    observed = observe(network.eval(), torch.randn(4, 5))
    executed = {0.9: (0, 0, 0), 0.7: (1, 0, 0), 0.5: (1, 1, 0), 0.3: (1, 1, 0), 0.1: (1, 1, 0)}
    for setting in network.settings(observed):
        (threshold,) = setting.thresholds
        point = network.operating_point(setting, observed, torch.zeros(4))
        assert point.shares == executed[threshold]
        assert point.mean_flops == 80 + 256 * sum(executed[threshold]) + 48


def test_the_threshold_of_one_half_is_the_policy_that_is_validated():
    network, x_B, _ = make("gates")
    y_BK, _ = observe(network, x_B)[THRESHOLDS.index(0.5)]
    assert torch.equal(y_BK, network(x_B))


def test_gates_are_paid_by_every_input():
    """Width 8: the gates map 8 to 10, then 10 + 10 to the four gates of the LSTM, then 10 to 1."""
    network = architecture(MLP, (5,), "gates").eval()
    with torch.no_grad():
        network.gates.score.weight.zero_()
        network.gates.score.bias.fill_(-9.0)  # nobody executes anything
    point = network.operating_point(
        Setting(label="threshold 0.5", thresholds=(0.5,)), observe(network, torch.randn(4, 5)), torch.zeros(4)
    )
    assert point.mean_flops == 80 + 48 + 3 * 2 * (8 * 10 + 4 * 10 * 20 + 10)


def test_a_block_without_a_gate_is_executed_by_all():
    space = make_space(
        {"family": "resnet", "stages": [{"depth": [1, 3], "width": 4, "stride": 2}]},
        input_shape=(1, 8, 8),
        num_classes=3,
    )
    network = make_relaxation({"name": "skipnet"}).supernet(space).eval()
    observed = observe(network, torch.randn(4, 1, 8, 8))
    point = network.operating_point(network.settings(observed)[0], observed, torch.zeros(4))
    assert len(point.shares) == 3
    assert point.shares[0] == 1.0
