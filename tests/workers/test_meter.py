import pytest
import torch
from torch import nn
from torch.nn import functional as F

from controllers.cost import Charge, ChargeKind, Cost
from search_spaces.errors import TrialFailed
from workers.meter import Meter
from workers.tasks import Split

CPU = torch.device("cpu")
B, IN, HIDDEN, OUT = 4, 3, 5, 2


def batch(size=B):
    return Split(x=torch.ones(size, IN), y=torch.zeros(size, dtype=torch.int64))


def linear():
    return nn.Linear(IN, OUT)


def flops(meter, kind=ChargeKind.TRAIN):
    return next(charge.cost.flops for charge in meter.charges() if charge.kind is kind)


def test_a_linear_layer_forward():
    meter, layer = Meter(CPU), linear()
    meter.step("forward", ChargeKind.VALIDATE, lambda batch: layer(batch.x), batch())
    assert flops(meter, ChargeKind.VALIDATE) == 2 * B * IN * OUT


def test_a_training_step_of_two_layers():
    meter = Meter(CPU)
    network = nn.Sequential(nn.Linear(IN, HIDDEN), nn.Linear(HIDDEN, OUT))
    meter.step("weights", ChargeKind.TRAIN, lambda b: F.cross_entropy(network(b.x), b.y).backward(), batch())
    # Forward, gradient of the weight, and gradient of the input, which the first layer does not need.
    assert flops(meter) == 2 * B * (2 * IN * HIDDEN + 3 * HIDDEN * OUT)


def test_later_steps_cost_what_the_first_did_per_batch_size():
    meter, layer = Meter(CPU), linear()
    for size in (B, B, 1, B, 1):
        meter.step("forward", ChargeKind.VALIDATE, lambda batch: layer(batch.x), batch(size))
    assert flops(meter, ChargeKind.VALIDATE) == 2 * (3 * B + 2) * IN * OUT
    assert meter.flops("forward", 1) == 2 * IN * OUT


def test_kinds_are_charged_apart():
    meter, layer = Meter(CPU), linear()
    for kind in (ChargeKind.VALIDATE, ChargeKind.TEST, ChargeKind.VALIDATE):
        meter.step("forward", kind, lambda batch: layer(batch.x), batch())
    one = 2 * B * IN * OUT
    assert meter.charges() == (
        Charge(kind=ChargeKind.VALIDATE, cost=Cost(flops=2 * one)),
        Charge(kind=ChargeKind.TEST, cost=Cost(flops=one)),
    )
    assert meter.total() == Cost(flops=3 * one)


def broken(layer, when):
    def step(batch):
        layer(batch.x)
        if when():
            raise ValueError("broken")

    return step


def test_a_first_step_that_breaks_is_charged_up_to_there():
    meter, layer = Meter(CPU), linear()
    with pytest.raises(ValueError, match="broken"):
        meter.step("weights", ChargeKind.TRAIN, broken(layer, lambda: True), batch())
    assert flops(meter) == 2 * B * IN * OUT


def test_exactly_the_steps_that_began_are_charged():
    meter, layer, calls = Meter(CPU), linear(), iter(range(5))
    step = broken(layer, lambda: next(calls) == 2)
    for _ in range(2):
        meter.step("weights", ChargeKind.TRAIN, step, batch())
    with pytest.raises(ValueError, match="broken"):
        meter.step("weights", ChargeKind.TRAIN, step, batch())
    assert flops(meter) == 3 * 2 * B * IN * OUT


def test_a_step_beyond_the_grant_is_not_run():
    one, ran = 2 * B * IN * OUT, []
    meter, layer = Meter(CPU, max_flops=2 * one), linear()

    def step(batch):
        ran.append(1)
        return layer(batch.x)

    for _ in range(2):
        meter.step("weights", ChargeKind.TRAIN, step, batch())
    with pytest.raises(TrialFailed, match=f"the grant of {2 * one} FLOPs is spent"):
        meter.step("weights", ChargeKind.TRAIN, step, batch())
    assert (len(ran), flops(meter)) == (2, 2 * one)


def test_device_time_is_charged_to_its_kind(monkeypatch):
    now = iter([10.0, 10.25, 20.0, 20.5])
    monkeypatch.setattr("workers.meter.time.perf_counter", lambda: next(now))
    meter = Meter(CPU)
    with meter.clock(ChargeKind.TRAIN):
        pass
    with pytest.raises(ValueError, match="broken"), meter.clock(ChargeKind.VALIDATE):
        raise ValueError("broken")
    assert meter.charges() == (
        Charge(kind=ChargeKind.TRAIN, cost=Cost(device_us=250_000)),
        Charge(kind=ChargeKind.VALIDATE, cost=Cost(device_us=500_000)),
    )


def test_goes_on_from_a_checkpoint():
    meter = Meter(CPU)
    meter.count_epoch()
    again = Meter(CPU)
    again.resume(meter.charges())
    again.count_epoch()
    assert again.charges() == (Charge(kind=ChargeKind.TRAIN, cost=Cost(epochs=2)),)
