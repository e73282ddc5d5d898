import torch
from torch import nn

from search_spaces.chain import Chain
from search_spaces.flops import count_flops, inference_flops, level_flops


def test_a_product_costs_two_flops_per_multiplication():
    a, b = torch.randn(2, 3), torch.randn(3, 5)
    assert count_flops(lambda: a @ b) == 2 * 2 * 3 * 5
    assert count_flops(lambda: a + 1) == 0


def test_the_backward_pass_is_counted_as_it_runs():
    first, second = nn.Linear(3, 4), nn.Linear(4, 5)
    x_BD = torch.randn(2, 3)
    one, two = 2 * 2 * 3 * 4, 2 * 2 * 4 * 5
    # the gradient of the weights of both, that of the input of the second only
    assert count_flops(lambda: second(first(x_BD)).sum().backward()) == one + two + one + 2 * two


def test_inference_flops_are_those_of_eval_mode():
    class OnlyInTraining(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(3, 3)

        def forward(self, x_BD: torch.Tensor) -> torch.Tensor:
            return self.linear(x_BD) if self.training else x_BD

    network = nn.Sequential(OnlyInTraining(), nn.Linear(3, 7).eval())
    assert inference_flops(network, (3,)) == 2 * 3 * 7
    assert [module.training for module in network] == [True, False]


def test_nothing_runs_and_nothing_changes():
    network = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.BatchNorm2d(2))
    before = {name: (id(tensor), tensor.clone()) for name, tensor in network.state_dict(keep_vars=True).items()}
    generator = torch.get_rng_state()
    assert inference_flops(network, (1, 5, 4)) == 2 * 5 * 4 * 9 * 2
    assert torch.equal(torch.get_rng_state(), generator)
    for name, tensor in network.state_dict(keep_vars=True).items():
        identity, values = before[name]
        assert id(tensor) == identity
        assert torch.equal(tensor, values)


def test_shared_weights_are_counted_every_time_they_are_used():
    shared = nn.Linear(4, 4)
    chain = Chain(nn.Linear(3, 4), [shared, shared], nn.Linear(4, 2))
    assert level_flops(chain, (3,)) == (2 * 3 * 4, 2 * 4 * 4, 2 * 4 * 4, 2 * 4 * 2)
