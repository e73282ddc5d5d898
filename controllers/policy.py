"""The policy of `reinforce`: an LSTM that answers the decisions of a space one by one (Zoph & Le, ICLR 2017, 3.2).

Every answer is embedded and becomes the next input; every decision has a softmax of its own over its options.
The space is not known beforehand: a decision that was never met has the parameters that the seed and its name
give it, so that conditional spaces need no declaration and asking needs no memory.

Shapes: T decisions of one architecture, L layers, H units, N options of one decision.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from types import MappingProxyType

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from controllers.seeds import derive_seed
from search_spaces.architecture import Option
from search_spaces.compose import Decision
from search_spaces.flops import flop_counter
from search_spaces.space import Choose

INIT_BOUND = 0.08
"""Parameters start uniform in [-0.08, 0.08] (Zoph & Le, section 4.1)."""

DTYPE = torch.float64
"""Replay must be exact, and on matrices this small double precision costs nothing."""

FORBIDDEN = -1e30
"""Logit of an option that cannot be chosen. Finite, since `0 * -inf` would make the entropy NaN."""

Question = tuple[str, Sequence[Option]]
"""Name and options of a decision."""

Allowed = Callable[[str, Sequence[Option]], Sequence[int]]
"""Indices of the options of a decision that may be answered now; never empty."""


class LstmPolicy:
    """Probabilities of answers given the answers before them. Draws nothing from torch's generators."""

    def __init__(self, *, seed: int, num_units: int, num_layers: int) -> None:
        self._seed = seed
        self._num_units = num_units
        self._state_shape = (num_layers, 1, num_units)
        self._met: dict[str, Tensor] = {}
        shapes = ((4 * num_units, num_units), (4 * num_units, num_units), (4 * num_units,), (4 * num_units,))
        self._weights = [
            self._meet(f"layer{layer}.{name}", shape)
            for layer in range(1, num_layers + 1)
            for name, shape in zip(("input", "hidden", "input_bias", "hidden_bias"), shapes, strict=True)
        ]
        self._start_1H = self._meet("start", (1, num_units))

    @property
    def parameters(self) -> Mapping[str, Tensor]:
        """What is learned, by name, in the order in which it was met: grows with every new decision or answer."""
        return MappingProxyType(self._met)

    def chooser(self, rng: np.random.Generator, allowed: Allowed) -> Choose:
        """An answerer that draws from the policy. Changes nothing in it."""
        input_1H = self._start_1H
        state = self._initial_state()

        @torch.no_grad()
        def choose(name: str, options: Sequence[Option], /) -> Option:
            nonlocal input_1H, state
            output_T1H, state = self._lstm(input_1H[None], state)
            log_p_TN = self._log_probabilities(output_T1H, [(name, options)], allowed)
            option = options[rng.choice(len(options), p=log_p_TN[0].exp().numpy())]
            input_1H = self._embedding(name, option)
            return option

        return choose

    def evaluate(self, asked: Sequence[Decision], allowed: Allowed) -> tuple[Tensor, Tensor]:
        """How likely the policy is to give these answers, and how open it is at each of them.

        Decisions met for the first time become part of the policy.

        Returns:
            Log-probabilities of the answers `[T]` and entropies in nats `[T]`, both differentiable.
        """
        for decision in asked:
            self._meet_decision(decision)
        answers = [self._embedding(decision.name, decision.answer) for decision in asked[:-1]]
        output_T1H, _ = self._lstm(torch.stack([self._start_1H, *answers]), self._initial_state())
        questions = [(decision.name, decision.options) for decision in asked]
        log_p_TN = self._log_probabilities(output_T1H, questions, allowed)
        answered_T1 = torch.tensor([[decision.options.index(decision.answer)] for decision in asked])
        return log_p_TN.gather(1, answered_T1)[:, 0], -(log_p_TN.exp() * log_p_TN).sum(1)

    def _lstm(self, inputs_T1H: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        # has_biases, num_layers, dropout, train, bidirectional, batch_first
        flags = (True, self._state_shape[0], 0.0, False, False, False)
        output_T1H, hidden_L1H, cell_L1H = torch.lstm(inputs_T1H, state, self._weights, *flags)
        return output_T1H, (hidden_L1H, cell_L1H)

    def _initial_state(self) -> tuple[Tensor, Tensor]:
        return torch.zeros(self._state_shape, dtype=DTYPE), torch.zeros(self._state_shape, dtype=DTYPE)

    def _log_probabilities(self, output_T1H: Tensor, questions: Sequence[Question], allowed: Allowed) -> Tensor:
        """`[T, N]`, N the most options of all questions; `FORBIDDEN` where an option is missing or not allowed."""
        logits = [self._logits(output_1H, *asked) for output_1H, asked in zip(output_T1H, questions, strict=True)]
        logits_TN = pad_sequence(logits, batch_first=True)
        forbidden_TN = np.ones(logits_TN.shape, dtype=np.bool_)
        for row, question in enumerate(questions):
            forbidden_TN[row, list(allowed(*question))] = False
        return logits_TN.masked_fill(torch.from_numpy(forbidden_TN), FORBIDDEN).log_softmax(1)

    def _logits(self, output_1H: Tensor, name: str, options: Sequence[Option]) -> Tensor:
        weight_NH = self._parameter(*self._head(name, options))
        bias_N = self._parameter(*self._head_bias(name, options))
        return torch.addmm(bias_N, output_1H, weight_NH.t())[0]

    def _embedding(self, name: str, option: Option) -> Tensor:
        return self._parameter(*self._answer(name, option))

    def _meet_decision(self, decision: Decision) -> None:
        self._meet(*self._head(decision.name, decision.options))
        self._meet(*self._head_bias(decision.name, decision.options))
        self._meet(*self._answer(decision.name, decision.answer))

    def _head(self, name: str, options: Sequence[Option]) -> tuple[str, tuple[int, int]]:
        return f"head {name} {json.dumps(list(options))}", (len(options), self._num_units)

    def _head_bias(self, name: str, options: Sequence[Option]) -> tuple[str, tuple[int]]:
        return f"bias {name} {json.dumps(list(options))}", (len(options),)

    def _answer(self, name: str, option: Option) -> tuple[str, tuple[int, int]]:
        return f"answer {name} {json.dumps(option)}", (1, self._num_units)

    def _parameter(self, key: str, shape: tuple[int, ...]) -> Tensor:
        known = self._met.get(key)
        return self._initial(key, shape) if known is None else known

    def _meet(self, key: str, shape: tuple[int, ...]) -> Tensor:
        if key not in self._met:
            self._met[key] = self._initial(key, shape).requires_grad_()
        return self._met[key]

    def _initial(self, key: str, shape: tuple[int, ...]) -> Tensor:
        rng = np.random.default_rng(derive_seed(self._seed, key))
        return torch.from_numpy(rng.uniform(-INIT_BOUND, INIT_BOUND, shape))


@cache
def policy_flops(num_units: int, num_layers: int, option_counts: tuple[int, ...]) -> int:
    """FLOPs of one trial's share of the policy: draw its answers, evaluate them, and go back through them.

    Counted on the real code with stand-in decisions; it depends on nothing but these numbers. Elementwise work
    and the optimiser's are not counted, as everywhere in the service.
    """
    if not option_counts:
        return 0
    policy = LstmPolicy(seed=0, num_units=num_units, num_layers=num_layers)
    choose = policy.chooser(np.random.default_rng(0), everything)
    asked = [Decision(name=f"{i}", options=tuple(range(n)), answer=0) for i, n in enumerate(option_counts)]
    with flop_counter() as counter:
        for decision in asked:
            choose(decision.name, decision.options)
        log_probabilities_T, entropies_T = policy.evaluate(asked, everything)
        torch.autograd.backward(log_probabilities_T.sum() + entropies_T.sum())
    flops: int = counter.get_total_flops()
    return flops


def everything(_: str, options: Sequence[Option]) -> Sequence[int]:
    """Allows every option."""
    return range(len(options))
