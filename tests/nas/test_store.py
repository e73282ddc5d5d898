"""What is recorded is what is loaded, in both dialects."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controllers.cost import Charge, ChargeKind, Cost, Unit
from controllers.trial import Epoch, Kind, Measurement, Proposal, Status, Trial
from nas.records import (
    Account,
    ArtifactSaved,
    Charged,
    Noted,
    Phase,
    StoredRun,
    StoredStudy,
    StoredTrial,
    StudyChanged,
    StudyStatus,
)
from nas.store import Store, open_store
from search_spaces.architecture import Architecture
from search_spaces.errors import StoreError
from tests.nas.histories import (
    HUGE,
    architecture,
    charge,
    chose,
    epoch,
    finish,
    finished,
    lost,
    measurement,
    plan,
    report,
    search,
    start,
    started,
)

SPEC = {"name": "depths", "methods": [{"b": 1}, {"a": None}]}
VERSIONS = {"python": "3.11.2"}


def create(store: Store, *plans: object, name: str = "depths") -> int:
    return store.create_study(name, SPEC, plans or (plan(),), VERSIONS)


def test_a_new_study_loads_as_it_was_created(store: Store):
    plans = (plan(0), plan(1, unit=Unit.DEVICE_SECONDS, budget=2**63 - 1, label="grid"))
    study_id = create(store, *plans)
    nothing = {account: Cost() for account in Account}
    assert store.load("depths") == StoredStudy(
        id=study_id,
        name="depths",
        spec=SPEC,
        status=StudyStatus.RUNNING,
        versions=VERSIONS,
        runs=tuple(
            StoredRun(plan=one, phase=Phase.SEARCHING, stop_reason="", choice=None, paid=nothing, trials=())
            for one in plans
        ),
    )


def test_a_study_is_found_by_name_and_by_id(store: Store):
    create(store, name="one")
    second = create(store, name="two")
    assert store.load(second).name == store.load(str(second)).name == store.load("two").name == "two"


def test_an_unknown_study_is_an_error_that_lists_the_known(store: Store):
    create(store, name="one")
    with pytest.raises(StoreError, match="no study 'three'; the database holds: one"):
        store.load("three")


def test_a_name_belongs_to_one_study(store: Store):
    create(store)
    with pytest.raises(StoreError, match="already one called 'depths'"):
        create(store)


def test_a_budget_that_cannot_be_counted_is_refused_and_nothing_is_stored(store: Store):
    with pytest.raises(StoreError, match="budget of run random must be between 0 and 9223372036854775807"):
        create(store, plan(budget=2**63))
    assert store.studies() == ()


def test_summaries_count_runs_and_trials(store: Store):
    create(store, name="empty")
    study_id = create(store, plan(0), plan(1), name="full")
    store.record(study_id, [start(0, started(0)), start(0, started(1)), start(1, started(0))])
    store.record(study_id, [StudyChanged(status=StudyStatus.COMPLETE)])
    assert [(one.name, one.status, one.num_runs, one.num_trials) for one in store.studies()] == [
        ("empty", StudyStatus.RUNNING, 1, 0),
        ("full", StudyStatus.COMPLETE, 2, 3),
    ]


def test_a_running_trial_loads_with_all_that_dispatching_it_again_takes(store: Store):
    study_id = create(store)
    proposal = Proposal(
        architecture=Architecture(depth=3, form={"z": 1, "a": [1.0, "x"]}, decisions={"z": 1.0, "a": True, "m": 1}),
        recipe="grow",
        recipe_options={"rate": 0.5},
        epochs=4,
        min_epochs=1,
        budget_share=0.25,
        parent=0,
        prunable=False,
        controller_flops=HUGE,
    )
    trial = Trial(number=1, proposal=proposal, epochs=4, seed=2**63 - 1)
    store.record(study_id, [start(0, started(0)), start(0, trial, reserved=HUGE)])
    store.record(study_id, [report(0, 1, epoch(1), epoch(2)), lost(0, 1, 0, charge(3))])
    loaded = store.load(study_id).runs[0].trials[1]
    assert loaded == StoredTrial(
        run=0,
        trial=replace(trial, epochs=2),  # the loss shortened it
        account=Account.SEARCH,
        reserved=90,
        attempt=1,
        epochs=(epoch(1), epoch(2)),
        order=None,
        reused_from=None,
    )
    decisions = loaded.trial.architecture.decisions
    assert list(decisions) == ["z", "a", "m"]
    assert [type(answer) for answer in decisions.values()] == [float, bool, int]


def test_a_relaxation_loads_with_its_profiles_and_what_it_derived(store: Store):
    study_id = create(store)
    trial = started(0, kind=Kind.RELAXATION)
    result = Measurement(
        metrics={"val_accuracy": 0.1 + 0.2},
        charges=(charge(1), charge(HUGE, ChargeKind.ARCHITECTURE)),
        epochs=2,
        num_parameters=2**40,
        inference_flops=HUGE,
        profile=(0.25, 0.75),
        derived=(architecture(2), architecture(1)),
    )
    told = replace(trial, status=Status.PRUNED, measurement=result)
    reports = (epoch(1, profile=(0.5, 0.5)), epoch(2, profile=(0.1, 0.9)))
    store.record(study_id, [start(0, trial), report(0, 0, *reports), finish(0, told, 0, *result.charges)])
    (loaded,) = store.load(study_id).finished
    assert loaded.trial == told
    assert [dict(one.decisions) for one in loaded.trial.measurement.derived] == [
        {"depth": 2, "bias": True},
        {"depth": 1, "bias": True},
    ]
    assert loaded.epochs == reports


def test_finished_trials_come_in_the_order_of_finishing_and_the_rest_as_running(store: Store):
    study_id = create(store, plan(0), plan(1))
    trials = [started(number) for number in range(3)]
    store.record(study_id, [start(run, trial) for run in (0, 1) for trial in trials])
    store.record(study_id, [finish(1, finished(trials[2], 0.5), 0), finish(0, finished(trials[1], None), 1)])
    store.record(
        study_id, [finish(0, finished(trials[0], 0.7), 2), finish(1, finished(trials[0], 0.5), 3, reused_from=2)]
    )
    loaded = store.load(study_id)
    assert [(one.run, one.trial.number, one.order) for one in loaded.finished] == [
        (1, 2, 0),
        (0, 1, 1),
        (0, 0, 2),
        (1, 0, 3),
    ]
    assert [(one.run, one.trial.number) for one in loaded.running] == [(0, 2), (1, 1)]
    assert loaded.finished[1].trial == finished(trials[1], None)
    assert [one.reused_from for one in loaded.finished] == [None, None, None, 2]


def test_an_epoch_reported_again_replaces_the_first_report(store: Store):
    study_id = create(store)
    again = Epoch(number=2, metrics={"val_loss": 3.0}, cost=Cost(flops=9), profile=(0.0, 1.0))
    store.record(study_id, [start(0, started(0, kind=Kind.RELAXATION))])
    store.record(study_id, [report(0, 0, epoch(1, profile=(1.0, 0.0)), epoch(2, profile=(1.0, 0.0)))])
    store.record(study_id, [report(0, 0, again)])
    assert store.load(study_id).running[0].epochs == (epoch(1, profile=(1.0, 0.0)), again)


def test_the_phase_the_reason_and_the_choice_of_a_run_load(store: Store):
    study_id = create(store)
    store.record(study_id, [*search(0, 0, 0, 0.5, 10), chose(0, 0, Phase.FINAL, "the grid is exhausted")])
    run = store.load(study_id).runs[0]
    assert (run.phase, run.stop_reason, run.choice) == (Phase.FINAL, "the grid is exhausted", 0)


def test_a_run_may_end_without_a_choice(store: Store):
    study_id = create(store)
    store.record(study_id, [*search(0, 0, 0, None, 10), chose(0, None, Phase.FAILED, "no trial completed")])
    run = store.load(study_id).runs[0]
    assert (run.phase, run.stop_reason, run.choice) == (Phase.FAILED, "no trial completed", None)


def test_the_choice_lends_its_depth_and_size_to_the_run(store: Store):
    study_id = create(store)
    store.record(study_id, [*search(0, 0, 0, 0.5, 10, depth=4), chose(0, 0)])
    row = store.frame("runs").iloc[0]
    assert (row.depth, row.num_parameters, row.inference_flops) == (4, 30, 60)


def test_the_final_trial_scores_its_run(store: Store):
    study_id = create(store)
    trial = started(0, kind=Kind.FINAL)
    scores = {"delivered_val_accuracy": 0.8, "delivered_test_accuracy": 0.7, "retrained_test_accuracy": 0.85}
    store.record(study_id, [start(0, trial, account=Account.FINAL)])
    store.record(study_id, [finish(0, finished(trial, 0.9, **scores), 0, charge(50), account=Account.FINAL)])
    row = store.frame("runs").iloc[0]
    assert (row.delivered_val_accuracy, row.delivered_test_accuracy) == (0.8, 0.7)
    assert (row.retrained_val_accuracy, row.retrained_test_accuracy) == (0.9, 0.85)


def test_equal_architectures_are_stored_once_as_their_hash_says(store: Store):
    study_id = create(store)
    same = replace(started(1), proposal=Proposal(architecture=replace(architecture(2), decisions={"other": 1})))
    store.record(study_id, [start(0, started(0, depth=2)), start(0, same), start(0, started(2, depth=3))])
    assert sorted(store.frame("architectures")["id"]) == sorted([architecture(2).id, architecture(3).id])
    text = store.query("SELECT CAST(form AS TEXT) AS form FROM architectures WHERE depth = 2")["form"][0]
    assert text == r'{"blocks":["\u00fcnder","\u00fcnder"],"width":8}'
    decisions = [dict(one.trial.architecture.decisions) for one in store.load(study_id).running]
    assert decisions == [{"depth": 2, "bias": True}, {"other": 1}, {"depth": 3, "bias": True}]


def test_the_latest_artifact_of_a_kind_counts(store: Store):
    study_id = create(store)
    saved = [("weights", "a"), ("log", "b"), ("weights", "c")]
    store.record(study_id, [start(0, started(0))])
    store.record(study_id, [ArtifactSaved(run=0, number=0, kind=kind, path=path) for kind, path in saved])
    assert dict(store.frame("artifacts")[["kind", "path"]].values.tolist()) == {"log": "b", "weights": "c"}


def test_notes_and_lost_attempts_are_events_in_order(store: Store):
    study_id = create(store)
    store.record(study_id, [start(0, started(0)), Noted(kind="resumed", message="x"), lost(0, 0, 0)])
    store.record(study_id, [Noted(run=0, number=0, kind="slow", message="y")])
    events = store.frame("events")
    assert events["kind"].tolist() == ["resumed", "trial_lost", "slow"]
    assert events["message"].tolist() == ["x", "node died", "y"]
    assert events["run"].isna().tolist() == [True, False, False]


@pytest.mark.parametrize(
    ("unit", "spent"),
    [(Unit.FLOPS, HUGE + 11), (Unit.DEVICE_SECONDS, 2 * HUGE + 22), (Unit.EPOCHS, 3), (Unit.TRIALS, 3)],
)
def test_charges_reconcile_exactly_with_the_run(store: Store, unit: Unit, spent: int):
    """Three charges on the search account, of HUGE, 1 and 10 FLOPs, each twice as many microseconds."""
    study_id = create(store, plan(0), plan(1, unit=unit, budget=2**60))
    trial, final = started(0), started(1, kind=Kind.FINAL)
    records = [
        start(1, trial),
        lost(1, 0, 0, charge(HUGE, ChargeKind.LOST)),
        finish(1, finished(trial, 0.5), 0, charge(1)),
        Charged(run=1, charges=(charge(10, ChargeKind.CONTROLLER),), account=Account.SEARCH),
        Charged(run=1, number=0, charges=(charge(100),), account=Account.OVERSHOOT),
        start(1, final, account=Account.FINAL),
        finish(1, finished(final, 0.5), 1, charge(HUGE), charge(1), account=Account.FINAL),
    ]
    store.record(study_id, records)
    runs = store.load(study_id).runs
    assert runs[0].paid == {account: Cost() for account in Account}
    assert runs[1].paid == {
        Account.SEARCH: Cost(flops=HUGE + 11, device_us=2 * HUGE + 22, epochs=3, trials=3),
        Account.FINAL: Cost(flops=HUGE + 1, device_us=2 * HUGE + 2, epochs=2, trials=2),
        Account.OVERSHOOT: Cost(flops=100, device_us=200, epochs=1, trials=1),
    }
    row = store.frame("runs").iloc[1]
    assert row.spent == spent
    assert (row.search_flops, row.search_device_us) == (HUGE + 11, 2 * HUGE + 22)
    assert (row.final_flops, row.final_device_us) == (HUGE + 1, 2 * HUGE + 2)
    assert (row.overshoot_flops, row.overshoot_device_us) == (100, 200)
    trials = store.frame("trials")
    assert trials["flops"].tolist() == [HUGE + 101, HUGE + 1]
    charges = store.frame("charges")
    assert charges["attempt"].fillna(-1).tolist() == [0, 1, -1, 1, 0, 0]


def test_a_failure_midway_leaves_nothing(store: Store):
    study_id = create(store)
    with pytest.raises(StoreError, match="no running trial 5 of run 0"):
        store.record(study_id, [*search(0, 0, 0, 0.5, 10), finish(0, finished(started(5), 0.5), 1)])
    for table in ("trials", "charges", "architectures"):
        assert store.frame(table).empty
    assert store.frame("runs")["spent"].tolist() == [0]


@pytest.mark.parametrize(
    ("again", "message"),
    [
        (start(0, started(0)), "cannot record results of study 1"),
        (finish(0, finished(started(0), 0.9), 1, charge(1)), "no running trial 0 of run 0"),
        (lost(0, 0, 0), "no running attempt 0 of trial 0"),
        (report(0, 1, epoch(1)), "cannot record results of study 1"),
        (chose(1, 0), "no run 1"),
        (Charged(run=0, number=3, charges=(charge(1),), account=Account.SEARCH), "no trial 3 of run 0"),
        (finish(0, finished(started(1), None), 0), "no running trial 1"),
    ],
)
def test_a_record_that_contradicts_what_is_stored_is_refused(store: Store, again: object, message: str):
    study_id = create(store)
    store.record(study_id, search(0, 0, 0, 0.5, 10))
    before = store.load(study_id)
    with pytest.raises(StoreError, match=message):
        store.record(study_id, [again])
    assert store.load(study_id) == before


def test_two_trials_cannot_finish_at_the_same_place(store: Store):
    study_id = create(store)
    with pytest.raises(StoreError, match="finish_order"):
        store.record(study_id, [*search(0, 0, 0, 0.5, 10), *search(0, 1, 0, 0.5, 10)])
    assert store.load(study_id).finished == ()


def test_a_sum_beyond_64_bits_is_an_error_and_not_a_rounded_number(store: Store):
    study_id = create(store, plan(budget=2**63 - 1))
    final = started(0, kind=Kind.FINAL)
    half = Charged(
        run=0, number=0, charges=(Charge(kind=ChargeKind.TEST, cost=Cost(flops=2**62)),), account=Account.FINAL
    )
    store.record(study_id, [start(0, final, account=Account.FINAL), half])
    with pytest.raises(StoreError, match="cannot record results"):
        store.record(study_id, [half])
    with pytest.raises(StoreError, match="cannot record results"):
        store.record(study_id, [replace(half, charges=half.charges * 2)])
    assert store.load(study_id).runs[0].paid[Account.FINAL].flops == 2**62


def test_a_run_cannot_spend_more_than_its_budget(store: Store):
    study_id = create(store, plan(budget=10))
    store.record(study_id, search(0, 0, 0, 0.5, 10))
    with pytest.raises(StoreError, match="within_budget"):
        store.record(study_id, search(0, 1, 1, 0.5, 1))
    assert store.load(study_id).runs[0].paid[Account.SEARCH].flops == 10


def test_a_metric_that_is_no_number_is_refused(store: Store):
    study_id = create(store)
    broken = Epoch(number=1, metrics={"val_loss": float("nan")}, cost=Cost())
    with pytest.raises(StoreError, match="Out of range float values are not JSON compliant"):
        store.record(study_id, [start(0, started(0)), report(0, 0, broken)])


def test_what_was_recorded_survives_closing(store_url: str):
    with open_store(store_url) as first:
        study_id = create(first)
        first.record(study_id, search(0, 0, 0, 0.5, 10))
        before = first.load(study_id)
    with open_store(store_url, create=False) as second:
        assert second.load("depths") == before
        assert before.finished[0].trial.measurement == measurement(0.5)


def test_readers_see_whole_transactions_while_one_writes(store_url: str):
    with open_store(store_url) as writer, open_store(store_url) as one, open_store(store_url) as other:
        study_id = create(writer)
        for number in range(20):
            writer.record(study_id, search(0, number, number, 0.5, 10))
            seen = one.load(study_id)
            assert len(seen.finished) == number + 1
            assert seen.runs[0].paid[Account.SEARCH].flops == 10 * (number + 1)
            assert other.frame("runs")["spent"].tolist() == [10 * (number + 1)]
