"""A price is what the worker will count, to the last FLOP."""

import threading
from dataclasses import replace
from threading import Event

import numpy as np
import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from controllers.cost import ChargeKind, total
from controllers.supernets import supernet_proposal
from controllers.trial import Kind, Measurement, Proposal
from search_spaces import make_space
from search_spaces.compose import answer, enumerate_space, sample
from search_spaces.errors import TrialFailed
from search_spaces.mlp import Mlp
from search_spaces.relaxations.policed_network import PolicedNetwork
from search_spaces.relaxations.relaxation import TrainingStage
from tests.search_spaces.examples import EXAMPLES, make_example
from tests.workers.blobs import MLP, TRAINING, architecture, blobs, job, train
from workers.build import build_network
from workers.pricing import DataShape, Pricer
from workers.recipes import RECIPES

TRAIN, VALIDATION = 21, 11
"""Neither is a multiple of the batch."""


def pricer(space, input_shape, **fields):
    input_shape = tuple(input_shape)
    label_shape = input_shape if getattr(space, "num_tokens", 0) else ()
    shape = DataShape(input_shape=input_shape, label_shape=label_shape, num_train=TRAIN, num_validation=VALIDATION)
    return Pricer(space, shape, **fields)


def counted(example, proposal, training=TRAINING):
    """FLOPs of one epoch of the real trial."""
    of_task = {name: value for name, value in example.items() if name != "options"}
    task = blobs(**of_task, train_size=TRAIN, validation_size=VALIDATION)
    outcome = train(job(proposal=proposal, space=example["options"], task=task, training=training, epochs=1))
    assert isinstance(outcome, Measurement), outcome
    return total(outcome.charges).flops


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_price_of_an_architecture_is_what_is_counted(name, monkeypatch):
    """That of a policy is as if all its stages were the costliest, which they are here; below is how they differ."""
    monkeypatch.setattr(PolicedNetwork, "stages", lambda _: (TrainingStage(begins=0.0),) * 3)
    example, space = EXAMPLES[name], make_example(EXAMPLES[name])
    prices = pricer(space, example["input_shape"])
    rng = np.random.default_rng(0)
    for one in dict.fromkeys(sample(space, rng) for _ in range(4)):
        proposal = Proposal(architecture=one)
        price = prices.epoch_cost(proposal, TRAINING) + prices.conclusion_cost(proposal)
        assert (price.flops, price.epochs, price.device_us, price.trials) == (counted(example, proposal), 1, 0, 0)


@pytest.mark.parametrize("name", EXAMPLES)
def test_part_by_part_is_the_same_as_whole(name):
    space = make_example(EXAMPLES[name])
    prices = pricer(space, EXAMPLES[name]["input_shape"])
    rng = np.random.default_rng(1)
    for one in [sample(space, rng) for _ in range(8)]:
        proposal = Proposal(architecture=one)
        assert prices.epoch_cost(proposal, TRAINING).flops == prices._whole(proposal, TRAINING)


def chain(family, **fields):
    return {"input_shape": (1, 8, 8), "num_classes": 3, "options": {"family": family, "width": 4, **fields}}


CHAINS = {
    "mlp": chain("mlp", depth=[0, 2, 3]),
    "resnet": chain("resnet", depth=[1, 2]),
    "mobile": chain("mobile", depth=[1, 2]),
    "transformer": chain("transformer", depth=[1, 2], heads=2),
    "transformer_text": {**chain("transformer", depth=[1, 2], heads=2), "input_shape": (5,), "num_tokens": 3},
    "cell": chain("cell", depth=[1, 2]),
}
RELAXED = {
    "blockdrop, from scratch": {"name": "blockdrop", "plain_share": 0, "policy_share": 0},
    "first order": {"name": "darts", "order": "first"},
    "second order": {"name": "darts", "order": "second"},
    "curvature": {"name": "darts", "eigenvalue_ratio": 1.3, "weights": "gumbel", "flops_target": 0.5},
    "remedies": {"name": "darts", "weights": "sigmoid", "skip_dropout": 0.5, "auxiliary_skip": 1.0, "max_skips": 1},
    "removal": {"name": "darts", "select": "removal"},
    "halting, ponder": {"name": "halting"},
    "halting, act": {"name": "halting", "rule": "act"},
    "layer fusion": {"name": "layer_fusion"},
    "layer fusion, sparse": {
        "name": "layer_fusion",
        "mix": "sparsemax",
        "normalize_levels": True,
        "level": "validation",
    },
    "layer select": {"name": "layer_select"},
    "layer select, remedied": {
        "name": "layer_select",
        "heads": "own",
        "auxiliary_weight": 1.0,
        "flop_penalty": 0.1,
        "level": "validation",
    },
    "multi-exit": {"name": "multi_exit", "teachers": "later"},
    "byot": {"name": "byot"},
    "scan": {"name": "scan"},
    "pruned": {"name": "pruned"},
    "skipnet": {"name": "skipnet"},
    "skipnet, from scratch": {"name": "skipnet", "supervised_share": 0},
}


def supernet(options):
    return supernet_proposal(options, epochs=5)


PAIRS = [
    (method, family)
    for method, options in RELAXED.items()
    for family in CHAINS
    if options["name"] not in ("blockdrop", "halting", "skipnet") or family != "transformer_text"  # which they refuse
]


@pytest.mark.parametrize(("method", "family"), PAIRS)
def test_the_price_of_a_supernet_is_what_is_counted(family, method):
    example = CHAINS[family]
    if family == "cell" and RELAXED[method]["name"] != "darts":  # which alone learns more than a depth
        example = chain("cell", depth=[1, 2], ops=["nor_conv_1x1"])
    proposal = supernet(RELAXED[method])
    prices = pricer(make_example(example), example["input_shape"])
    price = prices.epoch_cost(proposal, TRAINING) + prices.conclusion_cost(proposal)
    assert price.flops == counted(example, proposal)


@pytest.mark.parametrize(
    ("options", "joining"), [({}, 8), ({"unlabelled": 0.25}, 2), ({"unlabelled": 5}, 9), ({"distillation": 0}, 0)]
)
def test_the_price_of_inputs_without_a_label_is_what_is_counted(options, joining):
    """Batches of 8 of the 12 labelled examples, which `joining` of the 9 others join."""
    proposal = supernet({"name": "multi_exit", "exits": [1, 2], **options})
    space = {"family": "mlp", "depth": [1, 2], "width": 4}
    shape = DataShape(input_shape=(4,), num_train=12, num_validation=VALIDATION, num_unlabelled=9)
    price = Pricer(make_space(space, input_shape=(4,), num_classes=3), shape).epoch_cost(proposal, TRAINING)
    task = blobs(train_size=TRAIN, validation_size=VALIDATION, labelled=12)
    outcome = train(job(proposal=proposal, space=space, task=task, training=TRAINING, epochs=1))
    assert isinstance(outcome, Measurement), outcome
    # Two products backward for each forward, but for the stem's input; both exits are heads.
    forward = 2 * (4 * 4 + 2 * 4 * 4 + 2 * 4 * 3)
    step = (8 + joining) * (3 * forward - 2 * 4 * 4)
    levels = 2 * (4 * 4 + 2 * 4 * 4 + 3 * 4 * 3)  # level 0 is read by the first exit
    assert price.flops == total(outcome.charges).flops == step + VALIDATION * levels


def test_an_architecture_of_several_stages_costs_no_more_than_its_price():
    example = EXAMPLES["dynamic"]
    space = make_example(example)
    prices = pricer(space, example["input_shape"])
    proposal = Proposal(architecture=answer(space, {"depth": 4, "mechanism": "policy"}, partial=True))
    price = prices.epoch_cost(proposal, TRAINING) + prices.conclusion_cost(proposal)
    assert counted(example, proposal) < price.flops


def test_a_trial_of_several_stages_is_priced_as_if_all_were_the_costliest():
    example = CHAINS["resnet"]
    prices = pricer(make_example(example), example["input_shape"])
    counts = []
    for shares in ((0, 0), (0, 1), (1, 0)):
        proposal = supernet({"name": "blockdrop", "plain_share": shares[0], "policy_share": shares[1]})
        counts.append(counted(example, proposal))
        assert prices.epoch_cost(proposal, TRAINING).flops == counts[0]
    assert counts[0] > max(counts[1:])


@pytest.mark.parametrize("options", [{"name": "multi_exit"}, {"name": "scan"}, {"name": "skipnet"}], ids=str)
def test_the_price_of_a_supernet_that_may_be_delivered_has_its_operating_points(options):
    example, proposal = CHAINS["mlp"], replace(supernet(options), deliverable=True)
    prices = pricer(make_example(example), example["input_shape"])
    price = prices.epoch_cost(proposal, TRAINING) + prices.conclusion_cost(proposal)
    assert price.flops == counted(example, proposal)
    assert prices.conclusion_cost(proposal).flops > prices.conclusion_cost(supernet(options)).flops == 0


def test_a_text_has_no_operating_points():
    example, proposal = CHAINS["transformer_text"], replace(supernet({"name": "multi_exit"}), deliverable=True)
    prices = pricer(make_example(example), example["input_shape"])
    assert prices.conclusion_cost(proposal).flops == 0
    assert prices.epoch_cost(proposal, TRAINING).flops == counted(example, proposal)


@pytest.mark.parametrize("options", [{"name": "pruned"}, {"name": "distilled", "teacher": {}, "student": {"depth": 1}}])
def test_stages_are_built_and_priced_without_values(options):
    """Else they would be computed while they are priced, and a copy of a fake tensor warns."""
    space = make_example(CHAINS["resnet"])
    with FakeTensorMode():
        network = build_network(supernet(options), space, seed=0)
        network(torch.zeros(2, 1, 8, 8)).sum().backward()
        network.eval()(torch.zeros(2, 1, 8, 8))


@pytest.mark.parametrize("gate", ["ff1", "ff2"])
def test_the_price_of_convolutional_gates_is_what_is_counted(gate):
    example = CHAINS["resnet"]
    proposal = supernet({"name": "skipnet", "gate": gate})
    price = pricer(make_example(example), example["input_shape"]).epoch_cost(proposal, TRAINING)
    assert price.flops == counted(example, proposal)


def test_every_recipe_is_priced_here():
    assert {supernet(options).recipe for options in RELAXED.values()} | {"standard"} == set(RECIPES)


@pytest.mark.parametrize("batch_size", [2, 7, 21, 64])
def test_the_price_follows_the_batch_size(batch_size):
    example = EXAMPLES["resnet"]
    training = replace(TRAINING, batch_size=batch_size)
    proposal = Proposal(architecture=sample(make_example(example), np.random.default_rng(2)))
    price = pricer(make_example(example), example["input_shape"]).epoch_cost(proposal, training)
    assert price.flops == counted(example, proposal, training)


def test_the_price_follows_the_precision():
    example = EXAMPLES["mlp"]
    training = replace(TRAINING, precision="bfloat16")
    proposal = Proposal(architecture=sample(make_example(example), np.random.default_rng(2)))
    price = pricer(make_example(example), example["input_shape"]).epoch_cost(proposal, training)
    assert price.flops == counted(example, proposal, training)


def test_two_steps_of_an_mlp_priced_by_hand():
    proposal = Proposal(architecture=architecture())
    price = pricer(make_space(MLP, input_shape=(4,), num_classes=3), (4,)).epoch_cost(proposal, TRAINING)
    forward = 2 * (4 * 8 + 8 * 8 + 8 * 3)
    step = 2 * 8 * (2 * 4 * 8 + 3 * 8 * 8 + 3 * 8 * 3)
    assert price.flops == 2 * step + VALIDATION * forward


def test_a_language_model_priced_by_hand():
    """Labels per position change no product; an embedding is none."""
    width, tokens, context = 8, 7, 5
    space = make_space(
        {"family": "transformer", "depth": 0, "width": width},
        input_shape=(context,),
        num_classes=tokens,
        num_tokens=tokens,
    )
    (only,) = enumerate_space(space)
    head = 2 * context * width * tokens
    price = pricer(space, (context,)).epoch_cost(Proposal(architecture=only), TRAINING)
    assert price.flops == 2 * 8 * 3 * head + VALIDATION * head


def test_validation_passes_are_those_of_the_evaluation():
    shape = DataShape(input_shape=(1,), num_train=1, num_validation=1100)
    assert shape.validation_sizes() == [512, 512, 76]
    assert DataShape(input_shape=(1,), num_train=1, num_validation=512).validation_sizes() == [512]


def test_pricing_draws_no_random_number_and_leaves_no_gradient_mode():
    space = make_example(EXAMPLES["cell"])
    before = torch.get_rng_state()
    pricer(space, EXAMPLES["cell"]["input_shape"]).epoch_cost(
        Proposal(architecture=sample(space, np.random.default_rng(0))), TRAINING
    )
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.is_grad_enabled()


class LooksAtValues(nn.Module):
    """Computes something that depends on data, which fake tensors do not have."""

    def forward(self, h):
        return h * 2 if h.sum().item() > 0 else h


class Curious(Mlp):
    """A chain whose network is not built from its parts, and branches on its input."""

    def build(self, architecture):
        return nn.Sequential(nn.Flatten(), LooksAtValues(), nn.Linear(4, 3))


class Broken(Mlp):
    def make_block(self, block):
        return nn.Linear(block.width_out + 1, block.width_out)


class Endless(Mlp):
    is_over = Event()

    def make_stem(self, width):
        self.is_over.wait()
        return super().make_stem(width)


def of(attribute):
    return make_space({**MLP, "family": f"tests.workers.test_pricing:{attribute}"}, input_shape=(4,), num_classes=3)


def test_a_network_that_looks_at_values_is_priced_on_real_tensors():
    price = pricer(of("Curious"), (4,)).epoch_cost(Proposal(architecture=architecture()), TRAINING)
    assert price.flops == 2 * (2 * 8 * (2 * 4 * 3)) + VALIDATION * 2 * 4 * 3


def test_a_network_that_cannot_run_has_no_price(caplog):
    with pytest.raises(TrialFailed, match=r"RuntimeError: .*\(8x8 and 9x8\)"):
        pricer(of("Broken"), (4,)).epoch_cost(Proposal(architecture=architecture()), TRAINING)
    assert not caplog.records


def test_a_network_that_does_not_return_has_no_price_and_never_sets_random_numbers_back():
    price = pricer(of("Endless"), (4,), time_limit_s=0.05).epoch_cost
    before = set(threading.enumerate())
    with pytest.raises(TrialFailed, match=r"must return within 0.05 s"):
        price(Proposal(architecture=architecture()), TRAINING)
    (abandoned,) = set(threading.enumerate()) - before
    torch.manual_seed(7)
    Endless.is_over.set()
    abandoned.join()
    assert torch.initial_seed() == 7


def test_the_final_evaluation_is_not_part_of_the_price():
    """It is charged to an account of its own."""
    example = EXAMPLES["mlp"]
    space = make_example(example)
    proposal = Proposal(architecture=sample(space, np.random.default_rng(0)))
    outcome = train(job())
    assert ChargeKind.TEST not in {charge.kind for charge in outcome.charges}
    price = pricer(space, example["input_shape"]).epoch_cost
    assert price(replace(proposal, kind=Kind.FINAL), TRAINING) == price(proposal, TRAINING)
