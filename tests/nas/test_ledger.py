import pytest

from controllers.cost import Charge, ChargeKind, Cost, Unit
from nas.ledger import Ledger
from nas.settlement import bill, cap
from nas.tariff import Blocks, Throughput, training_tariff
from search_spaces.errors import BudgetExceeded


def test_reserving_settling_and_what_is_free():
    ledger = Ledger(100)
    ledger.reserve(0, 60)
    ledger.reserve(1, 30)
    assert (ledger.spent, ledger.committed, ledger.free) == (0, 90, 10)
    ledger.settle(0, 45)
    assert (ledger.spent, ledger.committed, ledger.free) == (45, 75, 25)
    ledger.charge(25)
    assert (ledger.spent, ledger.committed, ledger.free) == (70, 100, 0)
    assert ledger.reservation(1) == 30


def test_a_trial_never_spends_more_than_it_reserved():
    ledger = Ledger(100)
    ledger.reserve(0, 60)
    with pytest.raises(BudgetExceeded, match="trial 0 spent 61, but reserved 60"):
        ledger.settle(0, 61)
    ledger.settle(0, 60)
    assert (ledger.spent, ledger.free) == (60, 40)


def test_a_released_reservation_is_free_again():
    ledger = Ledger(100)
    ledger.reserve(0, 60)
    ledger.release(0)
    assert (ledger.spent, ledger.free) == (0, 100)


def test_more_than_is_free_can_neither_be_reserved_nor_charged():
    ledger = Ledger(100)
    ledger.reserve(0, 100)
    with pytest.raises(BudgetExceeded, match="trial 1 reserves 1, but only 0 of 100 are free"):
        ledger.reserve(1, 1)
    with pytest.raises(BudgetExceeded, match="a charge of 1 exceeds the 0 of 100"):
        ledger.charge(1)
    assert (ledger.spent, ledger.committed) == (0, 100)


def charge(kind=ChargeKind.TRAIN, **amounts):
    return Charge(kind=kind, cost=Cost(**amounts))


@pytest.mark.parametrize(("epochs", "trials"), [(0, 1), (1, 1), (10, 1), (11, 2), (30, 3)])
def test_a_long_training_counts_as_several_trials(epochs, trials):
    train = charge(flops=5, epochs=epochs)
    assert bill((train,), controller_flops=7, epochs_per_trial=10) == (
        train,
        charge(ChargeKind.CONTROLLER, flops=7, trials=trials),
    )


def test_cap_divides_one_unit_and_leaves_the_others():
    charges = (
        charge(flops=10, device_us=6, epochs=1),
        charge(ChargeKind.VALIDATE, flops=10, device_us=6),
        charge(ChargeKind.CONTROLLER, flops=1, device_us=6, trials=1),
    )
    paid, excess = cap(charges, 8, Unit.DEVICE_SECONDS)
    assert paid == (
        charge(flops=10, device_us=6, epochs=1),
        charge(ChargeKind.VALIDATE, flops=10, device_us=2),
        charge(ChargeKind.CONTROLLER, flops=1, device_us=0, trials=1),
    )
    assert excess == (charge(ChargeKind.VALIDATE, device_us=4), charge(ChargeKind.CONTROLLER, device_us=6))


def test_cap_leaves_what_fits_as_it_is():
    charges = (charge(flops=10, epochs=1), charge(ChargeKind.VALIDATE, flops=5))
    assert cap(charges, 15, Unit.FLOPS) == (charges, ())


@pytest.mark.parametrize("per_block", [1, 4])
@pytest.mark.parametrize("amount", [0, 3, 9, 10, 15, 16, 17, 100])
def test_what_is_affordable_is_the_most_that_the_amount_pays_for(amount, per_block):
    costs = Blocks(fixed=3, block=6, epochs_per_block=per_block)
    epochs = costs.affordable(amount)
    assert epochs == 0 or costs.price(epochs) <= amount
    assert costs.price(epochs + 1) > amount


def in_unit(unit, **fields):
    epoch = Cost(flops=100, epochs=1)
    return training_tariff(
        unit, epoch=epoch, controller_flops=7, epochs_per_trial=4, throughput=Throughput(1.0), **fields
    )


def test_the_price_of_six_epochs_in_every_unit():
    assert in_unit(Unit.FLOPS).price(6) == 7 + 600
    assert in_unit(Unit.EPOCHS).price(6) == 6
    assert in_unit(Unit.TRIALS).price(6) == 2
    assert in_unit(Unit.DEVICE_SECONDS).price(6) == 6 * 125  # 100 FLOPs at 1 us each, a quarter on top


def test_what_follows_the_last_epoch_is_paid_once():
    conclusion = Cost(flops=40)
    assert in_unit(Unit.FLOPS, conclusion=conclusion).price(6) == 7 + 40 + 600
    assert in_unit(Unit.FLOPS, conclusion=conclusion).affordable(646) == 5
    assert in_unit(Unit.DEVICE_SECONDS, conclusion=conclusion).price(6) == 50 + 6 * 125
    assert in_unit(Unit.EPOCHS, conclusion=conclusion).price(6) == 6
    assert in_unit(Unit.TRIALS, conclusion=conclusion).price(6) == 2


def test_throughput_forgets_the_guess_and_remembers_the_slowest():
    throughput = Throughput(1.0)
    throughput.observe(Cost(flops=1000, device_us=100))
    assert throughput.predict_us(1000) == 125
    throughput.observe(Cost(flops=1000, device_us=400))
    throughput.observe(Cost(flops=1000, device_us=200))
    assert throughput.predict_us(1000) == 500


@pytest.mark.parametrize("nothing", [Cost(), Cost(flops=5), Cost(device_us=5)])
def test_throughput_learns_nothing_from_a_trial_without_work_or_time(nothing):
    throughput = Throughput(1.0)
    throughput.observe(nothing)
    assert throughput.predict_us(8) == 10
