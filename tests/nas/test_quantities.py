"""Numbers as people read them."""

import pytest

from controllers.cost import Unit
from nas.quantities import amount, flops, number, percent, seconds


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 FLOPs"),
        (999, "999 FLOPs"),
        (999.9, "1 kFLOPs"),
        (1000, "1 kFLOPs"),
        (12_345, "12.3 kFLOPs"),
        (3_400_000_000, "3.4 GFLOPs"),
        (999_960_000, "1 GFLOPs"),
        (2**63 - 1, "9.22 EFLOPs"),
        (None, "-"),
    ],
)
def test_flops(count, text):
    assert flops(count) == text


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (0, "0 s"),
        (0.25, "0.25 s"),
        (12.34, "12.3 s"),
        (60, "1:00"),
        (185, "3:05"),
        (3605, "1:00:05"),
        (36_000, "10:00:00"),
        (90_061, "1 day, 1:01:01"),
        (None, "-"),
    ],
)
def test_seconds(duration, text):
    assert seconds(duration) == text


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (2.5e9, Unit.FLOPS, "2.5 GFLOPs"),
        (90, Unit.DEVICE_SECONDS, "1:30"),
        (1, Unit.EPOCHS, "1 epoch"),
        (1500, Unit.TRIALS, "1,500 trials"),
    ],
)
def test_amounts(value, unit, text):
    assert amount(value, unit) == text


def test_shares_are_shown_in_percent():
    assert [percent(0.931), percent(0.1, sign=True), percent(-0.02, sign=True), percent(None)] == [
        "93.1",
        "+10.0",
        "-2.0",
        "-",
    ]


def test_whole_numbers_have_no_point():
    assert [number(6.0), number(5.5), number(1234), number(None)] == ["6", "5.5", "1,234", "-"]
