"""The ledger's FLOPs, counted again.

Each trial is trained here step by step, with torch's own counter around every single step and every validation pass,
and compared with what the worker charges, which counts the first step of each kind only.
"""

from dataclasses import replace

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from controllers.cost import ChargeKind
from controllers.seeds import derive_seed
from controllers.supernets import supernet_proposal
from controllers.trial import Proposal
from search_spaces import make_space
from search_spaces.compose import answer
from search_spaces.dynamic.dynamic import Dynamic
from search_spaces.relaxations.relaxation import Annealed, Concluding, Drawing, Probed
from tests.workers.blobs import TRAINING, blobs, job, train
from workers.batches import Batches, num_joining
from workers.build import build_network
from workers.evaluate import BATCH_SIZE
from workers.recipes import make_recipe
from workers.tasks import make_task

EPOCHS = 3
IMAGES = blobs(input_shape=[1, 8, 8], train_size=20, validation_size=13)
PARTLY_LABELLED = {**IMAGES, "labelled": 13}
TEXT = blobs(input_shape=[5], num_classes=6, num_tokens=6, train_size=20, validation_size=13)

RESNET = {"family": "resnet", "depth": [1, 2, 3], "width": 4}
MIXED_RESNET = {**RESNET, "ops": ["basic", "separable"]}
TRANSFORMER = {"family": "transformer", "depth": [1, 2], "width": 8, "heads": 2}

TIED = {"family": "mlp", "depth": [1, 3, 4], "width": 8, "ops": ["residual"], "tied": True}

DYNAMIC = {
    "family": "dynamic",
    "chain": RESNET,
    "exits": {"distillation": 0.5},
    "gates": {"gate": ["recurrent", "ff1"], "supervised_share": 0.5},
}


def supernet(**options):
    return supernet_proposal(options)


def network(space, **decisions):
    made = make_space(space, input_shape=(1, 8, 8), num_classes=3)
    return Proposal(architecture=answer(made, decisions, partial=True))


TRIALS = {
    "architecture": (RESNET, network(RESNET, depth=3)),
    "transformer": (TRANSFORMER, network(TRANSFORMER, depth=2)),
    "first-order supernet": (MIXED_RESNET, supernet(name="darts", order="first")),
    "second-order supernet": (MIXED_RESNET, supernet(name="darts", order="second", weights="gumbel")),
    "supernet that concludes": (MIXED_RESNET, supernet(name="darts", order="first", select="removal")),
    "supernet with a curvature": (MIXED_RESNET, supernet(name="darts", order="first", eigenvalue_ratio=1.3)),
    "supernet that stops early": (MIXED_RESNET, supernet(name="darts", order="first", stable_epochs=1, max_skips=1)),
    "halting, ponder": (RESNET, supernet(name="halting")),
    "halting, act": (TIED, supernet(name="halting", rule="act")),
    "layer fusion": (RESNET, supernet(name="layer_fusion", warmup_epochs=1)),
    "layer select": (RESNET, supernet(name="layer_select", auxiliary_weight=0.5, num_starts=2)),
    "language model": (TRANSFORMER, network(TRANSFORMER, depth=2)),
    "layer select of a language model": (TRANSFORMER, supernet(name="layer_select")),
    "first-order supernet of a language model": (TRANSFORMER, supernet(name="darts", order="first")),
    "elastic language model": (TRANSFORMER, supernet(name="elastic", distillation=0.5)),
    "sandwich": (RESNET, supernet(name="elastic", sampling="sandwich", num_random=1, distillation=0.5)),
    "blocks left out": (RESNET, supernet(name="elastic", drop_rate=0.5)),
    "multi-exit": (RESNET, supernet(name="multi_exit", exits=[1, 3])),
    "multi-exit, half of them unlabelled": (RESNET, supernet(name="multi_exit")),
    "multi-exit, more unlabelled than there are": (RESNET, supernet(name="multi_exit", unlabelled=9.0)),
    "byot, which passes over the unlabelled": (RESNET, supernet(name="byot")),
    "multi-exit, language model": (TRANSFORMER, supernet(name="multi_exit", teachers="later")),
    "distilled, without a teacher": (RESNET, supernet(name="distilled", teacher={}, student={"depth": 1})),
    "pruned": (RESNET, supernet(name="pruned")),
    "pruned language model": (TRANSFORMER, supernet(name="pruned", start="trained")),
    "skipped blocks, both stages": (RESNET, supernet(name="skipnet", supervised_share=0.5)),
    "skipped blocks, convolutional gates": (RESNET, supernet(name="skipnet", supervised_share=0.5, gate="ff1")),
    "skipped blocks, from scratch": (TIED, supernet(name="skipnet", supervised_share=0)),
    "skipped blocks, all stages": (
        RESNET,
        supernet(name="skipnet", plain_share=0.25, supervised_share=0.25, settled_share=0.25),
    ),
    "dropped blocks, all stages": (RESNET, supernet(name="blockdrop", plain_share=0.2, policy_share=0.4)),
    "dropped blocks, from scratch": (TIED, supernet(name="blockdrop", plain_share=0, policy_share=0)),
    "tied": (TIED, network(TIED, depth=3)),
    "byot": (RESNET, supernet(name="byot")),
    "scan": (RESNET, supernet(name="scan", exits=[1, 3])),
    "scan, language model": (TRANSFORMER, supernet(name="scan")),
    "scan, delivered": (RESNET, replace(supernet(name="scan"), deliverable=True)),
    "multi-exit, delivered": (RESNET, replace(supernet(name="multi_exit"), deliverable=True)),
    "exits of an architecture": (DYNAMIC, network(DYNAMIC, depth=3, mechanism="exits")),
    "gates of an architecture, both stages": (DYNAMIC, network(DYNAMIC, depth=3, mechanism="gates")),
    "policy of an architecture, all stages": (DYNAMIC, network(DYNAMIC, depth=3, mechanism="policy")),
    "convolutional gates of an architecture": (DYNAMIC, network(DYNAMIC, mechanism="gates", **{"gates.gate": "ff1"})),
    "static among dynamic": (DYNAMIC, network(DYNAMIC, depth=3)),
}


def recount(one):
    """FLOPs by kind of charge, every step counted by torch alone."""
    data = make_task(one.task).load()
    space = make_space(
        one.space, input_shape=data.input_shape, num_classes=data.num_classes, num_tokens=data.num_tokens
    )
    built = build_network(one.proposal, space, seed=one.seed)
    batch_size = one.training.batch_size
    joining = num_joining(built, train_size=batch_size, available=data.num_unlabelled)
    batches = Batches(data, batch_size=batch_size, seed=one.seed, num_unlabelled=joining)
    recipe = make_recipe(
        one.proposal.recipe,
        built,
        one.proposal.recipe_options,
        training=one.training,
        num_steps=one.epochs * len(batches),
    )
    counts = {}

    def count(kind, function, *arguments):
        with FlopCounterMode(display=False) as counter:
            function(*arguments)
        counts[kind] = counts.get(kind, 0) + counter.get_total_flops()

    for epoch in range(one.epochs):
        torch.manual_seed(derive_seed(one.seed, "train", epoch))
        if isinstance(built, Annealed):
            built.anneal(epoch / one.epochs)
        built.train()
        for number, (training, validation) in enumerate(batches.epoch(epoch)):
            for phase in recipe.phases(epoch):
                if phase.once and number:
                    continue
                if isinstance(built, Drawing):
                    built.draw()
                count(phase.kind, phase.step, training, validation)
        built.eval()
        with torch.no_grad():
            for x in torch.split(data.validation.x, BATCH_SIZE):
                count(ChargeKind.VALIDATE, built.probe if isinstance(built, Probed) else built, x)

    def score():
        with torch.no_grad():
            for x in torch.split(data.validation.x, BATCH_SIZE):
                count(ChargeKind.ARCHITECTURE, built, x)
        return 0.0, 0.0

    if isinstance(built, Concluding):
        built.conclude(score)
    if isinstance(built, Dynamic) and one.proposal.choosable:
        with torch.no_grad():
            for number in range(built.num_observations()):
                for x in torch.split(data.validation.x, BATCH_SIZE):
                    count(ChargeKind.VALIDATE, built.observe, number, x)
    return counts


@pytest.mark.parametrize("name", TRIALS)
def test_the_ledger_charges_what_torch_counts(name):
    space, proposal = TRIALS[name]
    task = TEXT if "language" in name else PARTLY_LABELLED if "unlabelled" in name else IMAGES
    one = job(space=space, proposal=proposal, task=task, training=replace(TRAINING, batch_size=6), epochs=EPOCHS)
    outcome = train(one)
    counts = recount(one)
    assert {charge.kind: charge.cost.flops for charge in outcome.charges} == counts
    assert min(counts.values()) > 0
    assert (ChargeKind.ARCHITECTURE in counts) == (proposal.recipe == "bilevel")
