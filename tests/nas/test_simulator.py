"""Studies over a table, on a simulated clock, against runs worked out by hand."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from controllers.cost import Unit
from nas import open_store, parse_spec, resume_study, simulate_study
from nas.cli import main
from nas.plan import Plan
from nas.records import StudyStatus
from nas.simulator import Simulation
from nas.spec import dump_spec
from search_spaces.errors import InvalidInput
from tests.search_spaces.tables import COLUMNS, MAPPING, write_mapping, write_table

CLOCKS = ["started_at", "finished_at", "created_at", "changed_at", "host"]


@pytest.fixture
def spec(tmp_path):
    """A sequential grid over the six networks, after eight epochs each, unless the test says otherwise."""
    table = write_table(tmp_path)

    def make(**fields):
        space = {"family": "tabular", "table": str(table), "mapping": MAPPING, **fields.pop("space", {})}
        return parse_spec(
            {
                "name": "six",
                "space": space,
                "methods": ["grid"],
                "seeds": 1,
                "budget": {"device_seconds": 100},
                "training": {"epochs": 8},
                "resources": {"workers": 1},
                "reuse": False,
                **fields,
            }
        )

    return make


@pytest.fixture
def store(tmp_path):
    with open_store(f"sqlite:///{tmp_path / 'nas.db'}") as opened:
        yield opened


def searched(store):
    trials = store.frame("trials", "six")
    return trials[trials["kind"] == "architecture"]


def test_a_grid_from_its_first_look_up_to_its_last(spec, store):
    """The second and the third of the six are one network, which the grid asks for once."""
    assert simulate_study(spec(), store) == "six"
    trials = searched(store)
    assert trials["val_accuracy"].tolist() == pytest.approx([0.15, 0.35, 0.45, 0.42, 0.49])
    assert trials["started_us"].tolist() == [0, 2_000_000, 6_000_000, 12_000_000, 20_000_000]
    assert trials["finished_us"].tolist() == [2_000_000, 6_000_000, 12_000_000, 20_000_000, 30_000_000]
    assert trials["device_us"].tolist() == [2_000_000, 4_000_000, 6_000_000, 8_000_000, 10_000_000]
    assert trials["run_spent"].tolist() == trials["finished_us"].tolist()
    (run,) = store.frame("v_compare", "six").to_dict("records")
    assert (run["spent"], run["phase"], run["stop_reason"]) == (30, "done", "all 5 grid points are trained")
    assert run["retrained_test_accuracy"] == pytest.approx(0.62)
    assert np.isnan(run["delivered_test_accuracy"]), "the table does not know what eight epochs are worth on test data"
    assert (run["depth"], run["num_parameters"], run["inference_flops"]) == (2, 500, 5_000_000)
    assert store.studies()[0].status is StudyStatus.COMPLETE


def test_a_trial_that_does_not_fit_ends_the_run(spec, store):
    simulate_study(spec(budget={"device_seconds": 19.9}), store)
    (run,) = store.frame("v_compare", "six").to_dict("records")
    assert (run["spent"], run["stop_reason"]) == (12, "budget spent: the next trial needs 8 s, 7.9 s are left")
    assert run["retrained_test_accuracy"] == pytest.approx(0.41)


@pytest.mark.parametrize("method", ["asha", "successive_halving"])
@pytest.mark.parametrize(("unit", "budget"), [("device_seconds", 60), ("epochs", 60), ("trials", 8)])
def test_a_promotion_shows_more_epochs_and_takes_the_difference(spec, store, method, unit, budget):
    """Rungs at 4 and 8 epochs. Eight epochs took twice the seconds of four, and are one trial."""
    climbing = {"method": method, "reduction_factor": 2, "min_epochs": 4}
    simulate_study(spec(methods=[climbing], budget={unit: budget}, spend_rest=False), store)
    trials = searched(store).set_index("number")
    rows = pd.DataFrame(COLUMNS).set_index(["depth", "op"])
    for _, trial in trials.iterrows():
        row = rows.loc[trial["depth"], ["skip", "small", "large"].index(trial["decisions"]["op"])]
        is_promotion = trial["proposal"]["resumed_epochs"] == 4
        assert trial["epochs_trained"] == (8 if is_promotion else 4)
        assert trial["val_accuracy"] == pytest.approx(row["val_8" if is_promotion else "val_4"] / 100)
        seconds = row["seconds_8"] - row["seconds_4"] if is_promotion else row["seconds_4"]
        assert trial["device_us"] == trial["finished_us"] - trial["started_us"] == seconds * 10**6
        if is_promotion:
            assert trial["architecture_id"] == trials.loc[trial["parent"], "architecture_id"]
    num_promoted = trials["parent"].notna().sum()
    num_candidates = len(trials) - num_promoted
    assert num_promoted >= 3
    charges = store.frame("charges", "six")
    (run,) = store.frame("runs", "six").to_dict("records")
    spent = {"device_seconds": trials["device_us"].sum(), "epochs": 4 * len(trials), "trials": num_candidates}[unit]
    column = "device_us" if unit == "device_seconds" else unit
    assert run["spent"] == charges[charges["account"] == "search"][column].sum() == spent


def test_workers_finish_in_the_order_of_their_costs(spec, store):
    """Two workers: 2 s and 4 s start at 0; then 6 s at 2, 8 s at 4, and 10 s at 8."""
    simulate_study(spec(resources={"workers": 2}), store)
    trials = searched(store).sort_values("finish_order")
    assert trials["number"].tolist() == [0, 1, 2, 3, 4]
    assert (trials["started_us"] // 10**6).tolist() == [0, 0, 2, 4, 8]
    assert (trials["finished_us"] // 10**6).tolist() == [2, 4, 8, 12, 18]


def test_the_longest_may_start_first_and_finish_last(spec, store):
    order = {"method": "fixed", "architecture": {"depth": 2, "op": "large"}}
    simulate_study(
        spec(methods=[order, {"method": "grid", "order": "coarse_to_fine"}], resources={"workers": 3}), store
    )
    trials = searched(store)
    grid = trials[trials["run"] == 1].sort_values("finish_order")
    assert (grid["finished_us"] // 10**6).tolist() == sorted(grid["finished_us"] // 10**6)
    assert grid["number"].tolist() != sorted(grid["number"]), "some trial overtakes one that started before it"


@pytest.mark.parametrize(
    ("budget", "spent"),
    [
        ({"device_seconds": 12}, 12),
        ({"epochs": 30}, 24),
        ({"trials": 3}, 3),
        ({"of_grid": 1.0, "unit": "epochs"}, 40),
        ({"of_grid": 0.5, "unit": "trials"}, 2),
    ],
)
def test_budgets_in_every_unit_that_the_table_knows(spec, store, budget, spent):
    simulate_study(spec(budget=budget), store)
    (run,) = store.frame("v_compare", "six").to_dict("records")
    assert run["spent"] == spent
    paid = store.frame("charges", "six")
    atoms = {
        "device_seconds": paid["device_us"].sum() / 1e6,
        "epochs": paid["epochs"].sum(),
        "trials": paid["trials"].sum(),
    }
    assert atoms[run["unit"]] == spent


def test_compute_in_flops_where_the_table_says_so(tmp_path, spec, store):
    observed = [{"epochs": 8, "score": {"column": "val_8", "scale": 0.01}, "flops": {"column": "mflops", "scale": 10}}]
    simulate_study(spec(space={"mapping": {**MAPPING, "observations": observed}}, budget={"flops": 60}), store)
    (run,) = store.frame("v_compare", "six").to_dict("records")
    assert run["spent"] == 10 + 20 + 30
    assert searched(store)["finished_us"].tolist() == [10, 30, 60], "one microsecond per FLOP, for want of times"


def test_the_control_takes_the_longest_training_that_the_budget_pays(spec, store):
    method = {"method": "fixed", "architecture": {"depth": 2, "op": "small"}}
    simulate_study(spec(methods=[method], budget={"device_seconds": 7}), store)
    assert searched(store)[["epochs_granted", "val_accuracy"]].to_numpy().tolist() == [[4, 0.4]]


def test_a_repeat_is_paid_again_unless_it_is_answered_from_the_record(spec, store):
    for reuse in (False, True):
        simulate_study(spec(name=f"reuse-{reuse}", methods=["random"], reuse=reuse, budget={"trials": 20}), store)
    paid, answered = (store.frame("trials", f"reuse-{reuse}") for reuse in (False, True))
    assert paid["reused_from"].isna().all()
    assert len(paid[paid["kind"] == "architecture"]) == 20
    first = answered[answered["reused_from"].isna() & (answered["kind"] == "architecture")]
    assert len(first) == 5, "six rows are five networks"


def tables(store):
    """All that a replay must reproduce."""
    names = ("runs", "trials", "charges", "architectures")
    return {name: store.frame(name).drop(columns=CLOCKS, errors="ignore") for name in names}


@pytest.mark.parametrize("workers", [1, 3])
def test_a_simulation_that_is_killed_goes_on_as_if_it_had_not_been(spec, tmp_path, monkeypatch, workers):
    monkeypatch.setattr("nas.simulator.RECORDS_AT_A_TIME", 1)
    study = spec(
        methods=["random", {"method": "evolution", "population": 3, "tournament": 2}, "reinforce"],
        seeds=2,
        resources={"workers": workers},
        budget={"trials": 8},
    )
    with open_store(f"sqlite:///{tmp_path / 'whole.db'}") as whole:
        simulate_study(study, whole)
        expected = tables(whole)
    plan = Plan(study)
    num_pieces = sum(1 for _ in Simulation(plan).records())
    assert num_pieces > 48
    for killed_after in range(0, num_pieces, 5):
        with open_store(f"sqlite:///{tmp_path / f'{killed_after}.db'}") as store:
            study_id = store.create_study("six", dump_spec(study), plan.runs, {})
            for _, records in zip(range(killed_after), Simulation(plan).records(), strict=False):
                store.record(study_id, records)
            resume_study("six", store)
            for name, frame in tables(store).items():
                pd.testing.assert_frame_equal(frame, expected[name])


def test_no_run_over_a_random_table_spends_more_than_its_budget(tmp_path, store):
    rng = np.random.default_rng(0)
    for number in range(20):
        took = rng.uniform(0.1, 9, 6)
        table = write_table(tmp_path, seconds_8=took.tolist(), val_8=rng.uniform(1, 99, 6).tolist())
        budget = rng.uniform(took.max(), 40)
        study = parse_spec(
            {
                "name": f"random-{number}",
                "space": {"family": "tabular", "table": str(table), "mapping": str(write_mapping(tmp_path))},
                "methods": ["random", "grid", {"method": "evolution", "population": 2}],
                "seeds": 2,
                "budget": {"device_seconds": round(float(budget), 3)},
                "training": {"epochs": 8},
                "resources": {"workers": int(rng.integers(1, 5))},
                "reuse": bool(rng.random() < 0.5),
                "limits": {"idle_proposals": 5},
            }
        )
        name = simulate_study(study, store)
        runs, charges = store.frame("runs", name), store.frame("charges", name)
        assert (runs["spent"] <= runs["budget"]).all()
        assert charges.groupby("run")["device_us"].sum().tolist() == runs["spent"].tolist()
        assert (runs["stop_reason"] != "").all()


@pytest.mark.parametrize(
    ("fields", "field", "message"),
    [
        ({"training": {"epochs": 5}}, "training.epochs", "must be 4 or 8, what the table knows, got 5"),
        ({"budget": {"flops": 10}}, "budget.flops", "needs observations that say what they took in flops"),
        ({"budget": {"of_grid": 0.5}}, "budget.unit", "needs observations that say what they took in flops"),
        ({"budget": {"device_seconds": 0.5}}, "budget.device_seconds", "must pay for the first trial of grid, 2"),
        ({"methods": ["darts"]}, "methods.0", "chain"),
        ({"space": {"mapping": {**MAPPING, "truth": None}}}, "space.mapping.truth", "must be a mapping, got null"),
    ],
)
def test_what_no_table_can_answer_is_refused(spec, fields, field, message):
    with pytest.raises(InvalidInput, match=message) as refused:
        Plan(spec(**fields))
    assert refused.value.field == field


def test_units_name_the_amount_that_was_written(spec):
    assert Plan(spec()).unit is Unit.DEVICE_SECONDS


STUDY = """\
name: six
space: {family: tabular, table: table.csv, mapping: mapping.yaml}
methods: [random, grid]
seeds: 6
budget: {trials: 4}
training: {epochs: 8}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_table(tmp_path)
    write_mapping(tmp_path)
    Path("study.yaml").write_text(STUDY)
    return tmp_path


def call(capsys, *arguments):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    return ended.value.code, *capsys.readouterr()


def test_the_command_simulates_and_compares(folder, capsys):
    code, out, err = call(capsys, "simulate", "study.yaml")
    assert code == 0
    assert "Retrained test accuracy" in out
    assert "6 budget spent" in out
    assert "12 of 12 runs simulated" in err
    assert "Stored in sqlite:///nas.db as study six." in err
    code, out, _ = call(capsys, "ls", "-f", "csv")
    assert out.splitlines()[1].startswith("1,six,complete,12,")


def test_a_dry_run_prices_the_table_exactly(folder, capsys):
    code, out, _ = call(capsys, "simulate", "study.yaml", "--dry-run", "--set", "budget={device_seconds: 15}")
    facts = [" ".join(line.split()) for line in out.splitlines()]
    assert code == 0
    assert "space tabular: 6 architectures" in facts
    assert "at a time 2 trials of each run, on a simulated clock" in facts
    assert "whole grid 5 points, 30 s; a run's budget is 50.0 % of it" in facts
    assert "grid 3 the first 3 of 5 grid points" in facts
    assert not (folder / "nas.db").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "study.yaml"], "space.family: a table is looked up, not trained: use `nas simulate`"),
        (
            ["simulate", "study.yaml", "--set", "space={family: mlp, depth: [1, 2]}", "--set", "task={name: digits}"],
            "space.family: only a tabular space can be simulated: use `nas run`",
        ),
        (["simulate", "study.yaml", "--set", "space.table=none.csv"], "space.table: no such file: none.csv"),
        (
            ["simulate", "study.yaml", "--set", "space.max_parameters=50"],
            "space.max_parameters: must allow the smallest",
        ),
    ],
)
def test_a_study_of_the_wrong_kind_is_refused_in_one_line(folder, capsys, arguments, message):
    code, out, err = call(capsys, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith(f"error: {message}")
    assert len(err.splitlines()) == 1
    assert not (folder / "nas.db").exists()


def test_a_comparison_speaks_of_the_only_score_that_a_table_knows(folder, capsys):
    _, out, _ = call(capsys, "simulate", "study.yaml")
    assert "Retrained" in out
    assert "Delivered" not in out
