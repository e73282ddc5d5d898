"""A student's loss by hand, and what it takes from its teacher."""

from math import log

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from search_spaces import make_space
from search_spaces.buffers import as_buffers
from search_spaces.errors import InvalidInput
from search_spaces.relaxations import Supernet, make_relaxation
from search_spaces.relaxations.chains import architecture_of
from search_spaces.relaxations.relaxation import Growing, HasObjective, Heir

SPACE = make_space({"family": "mlp", "depth": [0, 2], "width": 4}, input_shape=(3,), num_classes=2)
RESNET = make_space({"family": "resnet", "depth": [1, 2], "width": 4}, input_shape=(1, 4, 4), num_classes=2)


def criterion(y_BK, y_B):
    return F.cross_entropy(y_BK, y_B, reduction="none")


def student(space=SPACE, depth=0, **options):
    options = {"name": "distilled", "teacher": {"depth": 2}, "student": {"depth": depth}, **options}
    torch.manual_seed(0)
    return make_relaxation(options).supernet(space)


class Says(nn.Module):
    """The same logits for every input."""

    def __init__(self, *logits):
        super().__init__()
        self.logits = nn.Parameter(torch.tensor([logits], dtype=torch.float64))

    def forward(self, x_B):
        return self.logits.expand(len(x_B), -1)


def test_the_loss_by_hand():
    """At temperature 2, (0, 2 ln 3) is (1/4, 3/4), and (0, 0) is (1/2, 1/2); at 1, the first is (1/10, 9/10)."""
    network = student(distillation=0.75, temperature=2.0)
    network.chain, network.teacher, network.is_taught = Says(0.0, 2 * log(3)), Says(0.0, 0.0), True
    divergence = 0.5 * log(0.5 / 0.25) + 0.5 * log(0.5 / 0.75)
    expected = 0.25 * -log(0.9) + 0.75 * 2**2 * divergence
    loss = network.objective(torch.zeros(5, 3), torch.ones(5, dtype=torch.int64), criterion)
    assert loss.item() == pytest.approx(expected)


def test_high_temperatures_match_logits():
    """Hinton et al. 2015, equation 4, times the square of the temperature: the gradient is (z - v) / N, centred."""
    network = student(distillation=1.0, temperature=1e4)
    network.chain, network.teacher, network.is_taught = Says(1.0, -2.0, 4.0), Says(3.0, 0.0, 0.0), True
    network.objective(torch.zeros(5, 3), torch.zeros(5, dtype=torch.int64), criterion).backward()
    expected = [(1 - 1 - (3 - 1)) / 3, (-2 - 1 - (0 - 1)) / 3, (4 - 1 - (0 - 1)) / 3]
    assert network.chain.logits.grad.squeeze().tolist() == pytest.approx(expected, rel=1e-3)


def test_without_a_teacher_it_learns_from_the_labels():
    network, x, y = student(), torch.randn(5, 3), torch.tensor([0, 1, 1, 0, 1])
    torch.testing.assert_close(network.objective(x, y, criterion), F.cross_entropy(network.chain(x), y))


def taught(space, depth):
    """A trained teacher, and a student that has inherited it."""
    torch.manual_seed(1)
    teacher = space.build(architecture_of(space, 2))
    with torch.no_grad():
        for _ in range(3):
            teacher.train()(torch.randn(16, *space.input_shape) + 1)  # moves running statistics, if there are any
    network = student(space, depth)
    network.inherit(teacher.state_dict(), role="teacher")
    return teacher.eval(), network


@pytest.mark.parametrize(("space", "depth"), [(SPACE, 0), (RESNET, 1)], ids=["mlp", "resnet"])
def test_the_teacher_is_the_parent_and_stays_as_it_is(space, depth):
    teacher, network = taught(space, depth)
    x, y = torch.randn(8, *space.input_shape), torch.randint(2, (8,))
    torch.testing.assert_close(network.teacher(x), teacher(x))
    before = {name: tensor.clone() for name, tensor in network.teacher.state_dict().items()}
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.1)
    network.train().objective(x, y, criterion).backward()
    optimizer.step()
    assert before
    assert all(torch.equal(before[name], tensor) for name, tensor in network.teacher.state_dict().items())
    assert all(parameter.grad is not None for parameter in network.parameters())
    assert torch.equal(network(x), network.chain(x))


def test_the_student_alone_counts():
    _, network = taught(SPACE, 0)
    for protocol in (Supernet, HasObjective, Heir, Growing):
        assert isinstance(network, protocol)
    assert sum(weight.numel() for weight in network.parameters()) == 3 * 4 + 4 + 4 * 2 + 2
    assert [one.depth for one in network.derive({})] == [0]
    assert network.profile() == ()


def test_a_state_brings_its_teacher_along():
    _, network = taught(SPACE, 0)
    fresh = student()
    assert (fresh.size(), network.size()) == (0, 1)
    fresh.load_state_dict(network.state_dict())
    assert fresh.size() == 1
    x, y = torch.randn(5, 3), torch.tensor([0, 1, 1, 0, 1])
    assert torch.equal(fresh.objective(x, y, criterion), network.objective(x, y, criterion))


def test_a_student_starts_as_the_same_network_alone_would():
    torch.manual_seed(0)
    alone = SPACE.build(architecture_of(SPACE, 0))
    for name, tensor in student().chain.state_dict().items():
        assert torch.equal(tensor, alone.state_dict()[name])


def test_parameters_become_buffers_under_their_names():
    torch.manual_seed(0)
    chain = SPACE.build(architecture_of(SPACE, 2))
    x, state = torch.randn(5, 3), {name: tensor.clone() for name, tensor in chain.state_dict().items()}
    y = chain(x)
    data = as_buffers(chain)
    assert list(data.parameters()) == []
    assert data.state_dict().keys() == state.keys()
    assert torch.equal(data(x), y)
    assert not data(x).requires_grad


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"student": {"depth": 1}}, r"^student: depth must be one of \[0, 2\], got 1"),
        ({"teacher": {"layers": 1}}, r"^teacher: layers is not a decision"),
    ],
)
def test_both_are_architectures_of_the_space(options, message):
    with pytest.raises(InvalidInput, match=message):
        student(**options)
