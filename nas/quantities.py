"""Numbers as people read them: 3.4 GFLOPs, 12.3 s, 93.1 %."""

from __future__ import annotations

import math
from datetime import timedelta

from controllers.cost import Unit

PREFIXES = ("", "k", "M", "G", "T", "P", "E")
NOTHING = "-"
"""Stands where there is no value."""


def percent(share: float | None, *, digits: int = 1, sign: bool = False) -> str:
    """A share in [0, 1] in percent, without the sign `%`."""
    if share is None:
        return NOTHING
    return f"{100 * share:{'+' if sign else ''}.{digits}f}"


def flops(count: float | None) -> str:
    """FLOPs with three digits and a prefix: `3.4 GFLOPs`."""
    if count is None:
        return NOTHING
    power = min(max(math.floor(math.log10(count)) // 3, 0), len(PREFIXES) - 1) if count >= 1 else 0
    scaled = count / 1000**power
    if float(f"{scaled:.3g}") >= 1000 and power + 1 < len(PREFIXES):  # 999.9 would be shown as 1e+03
        power, scaled = power + 1, scaled / 1000
    return f"{_three_digits(scaled)} {PREFIXES[power]}FLOPs"


def seconds(duration: float | None) -> str:
    """A duration: `0.25 s`, `12.3 s`, `3:05`, `2:03:05` or `5 days, 2:03:05`."""
    if duration is None:
        return NOTHING
    if duration < 60:
        return f"{_three_digits(duration)} s"
    whole = str(timedelta(seconds=round(duration)))
    return whole.removeprefix("0:0").removeprefix("0:")


def amount(value: float | None, unit: Unit) -> str:
    """So much of a unit: FLOPs and seconds as above, epochs and trials as whole numbers."""
    if value is None:
        return NOTHING
    match unit:
        case Unit.FLOPS:
            return flops(value)
        case Unit.DEVICE_SECONDS:
            return seconds(value)
        case Unit.EPOCHS | Unit.TRIALS:
            return f"{value:,.0f} {unit.value.removesuffix('s') if value == 1 else unit.value}"


def number(count: float | None, *, digits: int = 1) -> str:
    """A number with at most so many digits after the point, none if it is whole."""
    if count is None:
        return NOTHING
    return f"{count:,.0f}" if float(count).is_integer() else f"{count:,.{digits}f}"


def _three_digits(value: float) -> str:
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"
