"""Data impressions, number by number, and exits that learn from them alone."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from search_spaces import make_space
from search_spaces.errors import InvalidInput
from search_spaces.experimental.data_free_exits import DataFreeExits, Stage
from search_spaces.experimental.impressions import class_similarity, concentrations, draw_answers, mismatch
from search_spaces.relaxations import make_relaxation
from search_spaces.relaxations.relaxation import Drawing, Growing, Staged
from tests.search_spaces.examples import make_example

WEIGHTS = np.array([[3.0, 0.0], [0.0, 0.5], [1.0, 1.0]])
HALF = math.sqrt(0.5)
SPACE = make_space({"family": "mlp", "depth": {"min": 1, "max": 3}, "width": 6}, input_shape=(3,), num_classes=4)
IMAGES = make_space({"family": "resnet", "depth": [1, 2], "width": 4}, input_shape=(1, 4, 4), num_classes=3)
X = torch.randn(5, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
Y = torch.arange(5) % 4


def test_classes_are_similar_whose_weights_have_one_direction():
    expected = [[1, 0, HALF], [0, 1, HALF], [HALF, HALF, 1]]
    np.testing.assert_allclose(class_similarity(WEIGHTS), expected, atol=1e-15)


def test_concentrations_go_from_almost_zero_to_beta_in_every_row():
    expected = np.array([[1, 0, HALF], [0, 1, HALF], [0, 0, 1]])
    np.testing.assert_allclose(concentrations(class_similarity(WEIGHTS), 1.0), expected + 1e-4, atol=1e-15)
    np.testing.assert_allclose(concentrations(class_similarity(WEIGHTS), 0.1), 0.1 * expected + 1e-4, atol=1e-15)


def test_answers_are_dirichlet_draws_of_each_class_in_turn_at_both_betas():
    """Mean `a / s` and variance `a (s - a) / (s^2 (s + 1))` for concentrations a of sum s, over 4,000 draws of each."""
    drawn_NK = draw_answers(WEIGHTS, 24_000, seed=3)
    np.testing.assert_allclose(drawn_NK.sum(axis=1), 1)
    for turn, beta in enumerate((1.0, 0.1)):
        for k, row in enumerate([[1, 0, HALF], [0, 1, HALF], [0, 0, 1]]):
            a_K = beta * np.array(row) + 1e-4
            s = a_K.sum()
            of_class = drawn_NK.reshape(-1, 2, 3, 3)[:, turn, k]
            np.testing.assert_allclose(of_class.mean(axis=0), a_K / s, atol=0.03)
            np.testing.assert_allclose(of_class.var(axis=0), a_K * (s - a_K) / (s**2 * (s + 1)), atol=0.02)
    assert np.array_equal(draw_answers(WEIGHTS, 9, seed=3), draw_answers(WEIGHTS, 9, seed=3))
    assert not np.array_equal(draw_answers(WEIGHTS, 9, seed=3), draw_answers(WEIGHTS, 9, seed=4))


def test_mismatch_by_hand():
    """Logits 2 ln 3, 0 at tau 2 say (3/4, 1/4); asked for (1/2, 1/2) and (1, 0)."""
    y = torch.tensor([[2 * math.log(3), 0.0]] * 2, dtype=torch.float64)
    answers = torch.tensor([[0.5, 0.5], [1.0, 0.0]], dtype=torch.float64)
    expected = (-0.5 * math.log(3 / 4) - 0.5 * math.log(1 / 4) - math.log(3 / 4)) / 2
    assert mismatch(y, answers, 2.0).item() == pytest.approx(expected)


def data_free(space=SPACE, **options):
    torch.manual_seed(0)
    network = DataFreeExits(**{"num_sets": 2, "set_size": 4, "temperature": 3.0, **options}).supernet(space)
    for protocol in (Drawing, Growing, Staged):
        assert isinstance(network, protocol)
    return network.double().train()


def criterion(y_BK, y_B):
    return F.cross_entropy(y_BK, y_B, reduction="none")


def moved(network, x=X, y=Y):
    """The loss, and the names of what it has a gradient for."""
    network.zero_grad(set_to_none=True)
    loss = network.objective(x, y, criterion)
    loss.backward()
    return loss, {name for name, parameter in network.named_parameters() if parameter.grad is not None}


def test_at_first_the_chain_learns_from_labels():
    network = data_free()
    network.begin_stage(Stage.CHAIN)
    loss, names = moved(network)
    torch.testing.assert_close(loss, F.cross_entropy(network.heads["3"](network.chain.hidden_states(X)[3]), Y))
    assert {name.split(".")[0] for name in names} == {"chain", "heads"}
    assert not {name for name in names if name.startswith(("heads.1", "heads.2"))}


def test_then_a_set_of_impressions_learns_to_be_answered_as_drawn():
    network = data_free()
    network.begin_stage(Stage.IMPRESSIONS)
    network.set = 1
    drawn = draw_answers(network.heads["3"].weight.detach().numpy(), 8, seed=int(network.seed))
    torch.testing.assert_close(network.answers, torch.from_numpy(drawn).reshape(2, 4, 4))
    loss, names = moved(network, X[:3])  # a smaller batch takes the first three
    logits = network(network.impressions[1][:3]) / 3.0
    expected = -sum(
        float(network.answers[1, n, k]) * float(logits[n].detach().log_softmax(0)[k])
        for n in range(3)
        for k in range(4)
    )
    assert loss.item() == pytest.approx(expected / 3)
    assert names == {"impressions.1"}
    assert network.impressions[1].grad[3].abs().sum() == 0 < network.impressions[1].grad[:3].abs().sum()


def test_answers_are_the_same_when_a_training_goes_on():
    network = data_free()
    network.begin_stage(Stage.IMPRESSIONS)
    other = data_free()
    with torch.no_grad():
        other.seed += 1
    other.load_state_dict(network.state_dict())
    other.begin_stage(Stage.IMPRESSIONS)
    assert other.answers.equal(network.answers)
    assert network.answers.sum() == pytest.approx(8)


@pytest.mark.parametrize("transfer", ["impressions", "data"])
def test_last_exits_learn_the_chains_answers(transfer):
    network = data_free(transfer=transfer)
    network.begin_stage(Stage.EXITS)
    x = network.impressions[0] if transfer == "impressions" else X
    loss, names = moved(network)
    states = [state.detach() for state in network.chain.hidden_states(x)]
    teacher = (network.heads["3"](states[3]) / 3).softmax(1)
    expected = sum(
        9 * (teacher * (teacher.log() - (network.heads[str(depth)](states[depth]) / 3).log_softmax(1))).sum() / len(x)
        for depth in (1, 2)
    )
    torch.testing.assert_close(loss, expected / 2)
    assert names == {"heads.1.weight", "heads.1.bias", "heads.2.weight", "heads.2.bias"}


@pytest.mark.parametrize(
    ("stage", "transfer"),
    [(Stage.IMPRESSIONS, "impressions"), (Stage.EXITS, "impressions"), (Stage.EXITS, "noise")],
)
def test_without_data_no_batch_is_looked_at(stage, transfer):
    network = data_free(transfer=transfer)
    network.begin_stage(stage)
    torch.manual_seed(1)
    one = network.objective(X, Y, criterion)
    torch.manual_seed(1)
    assert network.objective(torch.full_like(X, torch.nan), torch.full_like(Y, -1), criterion) == one


def test_running_statistics_stay_what_data_made_them():
    network = data_free(IMAGES)
    x, y = torch.randn(4, 1, 4, 4, dtype=torch.float64), torch.tensor([0, 1, 2, 0])
    network.begin_stage(Stage.CHAIN)
    before = {name: buffer.clone() for name, buffer in network.chain.named_buffers()}
    network.objective(x, y, criterion)
    assert any(not buffer.equal(before[name]) for name, buffer in network.chain.named_buffers())
    before = {name: buffer.clone() for name, buffer in network.chain.named_buffers()}
    for stage in (Stage.IMPRESSIONS, Stage.EXITS):
        network.begin_stage(stage)
        network.train()
        network.objective(x, y, criterion)
        assert all(buffer.equal(before[name]) for name, buffer in network.chain.named_buffers())


def test_impressions_come_to_be_answered_as_they_should():
    """A chain that passes on what is positive, and a head that says much: every answer can be had of it.

    The mismatch ends where it is least, at the entropy of what was drawn.
    """
    network = data_free(make_space({"family": "mlp", "depth": [1, 2], "width": 4}, input_shape=(4,), num_classes=4))
    for layer in network.modules():
        if isinstance(layer, nn.Linear):
            nn.init.eye_(layer.weight)
            nn.init.zeros_(layer.bias)
    with torch.no_grad():
        network.heads["2"].weight.copy_(5 * torch.eye(4) + torch.tensor([[0, 2, 1, 0]] * 2 + [[0, 0, 1, 2]] * 2))
    network.begin_stage(Stage.IMPRESSIONS)
    answers = network.answers[0]
    least = -torch.special.xlogy(answers, answers).sum(dim=1).mean()
    before = network.objective(torch.zeros(4, 4), Y[:4], criterion)
    optimizer = torch.optim.Adam([network.impressions[0]], lr=0.1)
    for _ in range(500):
        optimizer.zero_grad()
        loss = network.objective(torch.zeros(4, 4), Y[:4], criterion)
        loss.backward()
        optimizer.step()
    assert least < loss < least + 0.05 * (before - least)


def test_impressions_are_no_parameters_of_what_is_delivered():
    network = data_free()
    num_inputs = 2 * 4 * 3
    before, names = sum(p.numel() for p in network.parameters()), set(network.state_dict())
    network.begin_stage(Stage.EXITS)
    assert before - sum(p.numel() for p in network.parameters()) == num_inputs
    assert set(network.state_dict()) == names


@pytest.mark.parametrize(("width", "num_classes", "costliest"), [(8, 2, Stage.CHAIN), (1, 300, Stage.EXITS)])
def test_the_costliest_stage_is_priced(width, num_classes, costliest):
    """With hardly a chain and many classes, it is the one that trains several heads."""
    options = {"family": "mlp", "depth": {"min": 1, "max": 6}, "width": width}
    network = DataFreeExits().supernet(make_space(options, input_shape=(1,), num_classes=num_classes)).train()
    network.grow_fully()
    assert network.size() == costliest


def test_shares_must_leave_something_for_exits():
    options = {"name": "search_spaces.experimental.data_free_exits:DataFreeExits", "impression_share": 0.5}
    with pytest.raises(InvalidInput, match=r"must be less than 1 together with chain_share, got 0.5 \+ 0.5"):
        make_relaxation(options)


def test_tokens_are_refused():
    text = {"input_shape": (5,), "num_classes": 6, "num_tokens": 6}
    space = make_example({**text, "options": {"family": "transformer", "depth": [1, 2], "width": 8, "heads": 2}})
    with pytest.raises(InvalidInput, match="which tokens cannot be"):
        DataFreeExits().check(space)
