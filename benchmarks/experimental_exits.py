"""Experimental ways to train exits against plain ones, on scikit-learn's digits (docs/experimental.md).

python benchmarks/experimental_exits.py             all tables, as Markdown
python benchmarks/experimental_exits.py no-data     one of them

Every network of a table is trained for the FLOPs of the first one, as nearly as whole epochs allow, and pays for all
that it computes. Hyperparameters were chosen on validation data, at other seeds; test data are looked at here alone.
Shapes: B batch, S seeds, E exits.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from as_markdown import head, row
from machine import describe_machine
from numpy.typing import NDArray
from scipy import stats
from torch import Tensor, nn
from torch.nn import functional as F
from trained import train_supernet

from controllers.cost import total
from search_spaces.experimental.meta_exits import MetaNetwork
from search_spaces.relaxations.multi_exit import MultiExitNetwork
from workers.tasks import SearchData, Split, make_task
from workers.training import Training

CHAIN: Mapping[str, Any] = {"family": "resnet", "depth": {"min": 1, "max": 6}, "width": 8, "ops": ["basic"]}
EXITS = (1, 2, 4, 6)
TRAINING = Training(batch_size=64)
SEEDS = range(5)
PATH = "search_spaces.experimental."
DIGITS: Mapping[str, Any] = {"name": "digits"}
FEW_DIGITS: Mapping[str, Any] = {**DIGITS, "labelled": 128, "validation_size": 64}

Method = Mapping[str, Any]
"""A relaxation, by its name and its fields."""


def method(name: str, **fields: Any) -> Method:
    return {"name": name, "exits": EXITS, **fields}


def similar(**fields: Any) -> Method:
    return method(PATH + "similar_exits:SimilarExits", distillation=0.0, **fields)


def attentive(**fields: Any) -> Method:
    return method(PATH + "attentive_exits:AttentiveExits", distillation=0.1, **fields)


def data_free(transfer: str, temperature: float) -> Method:
    return method(PATH + "data_free_exits:DataFreeExits", transfer=transfer, temperature=temperature)


PLAIN = method("multi_exit", distillation=0.0)
META = method(PATH + "meta_exits:MetaExits")
ONE_CLASSIFIER = {**META, "inner_steps": 0}
SUPERVISED: Mapping[str, Method] = {
    "plain": PLAIN,
    "distilled, C = 0.1": method("multi_exit", distillation=0.1),
    "with branches": similar(similarity=0.0),
    "similar": similar(),
    "similar, and the chain": similar(moves_trunk=True),
    "attentive": attentive(),
    "one classifier": ONE_CLASSIFIER,
    "meta": META,
}
FEW_LABELS: Mapping[str, Method] = {
    "plain": PLAIN,
    "distilled, C = 0.5": method("multi_exit", unlabelled=0.0),
    "distilled, C = 0.5, unlabelled": method("multi_exit"),
    "distilled, C = 0.1, unlabelled": method("multi_exit", distillation=0.1),
    "similar, and the chain": similar(moves_trunk=True, unlabelled=0.0),
    "similar, and the chain, unlabelled": similar(moves_trunk=True),
    "one classifier": ONE_CLASSIFIER,
    "meta": META,
}
NO_DATA: Mapping[str, Method] = {
    "the training data": data_free("data", 1.0),
    "impressions": data_free("impressions", 4.0),
    "noise": data_free("noise", 4.0),
}
ADAPTED_DEPTHS = (2, 4)
"""Where exits are made that had none while the chain was trained."""
TRAINED_EXITS = (1, 3, 6)
SHOTS = 64
"""Labelled examples that a new exit learns from."""
STEPS = (0, 1, 5, 20)
RATES = (0.03, 0.1, 0.3, 1.0, 3.0)
"""Of these steps; the best on validation data is taken, for every start and number of steps."""


def main(names: list[str]) -> None:
    print(describe_machine())
    for name in names or TABLES:
        print(f"\n### {name}\n")
        TABLES[name]()


def compare(methods: Mapping[str, Method], task: Mapping[str, Any], *, epochs: int) -> None:
    """Test accuracy of every exit, and what a method changes on average of the early ones, seed by seed."""
    test = make_task(task).load_test()
    head("exits", "epochs", "FLOPs", *(f"exit {depth}" for depth in EXITS), "early exits against the first, points")
    budget, first_SE = 0, np.zeros(0)
    for name, one in methods.items():
        affordable = epochs if not budget else affordable_epochs(one, task, budget)
        trained = [train(one, task, seed=seed, epochs=affordable) for seed in SEEDS]
        accuracy_SE = np.stack([accuracies(network.exit_logits, test) for network, _ in trained])
        flops = trained[0][1]
        if not budget:
            budget, first_SE = flops, accuracy_SE
        gain = "" if accuracy_SE is first_SE else interval((accuracy_SE - first_SE)[:, :-1].mean(axis=1))
        means = (f"{mean:.1f}" for mean in accuracy_SE.mean(axis=0))
        row(name, str(affordable), f"{flops / budget:.0%}", *means, gain)


def affordable_epochs(one: Method, task: Mapping[str, Any], budget: int) -> int:
    """Whose FLOPs come nearest to the budget; what stages cost is in proportion to the whole in a long training."""
    trial_epochs = 20
    _, flops = train(one, task, seed=0, epochs=trial_epochs)
    return max(1, round(trial_epochs * budget / flops))


def adapt() -> None:
    """Test accuracy of new exits, after a few steps from a start, with the chain as it is."""
    data, test = make_task(DIGITS).load(), make_task(DIGITS).load_test()
    head("exits, and start of a new one", *(f"{steps} steps" for steps in STEPS))
    starts: dict[str, list[NDArray[np.float64]]] = {}
    budget = train(_trained_exits(PLAIN), DIGITS, seed=0, epochs=20)[1]
    for name, one in (("plain", PLAIN), ("one classifier", ONE_CLASSIFIER), ("meta", META)):
        learned = _trained_exits(one)
        epochs = affordable_epochs(learned, DIGITS, budget)
        for seed in SEEDS:
            network, _ = train(learned, DIGITS, seed=seed, epochs=epochs)
            for start, heads in _starts(network, seed=seed).items():
                of_depths = [few_steps(network, depth, heads[depth], data, test) for depth in ADAPTED_DEPTHS]
                starts.setdefault(f"{name}: {start}", []).append(np.mean(of_depths, axis=0))
    for name, of_seeds in starts.items():
        row(name, *(spread(values_S) for values_S in np.stack(of_seeds, axis=1)))


def _trained_exits(one: Method) -> Method:
    return {**one, "exits": TRAINED_EXITS}


def _starts(network: MultiExitNetwork, *, seed: int) -> Mapping[str, Mapping[int, nn.Module]]:
    """Classifiers that a new exit may begin with, by what they are and by its depth."""
    if isinstance(network, MetaNetwork):
        return {"shared classifier": dict.fromkeys(ADAPTED_DEPTHS, network.shared)}
    torch.manual_seed(seed)
    fresh = network.space.make_head(8)
    following = {new: min(depth for depth in TRAINED_EXITS if depth > new) for new in ADAPTED_DEPTHS}
    return {
        "fresh classifier": dict.fromkeys(ADAPTED_DEPTHS, fresh),
        "next exit's classifier": {new: network.heads[str(depth)] for new, depth in following.items()},
    }


def few_steps(network: MultiExitNetwork, depth: int, start: nn.Module, data: SearchData, test: Split) -> list[float]:
    """Test accuracy after each of `STEPS`, at the rate that is best on validation data."""

    @torch.no_grad()
    def features(x_B: Tensor) -> Tensor:
        return network.chain.hidden_states(x_B)[depth]

    shots = Split(x=features(data.train.x[:SHOTS]), y=data.train.y[:SHOTS])
    splits = [Split(x=features(split.x), y=split.y) for split in (data.validation, test)]
    scores = np.array([[_score(start, shots, splits, steps, rate) for rate in RATES] for steps in STEPS])
    best = scores[:, :, 0].argmax(axis=1)
    return [float(of_rates[at, 1]) for of_rates, at in zip(scores, best, strict=True)]


def _score(start: nn.Module, shots: Split, splits: list[Split], steps: int, rate: float) -> list[float]:
    classifier = copy.deepcopy(start).requires_grad_(True).eval()
    for _ in range(steps):
        loss = F.cross_entropy(classifier(shots.x), shots.y)
        gradients = torch.autograd.grad(loss, list(classifier.parameters()))
        with torch.no_grad():
            for parameter, gradient in zip(classifier.parameters(), gradients, strict=True):
                parameter -= rate * gradient
    return [accuracies(lambda x: [classifier(x)], split)[0] for split in splits]


def train(one: Method, task: Mapping[str, Any], *, seed: int, epochs: int) -> tuple[MultiExitNetwork, int]:
    """The trained network, and the FLOPs that its training was charged."""
    training = replace(TRAINING, epochs=epochs)
    network, measured = train_supernet(one, space=CHAIN, task=task, training=training, seed=seed)
    assert isinstance(network, MultiExitNetwork)
    return network, total(measured.charges).flops


@torch.no_grad()
def accuracies(exit_logits: Callable[[Tensor], list[Tensor]], split: Split) -> NDArray[np.float64]:
    """Of every exit, in percent."""
    return np.array([100 * (y.argmax(dim=1) == split.y).double().mean().item() for y in exit_logits(split.x)])


def interval(values_S: NDArray[np.float64]) -> str:
    """Mean and Student's 95 % interval of what each seed gives."""
    half = stats.t.ppf(0.975, len(values_S) - 1) * values_S.std(ddof=1) / len(values_S) ** 0.5
    mean = values_S.mean()
    return f"{mean:+.1f} [{mean - half:+.1f}, {mean + half:+.1f}]"


def spread(values_S: NDArray[np.float64]) -> str:
    return f"{values_S.mean():.1f} ({values_S.min():.1f} to {values_S.max():.1f})"


TABLES: Mapping[str, Callable[[], None]] = {
    "supervised": lambda: compare(SUPERVISED, DIGITS, epochs=20),
    "few-labels": lambda: compare(FEW_LABELS, FEW_DIGITS, epochs=300),
    "no-data": lambda: compare(NO_DATA, DIGITS, epochs=20),
    "adapt": adapt,
}

if __name__ == "__main__":
    main(sys.argv[1:])
