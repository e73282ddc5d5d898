"""What every search space promises, checked on small examples of each family."""

import copy
import itertools
import json
import re

import numpy as np
import pytest
import torch

from search_spaces import SPACES, Architecture, Option, SearchSpace
from search_spaces.architecture import canonical_json
from search_spaces.compose import crossover, enumerate_space, mutate, sample, size, trace, validate
from search_spaces.flops import count_flops, inference_flops, level_flops
from search_spaces.values import dump, load
from tests.search_spaces.examples import CHAINS, EXAMPLES, example_space

NUM_SAMPLES = 8
NUM_MUTATIONS = 40


@pytest.fixture(params=list(EXAMPLES))
def space(request) -> SearchSpace:
    return example_space(request.param)


@pytest.fixture(params=list(CHAINS))
def chain_space(request) -> SearchSpace:
    return example_space(request.param)


def samples(space: SearchSpace, number: int = NUM_SAMPLES) -> list[Architecture]:
    return [sample(space, np.random.default_rng(seed)) for seed in range(number)]


def batch(space: SearchSpace, size: int = 4) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    if num_tokens := getattr(space, "num_tokens", 0):
        return torch.randint(num_tokens, (size, *space.input_shape), generator=generator)
    return torch.randn(size, *space.input_shape, generator=generator)


def all_logits(network: torch.nn.Module, x_B: torch.Tensor) -> list[torch.Tensor]:
    """Those of every exit that is trained."""
    return network.exit_logits(x_B) if hasattr(network, "exit_logits") else [network(x_B)]


def is_constant(architecture: Architecture) -> bool:
    """Whether the network's blocks give zeros whatever the input: a cell without a way to its output."""
    ops = [block["op"] for stage in architecture.form.get("stages", []) for block in stage["blocks"]]
    return any(set(re.findall(r"([a-z_0-9]+)~", op)) == {"none"} for op in ops)


def test_every_family_that_can_be_built_has_an_example():
    """A table, which cannot, has a suite of its own: `test_tabular.py`."""
    assert {example["options"]["family"] for example in EXAMPLES.values()} == set(SPACES) - {"tabular"}


def test_samples_are_valid_reproducible_and_varied(space):
    first = samples(space)
    for one, again in zip(first, samples(space), strict=True):
        validate(space, one)
        assert (one.id, one.decisions) == (again.id, again.decisions)
    assert len(set(first)) > 1


def test_mutation_changes_exactly_one_shared_decision(space):
    parent = samples(space, 1)[0]
    children = [mutate(space, parent, np.random.default_rng(seed)) for seed in range(NUM_MUTATIONS)]
    for child in children:
        validate(space, child)
        shared = parent.decisions.keys() & child.decisions.keys()
        assert sum(parent.decisions[name] != child.decisions[name] for name in shared) == 1
    assert len({canonical_json(child.decisions) for child in children}) > 1


def test_crossover_inherits_every_decision_that_a_parent_has(space):
    parents = samples(space)
    for seed, (one, other) in enumerate(itertools.pairwise(parents)):
        child = crossover(space, one, other, np.random.default_rng(seed))
        validate(space, child)
        for name, answer in child.decisions.items():
            inherited = [parent.decisions[name] for parent in (one, other) if name in parent.decisions]
            assert answer in inherited or not inherited


def test_enumeration_visits_every_point_once(space):
    points = [canonical_json(one.decisions) for one in enumerate_space(space)]
    assert len(set(points)) == len(points)
    assert size(space).exact
    assert size(space).points == len(points)
    assert {canonical_json(one.decisions) for one in samples(space)} <= set(points)


def test_architectures_survive_json(space):
    for one in samples(space):
        loaded = load(Architecture, json.loads(json.dumps(dump(one))))
        assert loaded.id == one.id
        assert loaded.depth == one.depth
        assert list(loaded.decisions.items()) == list(one.decisions.items())
        space.build(loaded)


def test_absent_blocks_are_never_asked_for(space):
    for one in samples(space, 20):
        named = {match[0] for name in one.decisions if (match := re.match(r"(stage\d+\.)?block\d+", name))}
        assert len(named) <= one.depth
        levels = [int(name.rpartition("block")[2]) for name in named]
        assert all(level <= one.depth for level in levels)


def test_single_options_are_not_decisions(space):
    def last(name: str, options: tuple[Option, ...], /) -> Option:
        return options[-1]

    _, asked = trace(space, last)
    assert asked
    assert all(len(decision.options) > 1 for decision in asked)
    assert all(len(set(decision.options)) == len(decision.options) for decision in asked)


@pytest.mark.parametrize("training", [True, False])
def test_networks_map_a_batch_to_finite_logits(space, training):
    for one in samples(space):
        torch.manual_seed(0)
        y_BK = space.build(one).train(training)(batch(space))
        positions = space.input_shape if getattr(space, "num_tokens", 0) else ()
        assert y_BK.shape == (4, *positions, space.num_classes)
        assert torch.isfinite(y_BK).all()


def test_the_seed_of_torch_decides_the_weights(space):
    one = samples(space, 1)[0]
    states = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        states.append(torch.cat([weight.flatten() for weight in space.build(one).parameters()]))
    assert torch.equal(states[0], states[1])
    assert not torch.equal(states[0], states[2])


def test_hidden_states_are_the_levels_that_forward_goes_through(chain_space):
    x_B = batch(chain_space)
    for one in samples(chain_space):
        network = chain_space.build(one).eval()
        states = network.hidden_states(x_B)
        assert len(states) == one.depth + 1
        assert torch.equal(network.head(states[-1]), network(x_B))


def test_level_flops_add_up_to_what_the_real_forward_costs(chain_space):
    for one in samples(chain_space):
        network = chain_space.build(one)
        before = copy.deepcopy(network.state_dict())
        levels = level_flops(network, chain_space.input_shape)
        assert len(levels) == one.depth + 2
        assert sum(levels) == inference_flops(network, chain_space.input_shape)
        assert network.training
        assert all(torch.equal(before[name], weight) for name, weight in network.state_dict().items())
        network.eval()
        assert sum(levels) == count_flops(lambda network=network: network(batch(chain_space, 1))) > 0


def test_the_gradient_reaches_every_parameter(chain_space):
    space = chain_space
    for one in samples(space):
        torch.manual_seed(0)
        network = space.build(one)
        torch.stack(
            [(y_BK * torch.randn(y_BK.shape)).sum() for y_BK in all_logits(network, batch(space))]
        ).sum().backward()
        for name, weight in network.named_parameters():
            assert weight.grad is not None, name
            assert is_constant(one) or weight.grad.abs().max() > 0, name


def test_networks_can_be_copied_saved_and_loaded(space):
    x_B = batch(space)
    for one in samples(space, 3):
        network = space.build(one)
        network(x_B)  # moves the running statistics, which are part of the state
        network.eval()
        fresh = space.build(one).eval()
        fresh.load_state_dict(network.state_dict())
        assert torch.equal(fresh(x_B), network(x_B))
        assert torch.equal(copy.deepcopy(network)(x_B), network(x_B))
