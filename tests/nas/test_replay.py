"""The database is the log: a driver that dies is continued from it as if it had not died."""

from collections import Counter

import numpy as np
import pandas as pd
import pytest

from controllers.cost import Unit
from nas.driver import Driver
from nas.plan import Plan
from nas.spec import dump_spec, parse_spec
from nas.store import open_store
from nas.study import Study
from tests.nas.fakes import PER_STEP, FakeWorkers, drive, fake_plan, oldest
from workers import flight

TABLES = (
    "trials",
    "charges",
    "epochs",
    "depth_profiles",
    "operating_points",
    "runs",
    "artifacts",
    "events",
    "architectures",
)
CLOCKS = ["created_at", "changed_at", "started_at", "finished_at"]


class Killed(BaseException):
    """The driver's process ends here."""


class MortalStore:
    """Kills the driver right after one of its transactions, before it can do anything else."""

    def __init__(self, store, lives):
        self.store = store
        self.lives = lives

    def record(self, study_id, records):
        self.store.record(study_id, records)
        self.lives -= 1
        if self.lives == 0:
            raise Killed


def study_file(*, unit=Unit.FLOPS, workers=1, **fields):
    amount = {Unit.FLOPS: 900 * PER_STEP, Unit.DEVICE_SECONDS: 0.9, Unit.EPOCHS: 22, Unit.TRIALS: 6}[unit]
    return {
        "name": "replay",
        "task": {"name": "spiral", "train_size": 4, "validation_size": 2, "test_size": 2},
        "space": {"family": "mlp", "depth": [1, 2, 3, 4, 5, 6], "width": 8},
        "methods": [
            {"method": "fixed", "architecture": {"depth": 3}},
            {"method": "grid", "order": "shuffled"},
            "random",
            {"method": "evolution", "population": 2, "tournament": 2},
            {"method": "reinforce", "num_units": 4, "num_layers": 1},
            {"method": "darts", "search_share": 0.4},
            {"method": "layer_select", "search_share": 0.4},
        ],
        "seeds": 1,
        "budget": {unit: amount},
        "training": {"epochs": 3},
        "resources": {"workers": workers},
        "limits": {"idle_proposals": 5},
        **fields,
    }


def climbing(**fields):
    """A study of the methods whose trials go on from trials."""
    methods = [
        {"method": "successive_halving", "reduction_factor": 2, "max_epochs": 4},
        {"method": "asha", "reduction_factor": 2},
    ]
    return study_file(methods=methods, seeds=2, limits={"idle_proposals": 20, "retries": 1}, **fields)


def accident_prone(plan):
    return FakeWorkers(plan, failing=0.15, dying=0.25, pruned=0.15, slow=True)


def whole(monkeypatch, folder, data):
    """The tables of a study whose driver never died."""
    folder.mkdir()
    plan = fake_plan(monkeypatch, data)
    with open_store(f"sqlite:///{folder / 'nas.db'}") as store:
        study_id = store.create_study("replay", dump_spec(plan.spec), plan.runs, {})
        drive(Driver(Study(plan), store, study_id, folder / "files"), accident_prone(plan))
        return tables(store)


def cut(monkeypatch, folder, data, lives, *, pick=oldest):
    """The tables of the same study, its driver killed after `lives()` transactions again and again; and how often."""
    folder.mkdir()
    plan = fake_plan(monkeypatch, data)
    with open_store(f"sqlite:///{folder / 'nas.db'}") as store:
        study_id = store.create_study("replay", dump_spec(plan.spec), plan.runs, {})
        for deaths in range(10_000):
            stored = store.load("replay")
            plan = Plan(parse_spec(stored.spec))
            assert plan.runs == stored.plans
            study = Study(plan, stored if deaths else None)
            try:
                driver = Driver(study, MortalStore(store, lives()), study_id, folder / "files")
                drive(driver, accident_prone(plan), pick=pick)
            except Killed:
                if study.done:
                    return tables(store), deaths
            else:
                return tables(store), deaths
        raise AssertionError("the study does not come to its end")


def tables(store):
    """Everything but the clocks, and the numbers of rows that only count insertions of other tables."""
    frames = {name: store.frame(name).drop(columns=CLOCKS, errors="ignore") for name in TABLES}
    return {name: frame.sort_values(_key(frame), ignore_index=True) for name, frame in frames.items()}


def _key(frame):
    named = [column for column in ("run", "number", "epoch", "level", "kind") if column in frame]
    return ["id"] if "id" in frame else named


def assert_same(actual, expected):
    for name in TABLES:
        drop = ["path"] if name == "artifacts" else []
        pd.testing.assert_frame_equal(actual[name].drop(columns=drop), expected[name].drop(columns=drop), obj=name)


@pytest.mark.parametrize("unit", Unit)
def test_a_sequential_study_killed_again_and_again_is_the_study_that_was_never_killed(monkeypatch, tmp_path, unit):
    data = study_file(unit=unit)
    expected = whole(monkeypatch, tmp_path / "whole", data)
    rng = np.random.default_rng(0)
    # The first transaction of every driver says that it runs; a trial in flight may then report and come back.
    actual, deaths = cut(monkeypatch, tmp_path / "cut", data, lambda: rng.integers(2, 5))
    assert deaths > 50
    assert_same(actual, expected)
    trials = expected["trials"]
    assert {"architecture", "relaxation", "continuation", "final"} <= set(trials["kind"])
    assert {"complete", "failed", "pruned"} <= set(trials["status"])
    assert trials["attempt"].max() >= 1
    assert unit is Unit.TRIALS or trials["reused_from"].notna().any()


@pytest.mark.parametrize("unit", Unit)
def test_a_study_whose_trials_go_on_from_trials_is_the_same_however_often_it_is_killed(monkeypatch, tmp_path, unit):
    data = climbing(unit=unit)
    expected = whole(monkeypatch, tmp_path / "whole", data)
    rng = np.random.default_rng(0)
    actual, deaths = cut(monkeypatch, tmp_path / "cut", data, lambda: rng.integers(2, 5))
    assert deaths > 20
    assert_same(actual, expected)
    trials = expected["trials"]
    resumed = trials[trials["proposal"].map(lambda proposal: proposal["resumed_epochs"] > 0)]
    assert {"complete", "failed"} <= set(resumed["status"])
    assert resumed["attempt"].max() == 1
    by_key = trials.set_index(["run", "number"])
    for _, child in resumed.iterrows():
        parent = by_key.loc[child["run"], child["parent"]]
        source = parent if pd.isna(parent["reused_from"]) else by_key.loc[child["run"], parent["reused_from"]]
        assert child["seed"] == source["seed"]
        assert child["architecture_id"] == source["architecture_id"]
        assert child["proposal"]["resumed_epochs"] == source["epochs_trained"] < child["epochs_granted"]


STUDIES = {
    "short": {"methods": ["grid", {"method": "layer_select", "search_share": 0.4}], "seed": 3},
    "climbing": {"methods": climbing()["methods"], "seed": 5},
}


@pytest.mark.parametrize("name", STUDIES)
def test_a_driver_may_die_after_any_single_transaction(monkeypatch, tmp_path, name):
    data = study_file(**STUDIES[name])
    data["budget"] = {"flops": 400 * PER_STEP}
    expected = whole(monkeypatch, tmp_path / "whole", data)
    deaths, position = 1, 0
    while deaths:
        position += 1
        lives = iter([position, 10_000])
        actual, deaths = cut(monkeypatch, tmp_path / str(position), data, lambda lives=lives: next(lives))
        assert_same(actual, expected)
    assert position > 20


@pytest.mark.parametrize("workers", [2, 3])
@pytest.mark.parametrize("unit", Unit)
@pytest.mark.parametrize("make", [study_file, climbing])
def test_with_several_workers_no_trial_is_lost_or_doubled(monkeypatch, tmp_path, unit, workers, make):
    rng = np.random.default_rng(workers)
    data = make(unit=unit, workers=workers)
    found, deaths = cut(
        monkeypatch,
        tmp_path / "cut",
        data,
        lambda: rng.integers(2, 2 + 3 * workers),
        pick=lambda flying: rng.integers(len(flying)),
    )
    assert deaths > 10
    runs, trials, charges = found["runs"], found["trials"], found["charges"]
    assert set(runs["phase"]) <= {"done", "failed"}
    assert set(trials["status"]) <= {"complete", "failed", "pruned"}
    assert sorted(trials["finish_order"]) == list(range(len(trials)))
    for _, run in runs.iterrows():
        own = trials[trials["run"] == run["run"]]
        assert sorted(own["number"]) == list(range(len(own)))
        assert Counter(own["kind"])["final"] == pd.notna(run["choice"])
        paid = charges[(charges["run"] == run["run"]) & (charges["account"] == "search")]
        column, atoms = ("device_us", 10**6) if unit is Unit.DEVICE_SECONDS else (unit.value, 1)
        assert paid[column].sum() == run["spent"] <= run["budget"] == data["budget"][unit] * atoms
        # Every attempt is charged once: the lost ones as they died, the last as it ended.
        for _, trial in own[own["reused_from"].isna() & (own["epochs_granted"] > 0)].iterrows():
            lines = charges[(charges["run"] == run["run"]) & (charges["number"] == trial["number"])]
            assert set(lines["attempt"]) == set(range(trial["attempt"] + 1))
            lost = lines[(lines["kind"] == "lost") & (lines["attempt"] < trial["attempt"])]
            assert lost["attempt"].tolist() == list(range(trial["attempt"]))


# By seeds with which no driver dies right after the last transaction of all: no other follows it.
@pytest.mark.parametrize(("make", "seed"), [(study_file, 0), (climbing, 1)])
def test_files_that_nothing_needs_are_deleted_even_if_the_driver_dies_first(monkeypatch, tmp_path, make, seed):
    rng = np.random.default_rng(seed)
    found, _ = cut(monkeypatch, tmp_path / "cut", make(), lambda: rng.integers(2, 5))
    folders = {tuple(map(int, path.parts[-2:])) for path in (tmp_path / "cut" / "files").glob("*/*")}
    choices = {(run["run"], int(run["choice"])) for _, run in found["runs"].dropna(subset="choice").iterrows()}
    assert folders == choices
    for run, number in choices:
        assert (tmp_path / "cut" / "files" / f"{run:03d}" / f"{number:06d}" / flight.WEIGHTS).exists()


@pytest.mark.parametrize(
    "change",
    [
        {},
        *({"budget": {unit: 5}} for unit in Unit),
        {"budget": {"of_grid": 0.5, "unit": "epochs"}},
        {"training": {"clip_norm": 1.0}, "final": {"training": {"clip_norm": None}}},
        {"scheduler": {"name": "asha"}},
    ],
)
def test_the_stored_study_file_is_the_study(change):
    spec = parse_spec(study_file(**change))
    assert parse_spec(dump_spec(spec)) == spec
