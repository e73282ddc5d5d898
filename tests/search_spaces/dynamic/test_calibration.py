"""Calibration: temperatures whose optimum is known, and bins filled by hand."""

import math

import pytest
import torch
from torch.nn import functional as F

from search_spaces.dynamic.calibration import MAX_TEMPERATURE, MIN_TEMPERATURE, fit_temperatures, reliability


def honest(temperature):
    """Logits that are `temperature` times what they should be: each class is the label as often as they say."""
    rows, labels = [], []
    for p in [(0.5, 0.3, 0.2), (0.1, 0.7, 0.2), (0.1, 0.1, 0.8)]:
        for label, share in enumerate(p):
            rows += [[temperature * math.log(one) + 3.0 for one in p]] * round(10 * share)
            labels += [label] * round(10 * share)
    return torch.tensor(rows, dtype=torch.float64), torch.tensor(labels)


def test_the_temperature_undoes_what_made_logits_too_large_or_too_small():
    temperatures = (0.02, 0.3, 1.0, 4.5, 90.0)
    y_EBK = torch.stack([honest(one)[0] for one in temperatures])
    torch.testing.assert_close(
        fit_temperatures(y_EBK, honest(1.0)[1]), torch.tensor(temperatures, dtype=torch.float64), rtol=1e-10, atol=0
    )


def test_two_classes_and_one_size_of_logits():
    """sigmoid(2 / T) = 0.8, the accuracy, for T = 2 / ln 4, and then confidence is accuracy."""
    y_BK = torch.tensor([[2.0, 0.0]] * 5)
    y_B = torch.tensor([0, 0, 1, 0, 0])
    (temperature,) = fit_temperatures(y_BK.unsqueeze(0), y_B).tolist()
    assert temperature == pytest.approx(2 / math.log(4), rel=1e-12)
    softened = reliability(y_BK.double() / temperature, y_B)
    assert softened.expected_calibration_error == pytest.approx(0, abs=1e-12)


def test_no_other_temperature_has_a_lower_loss():
    generator = torch.Generator().manual_seed(0)
    y_EBK = 3 * torch.randn(4, 50, 6, generator=generator, dtype=torch.float64)
    y_B = torch.randint(6, (50,), generator=generator)
    y_EBK[1, torch.arange(50), y_B] += 2.5  # mostly right
    y_EBK[2, torch.arange(50), y_B] += 0.5
    y_EBK[3] /= 20
    found = fit_temperatures(y_EBK, y_B)
    for y_BK, temperature in zip(y_EBK, found, strict=True):
        least = F.cross_entropy(y_BK / temperature, y_B)
        for log in torch.linspace(math.log(MIN_TEMPERATURE), math.log(MAX_TEMPERATURE), 2001, dtype=torch.float64):
            assert least <= F.cross_entropy(y_BK / log.exp(), y_B) + 1e-14


def test_all_right_or_all_wrong_end_at_the_bounds():
    y_BK = torch.tensor([[1.0, 0.0], [0.0, 3.0]])
    right, wrong = torch.tensor([0, 1]), torch.tensor([1, 0])
    assert fit_temperatures(y_BK.unsqueeze(0), right).item() == pytest.approx(MIN_TEMPERATURE)
    assert fit_temperatures(y_BK.unsqueeze(0), wrong).item() == pytest.approx(MAX_TEMPERATURE)


def saying(confidences):
    """Logits of two classes that give the first this probability."""
    return torch.tensor([[math.log(p), math.log(1 - p)] for p in confidences], dtype=torch.float64)


def test_five_bins_by_hand():
    """Bins end at .2, .4, .6, .8, 1. In (.4, .6]: .55 and .58, one right; in (.6, .8]: .7, right; in (.8, 1]: .9, .9
    and .95, of which one right. The error is (2 |.5 - .565| + |1 - .7| + 3 |1/3 - 2.75/3|) / 6 = 2.18 / 6."""
    y_BK = saying([0.55, 0.9, 0.58, 0.7, 0.95, 0.9])
    diagram = reliability(y_BK, torch.tensor([0, 1, 1, 0, 0, 1]), num_bins=5)
    assert diagram.counts == (0, 0, 2, 1, 3)
    assert diagram.accuracy == pytest.approx((0, 0, 0.5, 1, 1 / 3))
    assert diagram.confidence == pytest.approx((0, 0, 0.565, 0.7, 2.75 / 3))
    assert diagram.expected_calibration_error == pytest.approx(2.18 / 6)


def test_a_confidence_on_an_edge_belongs_to_the_lower_bin():
    even = torch.zeros(3, 2)  # 1/2 exactly, the edge of two bins; ties are answered with the first class
    assert reliability(even, torch.tensor([0, 0, 1]), num_bins=2).counts == (3, 0)
    certain = torch.tensor([[900.0, 0.0]])
    diagram = reliability(certain, torch.tensor([1]))
    assert diagram.counts == (0,) * 14 + (1,)
    assert diagram.expected_calibration_error == 1


def test_fifteen_bins_against_a_loop():
    generator = torch.Generator().manual_seed(1)
    y_BK = 2 * torch.randn(200, 4, generator=generator, dtype=torch.float64)
    y_B = torch.randint(4, (200,), generator=generator)
    total = 0.0
    for number in range(15):
        inside = []
        for y, label in zip(y_BK.tolist(), y_B.tolist(), strict=True):
            powers = [math.exp(one) for one in y]
            sure = max(powers) / sum(powers)
            if number / 15 < sure <= (number + 1) / 15:
                inside.append((sure, powers.index(max(powers)) == label))
        if inside:
            gap = sum(right for _, right in inside) / len(inside) - sum(sure for sure, _ in inside) / len(inside)
            total += len(inside) / 200 * abs(gap)
    assert reliability(y_BK, y_B).expected_calibration_error == pytest.approx(total)
