"""Exit rules, thresholds and operating points against loops over single inputs in float64."""

import math

import pytest
import torch

from search_spaces.dynamic.exit_rules import (
    ExitRule,
    answers,
    budget_shares,
    confidence,
    confirmations,
    entropy,
    quantile_thresholds,
)

EXITS, BATCH, CLASSES = 4, 60, 3


def logits(seed=0, scale=2.0):
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(EXITS, BATCH, CLASSES, generator=generator, dtype=torch.float64)


def probabilities(y_K):
    exponentials = [math.exp(y) for y in y_K.tolist()]
    return [value / sum(exponentials) for value in exponentials]


def leaves(kind, threshold, ys):
    """Whether an input leaves at the last of these exits."""
    p = probabilities(ys[-1])
    if kind == "confidence":
        return max(p) >= threshold
    if kind == "entropy":
        return -sum(one * math.log(one) for one in p) < threshold
    count, previous = 0, None  # the counter of the paper's algorithm, which starts again whenever the answer changes
    for y in ys:
        answer = y.tolist().index(max(y.tolist()))
        count = count + 1 if answer == previous else 0
        previous = answer
    return count >= threshold


RULES = [
    *(ExitRule(kind="confidence", thresholds=thresholds) for thresholds in [(0.9, 0.8, 0.7), (0.5, 0.99, 0.4)]),
    *(ExitRule(kind="entropy", thresholds=thresholds) for thresholds in [(0.2, 0.5, 0.7), (0.9, 0.1, 0.3)]),
    *(ExitRule(kind="patience", thresholds=thresholds) for thresholds in [(1, 1, 1), (2, 2, 2), (3, 1, 2)]),
]


@pytest.mark.parametrize("rule", RULES)
def test_an_input_leaves_at_the_first_exit_that_lets_it_out(rule):
    y_EBK = logits()
    exit_B = rule.exits(y_EBK)
    for index in range(BATCH):
        taken = next(
            number
            for number in range(EXITS)
            if number == EXITS - 1
            or leaves(rule.kind, rule.thresholds[number], [y_EBK[one, index] for one in range(number + 1)])
        )
        assert exit_B[index] == taken
        assert torch.equal(answers(y_EBK, exit_B)[index], y_EBK[taken, index])
    assert len(set(exit_B.tolist())) > 1


@pytest.mark.parametrize(
    ("kind", "all_at_once", "nobody"),
    [("confidence", 0.0, 1.1), ("entropy", 1.1, 0.0), ("patience", 0, EXITS)],  # ln 3 = 1.0986
)
def test_thresholds_beyond_reach(kind, all_at_once, nobody):
    y_EBK = logits()
    assert (ExitRule(kind=kind, thresholds=(all_at_once,) * 3).exits(y_EBK) == 0).all()
    assert (ExitRule(kind=kind, thresholds=(nobody,) * 3).exits(y_EBK) == EXITS - 1).all()


def test_a_threshold_that_is_met_exactly():
    """Two equal logits: confidence 1/2, entropy ln 2. Confidence needs the threshold, entropy less than it."""
    even = torch.zeros(2, 1, 2, dtype=torch.float64)
    assert ExitRule(kind="confidence", thresholds=(0.5,)).exits(even).item() == 0
    assert ExitRule(kind="entropy", thresholds=(entropy(even[0]).item(),)).exits(even).item() == 1
    assert entropy(even[0]).item() == pytest.approx(math.log(2))


def test_a_certain_answer_has_no_entropy():
    certain = torch.tensor([[2000.0, 0.0, -2000.0]])
    assert entropy(certain).item() == 0
    assert confidence(certain).item() == 1


def test_confirmations_start_again_with_a_new_answer():
    given = torch.tensor([[0, 0, 0], [0, 1, 0], [1, 1, 0], [1, 1, 0]])  # answers of four exits for three inputs
    y_EBK = torch.nn.functional.one_hot(given).double()
    expected = [[0, 0, 0], [1, 0, 1], [0, 1, 2], [1, 2, 3]]
    assert [confirmations(y_EBK[: number + 1]).tolist() for number in range(4)] == expected


@pytest.mark.parametrize("p", [0.05, 0.5, 1.0, 1.95])
def test_shares_are_proportional_to_powers(p):
    total = p + p**2 + p**3
    assert budget_shares(p, 3) == pytest.approx((p / total, p**2 / total, p**3 / total))


@pytest.mark.parametrize("p", [0.3, 0.8, 1.0, 1.6])
def test_thresholds_let_out_what_the_budget_says(p):
    """One input at a time: the most confident of those still there leaves, until as many have left as should."""
    y_EBK = logits(seed=1)
    shares = budget_shares(p, EXITS)
    thresholds = quantile_thresholds(confidence(y_EBK), shares)
    there, left_at = set(range(BATCH)), {}
    for number in range(EXITS - 1):
        sureness = {index: max(probabilities(y_EBK[number, index])) for index in range(BATCH)}
        for _ in range(int(BATCH * shares[number])):
            surest = max(there, key=sureness.get)
            there.remove(surest)
            left_at[surest] = number
    expected = [left_at.get(index, EXITS - 1) for index in range(BATCH)]
    assert ExitRule(kind="confidence", thresholds=thresholds).exits(y_EBK).tolist() == expected
    assert len(set(expected)) >= 3


def test_ties_leave_together_and_an_exit_without_inputs_lets_out_nobody():
    """Ten inputs. The first exit is to let out 3, but 0.9 is the confidence of 4 of them; the second lets out 5 of the
    other 6; the third should let out 2, of the one that is left."""
    first = [0.9] * 4 + [0.6, 0.5, 0.4, 0.3, 0.2, 0.1]
    second = [0.99] * 4 + [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
    third = [0.99] * 4 + [0.7] * 6
    confidence_EB = torch.tensor([first, second, third, [1.0] * 10], dtype=torch.float64)
    assert quantile_thresholds(confidence_EB, (0.3, 0.5, 0.2, 0.0)) == (0.9, 0.2, 0.7)
    assert quantile_thresholds(confidence_EB, (0.05, 1.0, 0.5, 0.0)) == (math.inf, 0.1, math.inf)


def test_a_share_that_is_a_whole_number_but_for_rounding():
    confidence_EB = torch.linspace(0.01, 1, 100, dtype=torch.float64).expand(2, 100)
    assert 0.29 * 100 < 29
    assert quantile_thresholds(confidence_EB, (0.29, 0.71)) == pytest.approx((0.72,))  # 0.72, 0.73, ..., 1 are 29
