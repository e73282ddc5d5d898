"""`nas compare` as people and programs see it."""

import csv
import io
import json
import sys

import pytest

from controllers.cost import Unit
from nas import output
from nas.cli import main
from nas.store import open_store
from tests.nas.comparables import Found, accuracies, store_runs

DB = "sqlite:///nas.db"
GRID = [0.80, 0.81, 0.82, 0.80, 0.81, 0.82]
BETTER = [0.84, 0.86, 0.85, 0.86, 0.85, 0.87]
FACTS = {
    "first": {"grid": accuracies(*GRID), "random": accuracies(*BETTER)},
    "hard": {
        "grid": accuracies(*[score / 2 for score in GRID]),
        "random": accuracies(*[score / 2 for score in BETTER]),
    },
}


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    """Studies that can be compared, and studies that cannot."""
    folder = tmp_path_factory.mktemp("comparisons")
    with open_store(f"sqlite:///{folder / 'nas.db'}") as store:
        store_runs(store, "first", FACTS["first"])
        store_runs(store, "more", FACTS["first"], seeds=range(6, 12))
        store_runs(store, "again", {"random": accuracies(*BETTER), "darts": accuracies(*GRID)})
        store_runs(store, "added", {"darts": accuracies(*GRID)})
        store_runs(store, "hard", FACTS["hard"], task={"name": "digits"})
        store_runs(store, "richer", FACTS["first"], seeds=range(12, 18), budget=800)
        store_runs(store, "uneven", FACTS["first"], budgets={"random": 500}, task={"name": "npz"})
        store_runs(store, "timed", FACTS["first"], seeds=range(18, 24), unit=Unit.DEVICE_SECONDS, budget=10**7)
        store_runs(store, "few", {"grid": accuracies(0.5, 0.6), "random": accuracies(0.6, 0.7)}, task={"name": "few"})
        store_runs(store, "alone", {"fixed": accuracies(*GRID)}, task={"name": "alone"})
    return folder


@pytest.fixture
def nas(database, monkeypatch, capsys):
    """Runs a command: exit code, standard output, standard error."""
    monkeypatch.chdir(database)
    monkeypatch.setenv("NAS_DB", DB)

    def invoke(*arguments):
        with pytest.raises(SystemExit) as exit_:
            main(("compare", *arguments))
        return exit_.value.code, *capsys.readouterr()

    return invoke


@pytest.fixture
def as_json(nas):
    def invoke(*arguments):
        code, out, err = nas(*arguments, "-f", "json")
        assert (code, err) == (0, "")
        return json.loads(out)

    return invoke


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (
            ["few"],
            "fewer than 6 seeds in common with the baseline grid cannot tell more than chance: 2 seeds for random",
        ),
        (["uneven"], "all runs of a task must have one budget, those of uneven have 2: 400 FLOPs for grid; 500 FLOPs"),
        (["first", "richer"], "those of first + richer have 2: 400 FLOPs for grid in first"),
        (["first", "timed"], "those of first + timed have 2: 400 FLOPs for grid in first, random in first; 10 s for"),
        (["first", "again"], "must have different seeds, but first and again both have random with 0-5"),
        (
            ["first", "alone"],
            "the studies have no method in common, by its label: first has grid, random; alone has fixed",
        ),
        (["first", "first"], "first is named twice"),
        (["first", "1"], "first is named twice"),
        (["first", "nothing"], "there is no study 'nothing'"),
        (["first", "--baseline", "darts"], "--baseline: must be one of grid, random, got 'darts'"),
        (["first", "--margin", "0"], "--margin: must be above 0 and at most 100 points, got 0"),
        (["first", "--margin", "nan"], "--margin: must be above 0 and at most 100 points, got nan"),
        (["first", "--at", "0.5,2"], "--at: must be numbers above 0 and at most 1, separated by commas, got '2'"),
        (["first", "--at", "half"], "--at: must be numbers above 0 and at most 1, separated by commas, got 'half'"),
        (["first", "--cap", "60M"], "--cap: must be numbers above 0, separated by commas, got '60M'"),
        (["first", "--cap", "1e6,"], "--cap: must be numbers above 0, separated by commas, got ''"),
        (["first", "--cap", "inf"], "--cap: must be numbers above 0, separated by commas, got 'inf'"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_one_line(nas, arguments, reason):
    code, out, err = nas(*arguments)
    assert (code, out) == (2, "")
    (line,) = err.splitlines()
    assert reason in line


@pytest.mark.parametrize("study", ["few", "uneven"])
def test_force_makes_objections_warnings(nas, study):
    _, _, refusal = nas(study)
    assert "--force" in refusal
    code, out, err = nas(study, "--force")
    assert code == 0
    assert "Delivered: random" in out
    assert [line.partition(":")[0] for line in err.splitlines()] == ["warning"]


def test_force_does_not_double_runs(nas):
    assert nas("first", "again", "--force")[0] == 2


def test_json_is_complete(as_json):
    document = as_json("first", "--cap", "20", "--cap", "1e1,5")
    assert (document["study"], document["studies"], document["tasks"]) == ("first", ["first"], ["first"])
    assert (document["baseline"], document["margin"], document["objections"]) == ("grid", 0.0025, [])
    _, random = document["methods"]
    assert random["delivered_difference"] == pytest.approx(sum(BETTER) / 6 - sum(GRID) / 6)
    assert random["delivered_iqm"] == pytest.approx(0.855)
    assert (random["delivered_p_wilcoxon"], random["delivered_p_wilcoxon_holm"]) == (1 / 32, 1 / 32)
    assert random["delivered_p_no_worse_holm"] < 0.001 < 0.99 < random["delivered_p_no_better"]
    assert random["delivered_conclusion"] == "no worse"
    assert [(row["share"], row["label"]) for row in document["anytime"]] == [
        (share, label) for share in (0.25, 0.5, 0.75, 1.0) for label in ("grid", "random")
    ]
    assert document["rank_stability"][0] == {"share": 0.25, "kendall_tau": 1.0, "ranks": {"grid": 2.0, "random": 1.0}}
    assert [(row["cap_flops"], row["num"]) for row in document["caps"]] == [
        (5, 0),
        (5, 0),
        (10, 0),
        (10, 0),
        (20, 6),
        (20, 6),
    ]
    assert {row["score"] for row in document["profiles"]} == {"delivered", "retrained"}
    assert document["verdict"][0].endswith(": better than grid.")


def test_the_margin_is_in_points(as_json):
    _, random = as_json("first", "--margin", "10")["methods"]
    assert random["delivered_conclusion"] == "equivalent"


def test_other_seeds_of_a_task_are_more_pairs(as_json):
    document = as_json("first", "more")
    assert (document["studies"], document["tasks"]) == (["first", "more"], ["first + more"])
    assert [method["delivered_num_pairs"] for method in document["methods"]] == [0, 12]
    assert document["methods"][1]["delivered_p_wilcoxon"] == 2 / 2**12


def test_other_tasks_are_compared_each_by_itself(as_json):
    document = as_json("first", "hard")
    assert document["tasks"] == ["first", "hard"]
    difference = sum(BETTER) / 6 - sum(GRID) / 6
    assert document["methods"][1]["delivered_difference"] == pytest.approx((difference + difference / 2) / 2)
    assert "on 2 tasks" not in document["verdict"][0]


def test_methods_of_other_studies_are_added_to_a_task(nas, as_json):
    """darts is in the second study only, but on the same task and seeds."""
    document = as_json("first", "added")
    assert [method["label"] for method in document["methods"]] == ["grid", "random", "darts"]
    assert document["methods"][2]["delivered_num_pairs"] == 6


def test_methods_without_a_seed_in_common_are_refused(nas):
    assert "0 seeds for darts" in nas("more", "added")[2]


def test_methods_that_a_task_lacks_are_left_out(as_json):
    document = as_json("first", "added", "hard")
    assert [method["label"] for method in document["methods"]] == ["grid", "random"]
    assert document["notes"] == ["left out: darts, which is in first + added only"]
    assert "Left out: darts" in document["verdict"][-1]


def test_csv_is_the_main_table(nas, as_json):
    code, out, err = nas("first", "-f", "csv")
    assert (code, err) == (0, "")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [list(row) for row in rows] == [list(row) for row in as_json("first")["methods"]]


@pytest.mark.parametrize(
    ("arguments", "titles", "absent"),
    [
        (["first"], ["p: Wilcoxon"], ["Best so far", "Best under", "profile over tasks"]),
        (["first", "--at", "0.25,1"], ["Best so far", "Kendall's tau", "25 %", "100 %"], ["Best under"]),
        (["first", "--cap", "20"], ["Best under 20 FLOPs", "inference"], ["Best so far"]),
        (["first", "hard"], ["Delivered, profile over tasks", "Studies first, hard on 2 tasks"], ["Best so far"]),
    ],
)
def test_tables_are_those_that_were_asked_for(nas, arguments, titles, absent):
    code, out, err = nas(*arguments)
    assert (code, err) == (0, "")
    assert [title for title in titles if title not in out] == []
    assert [title for title in absent if title in out] == []


@pytest.mark.parametrize(("width", "num_headers"), [(80, 9), (120, 7), (160, 6)])
def test_tables_fit_the_screen(nas, monkeypatch, width, num_headers):
    """Narrow screens get two tables for one: where the methods lie, and how they differ."""
    monkeypatch.setattr(output, "UNLIMITED", width)
    _, out, _ = nas("first", "--at", "0.25,0.5,0.75,1", "--cap", "20")
    lines = out.splitlines()
    assert max(map(len, lines)) <= width
    assert sum(line.startswith("method") for line in lines) == num_headers
    assert "…" not in out


def test_a_study_ends_with_its_comparison_whatever_speaks_against_it(database):
    from nas.comparing import closing_tables

    with open_store(f"sqlite:///{database / 'nas.db'}") as store:
        text = [str(part) for part in closing_tables(store, "few")]
    assert any("Fewer than 6 seeds in common with the baseline grid" in part for part in text)


def test_networks_of_a_run_are_ranked_by_validation(nas, database):
    """The one under the cap has the lower validation accuracy, and no test accuracy of its own."""
    with open_store(f"sqlite:///{database / 'nas.db'}") as store:
        found = Found(networks=((1, 0.3), (4, 0.9)), delivered=0.8, retrained=0.8)
        store_runs(store, "capped", {"grid": [found] * 6, "random": [found] * 6}, task={"name": "capped"})
    _, out, _ = nas("capped", "--cap", "10")
    assert "30.0 [30.0, 30.0]" in out.partition("Best under")[2]


def test_comparing_waits_for_neither_torch_nor_ray(database):
    import subprocess

    code = "import sys, nas.comparing; print(sorted({'torch', 'ray', 'scipy.stats', 'sklearn'} & set(sys.modules)))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"
