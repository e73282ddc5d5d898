"""The commands, on a small database that was written by hand."""

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from nas import service
from nas.cli import main
from nas.store import open_store
from search_spaces.errors import Interrupted, TrialFailed
from tests.nas.small_study import SCORES, store_study

STUDY = """\
name: small
task: {name: spiral, train_size: 64, validation_size: 32, test_size: 32}
space: {family: mlp, depth: [1, 2, 3, 4], width: 4}
methods: [random, grid, {method: fixed, architecture: {depth: 2}}, darts]
seeds: 2
budget: {of_grid: 0.5, unit: epochs}
training: {epochs: 2, batch_size: 32}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a study file and a database, in which commands run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NAS_DB", raising=False)
    Path("study.yaml").write_text(STUDY)
    store_study("sqlite:///nas.db")
    return tmp_path


@pytest.fixture
def nas(folder, capsys):
    """Runs a command: exit code, standard output, standard error."""

    def invoke(*arguments):
        with pytest.raises(SystemExit) as exit_:
            main(arguments)
        return exit_.value.code, *capsys.readouterr()

    return invoke


@pytest.fixture
def as_json(nas):
    """What a command writes as JSON."""

    def invoke(*arguments):
        code, out, err = nas(*arguments, "-f", "json")
        assert (code, warnings_only(err)) == (0, True)
        return json.loads(out)

    return invoke


def warnings_only(err):
    """Two seeds are too few to compare without a warning."""
    return all(line.startswith("warning: fewer than 6 seeds") for line in err.splitlines())


def test_ls_lists_studies(as_json):
    (study,) = as_json("ls")
    assert (study["id"], study["name"], study["status"]) == (1, "small", "failed")
    assert (study["num_runs"], study["num_trials"]) == (6, 11)  # two trials a run, but for the one that failed


def test_show_has_the_study_and_its_runs(as_json):
    study = as_json("show", "small")
    assert study["spec"]["space"]["family"] == "mlp"
    assert [(run["label"], run["seed"]) for run in study["runs"]] == list(SCORES)
    random, failed = study["runs"][2], study["runs"][5]
    assert (random["depth"], random["phase"], random["spent_fraction"]) == (2, "done", 0.5)
    assert random["best_val_accuracy"] == pytest.approx(0.65)
    assert (random["delivered_test_accuracy"], random["retrained_test_accuracy"]) == (0.75, 0.7)
    assert random["num_trials"] == 1
    assert (failed["phase"], failed["depth"], failed["delivered_test_accuracy"]) == ("failed", None, None)
    assert "out of memory" in failed["stop_reason"]


def test_a_study_has_a_name_and_an_id(as_json):
    assert as_json("show", "1") == as_json("show", "small")


def test_trials_are_filtered_by_run_and_label(as_json):
    assert len(as_json("trials", "small")) == 11
    assert [trial["label"] for trial in as_json("trials", "small", "--label", "random")] == ["random"] * 4
    search, final = as_json("trials", "small", "--run", "3")
    assert (search["kind"], final["kind"]) == ("architecture", "final")
    assert (search["run_seed"], search["depth"], search["decisions"]) == (1, 2, {"depth": 2, "bias": True})
    assert as_json("trials", "small", "--run", "3", "--label", "grid") == []


def test_compare_gives_both_scores_and_a_verdict(as_json):
    comparison = as_json("compare", "small", "--force")
    grid, random, darts = comparison["methods"]
    assert comparison["baseline"] == grid["label"] == "grid"
    assert random["delivered_test_accuracy"] == pytest.approx(0.775)
    assert random["retrained_test_accuracy"] == pytest.approx(0.8)
    assert grid["delivered_difference"] is None
    assert darts["num_failed"] == 1
    assert len(comparison["verdict"]) == 4
    assert as_json("compare", "small", "--force", "--baseline", "random")["methods"][1]["delivered_difference"] is None


def test_pareto_lists_the_fronts_and_their_volumes(as_json):
    """Grid found 0.4 and 0.5, random 0.65 and 0.7, darts 0.3, with networks of the same size."""
    document = as_json("pareto", "small", "--objectives", "val_accuracy,num_parameters")
    assert document["reference"] == {"val_accuracy": 0.0, "num_parameters": 30.0}
    assert [(front["label"], front["num_scored"], front["num_points"]) for front in document["methods"]] == [
        ("grid", 2, 1),
        ("random", 2, 1),
        ("darts", 1, 1),
    ]
    assert [(point["run"], point["val_accuracy"]) for point in document["points"]] == [
        (1, pytest.approx(0.5)),
        (3, pytest.approx(0.7)),
        (4, pytest.approx(0.3)),
    ]
    assert [point["on_joint_front"] for point in document["points"]] == [False, True, False]


def test_query_returns_what_the_database_holds(as_json):
    assert as_json("query", "SELECT label, COUNT(*) AS n FROM runs WHERE phase = 'done' GROUP BY label") == [
        {"label": "darts", "n": 1},
        {"label": "grid", "n": 2},
        {"label": "random", "n": 2},
    ]
    assert as_json("query", "SELECT 1 AS a, NULL AS a") == [{"a": 1, "a_2": None}]


ROWS = {"show": "runs", "compare": "methods", "pareto": "points"}
"""Where a document has its rows."""


@pytest.mark.parametrize("command", ["ls", "show", "trials", "compare", "pareto", "query"])
def test_csv_has_the_rows_of_json(nas, as_json, command):
    others = {"ls": [], "query": ["SELECT run, label FROM runs"], "compare": ["small", "--force"]}
    arguments = others.get(command, ["small"])
    document = as_json(command, *arguments)
    rows = (
        document
        if isinstance(document, list)
        else document.get("points", document.get("runs", document.get("methods")))
    )
    code, out, err = nas(command, *arguments, "-f", "csv")
    assert (code, warnings_only(err)) == (0, True)
    read = list(csv.DictReader(io.StringIO(out)))
    assert [list(row) for row in read] == [list(row) for row in rows]
    assert [row.get("label") for row in read] == [row.get("label") for row in rows]


@pytest.mark.parametrize(
    ("arguments", "facts"),
    [
        (["ls"], ["small", "failed", "11"]),
        (["show", "small"], ["3.4 GFLOPs each", "retrained", "random", "75.0", "no trial completed"]),
        (["trials", "small", "--run", "2"], ["architecture", "65.0", "1.7 GFLOPs"]),
        (
            ["compare", "small", "--force"],
            ["77.5 [", "+22.5 [-", "70.0 [70.0, 70.0]", "few", ".500", "1 of 6 runs failed"],
        ),
        (["pareto", "small"], ["val_accuracy against inference_flops", "60 FLOPs", "2/2", "70.0"]),
        (["query", "SELECT name FROM studies"], ["small"]),
        (["db", "check"], ["sqlite:///nas.db is as it should be"]),
        (["db", "upgrade"], ["revision 0004"]),
    ],
)
def test_tables_speak_in_percent_and_human_units(nas, arguments, facts):
    code, out, err = nas(*arguments)
    assert (code, warnings_only(err)) == (0, True)
    assert [fact for fact in facts if fact not in out] == []


def test_the_database_comes_from_the_option_or_the_environment(nas, monkeypatch):
    store_study("sqlite:///other.db", "elsewhere")
    assert "elsewhere" in nas("ls", "--db", "sqlite:///other.db")[1]
    monkeypatch.setenv("NAS_DB", "sqlite:///other.db")
    assert "elsewhere" in nas("ls")[1]


def test_markup_in_names_is_text(nas):
    """Square brackets are how the tables' own colours are written."""
    assert "[red]" in nas("query", "SELECT '[red]' AS x")[1]


def test_a_dry_run_prices_the_study_and_stores_nothing(nas, folder):
    """The grid is 4 points of 2 epochs, so that half of it pays for 4 epochs: for 2 trials."""
    before = sorted(folder.iterdir())
    code, out, err = nas("run", "study.yaml", "--dry-run", "--workers", "5", "--db", "sqlite:///new.db")
    assert (code, err) == (0, "")
    assert sorted(folder.iterdir()) == before
    lines = [" ".join(line.split()) for line in out.splitlines()]
    for line in [
        "task spiral: 64 training and 32 validation examples of 2",
        "space mlp: 4 architectures",
        "runs 8: 4 methods, 2 seeds each",
        "at a time 5 trials",
        "budget 4 epochs per run, 32 epochs in all",
        "random 2.0 of typical cost; networks tried before cost nothing",
        "grid 2 the first 2 of 4 grid points",
        "fixed 1 one network for 4 epochs",
        "darts 1 + 1 a supernet for 30 % of the budget, then what it points to",
    ]:
        assert line in lines
    assert any(line.startswith("whole grid 4 points, 8 epochs (") for line in lines)
    assert any(line.endswith("a run's budget is 50.0 % of it") for line in lines)
    assert any(line.startswith("final protocol about") and "6 epochs" in line for line in lines)


def test_a_dry_run_says_how_many_labels_are_withheld(nas):
    code, out, _ = nas("run", "study.yaml", "--dry-run", "--set", "task.labelled=10")
    assert code == 0
    task = "spiral: 10 training and 32 validation examples of 2, 54 more without a label"
    assert task in " ".join(out.split())


def test_the_example_has_a_quarter_of_its_grid(nas):
    example = Path(__file__).parents[2] / "examples" / "demo.yaml"
    code, out, _ = nas("run", str(example), "--dry-run")
    assert code == 0
    assert "8 points" in out
    assert "1 + 1  a supernet" in out  # there is enough for two, but it asks for the best one
    assert "a run's budget is 25.0 % of it" in out


@pytest.mark.parametrize(
    ("budget", "facts"),
    [
        ("{device_seconds: 90}", ["budget 1:30 per run", "grid ? unknown before a trial has been measured"]),
        ("{trials: 4}", ["budget 4 trials per run", "fixed 1 one network for 8 epochs", "grid 4 the first 4 of 4"]),
        ("{flops: 1e9}", ["budget 1 GFLOPs per run", "grid 4 the first 4 of 4 grid points"]),
    ],
)
def test_a_dry_run_speaks_the_unit_of_the_budget(nas, budget, facts):
    out = " ".join(nas("run", "study.yaml", "--dry-run", "--set", f"budget={budget}")[1].split())
    assert [fact for fact in facts if fact not in out] == []


def test_a_dry_run_counts_brackets_and_candidates(nas):
    """A bracket takes 9 + 3 * 2 + 6 = 21 epochs; a candidate of ASHA 1 + 2 / 3 + 6 / 9 = 7 / 3 on average."""
    methods = "methods=[successive_halving, {method: asha, reduction_factor: 3}]"
    changes = ["--set", methods, "--set", "budget={epochs: 84}", "--set", "training.epochs=9"]
    out = " ".join(nas("run", "study.yaml", "--dry-run", *changes)[1].split())
    assert "successive_halving 52 4.0 brackets of 9, 3 and 1 trials that reach 1, 3 and 9 epochs" in out
    assert "asha 52 36 candidates, of which one in 3 goes on at 1, 3 and 9 epochs" in out


def test_no_command_is_a_request_for_help(nas):
    code, out, _ = nas()
    assert code == 0
    assert all(
        command in out
        for command in ("run", "resume", "ls", "show", "trials", "compare", "depth", "pareto", "query", "db")
    )


def stands_in(monkeypatch, name, outcome):
    """Replace `nas.service.run_study` or `resume_study` by a study that ends like this."""

    def ended(*_, **__):
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    monkeypatch.setattr(service, name, ended)


@pytest.mark.parametrize(("command", "function"), [("run study.yaml", "run_study"), ("resume small", "resume_study")])
def test_a_study_with_a_failed_run_ends_with_its_comparison_and_1(nas, monkeypatch, command, function):
    stands_in(monkeypatch, function, "small")
    code, out, err = nas(*command.split())
    assert code == 1
    assert "Delivered: random" in out
    assert err.splitlines()[-1] == "Stored in sqlite:///nas.db as study small."


def test_a_study_that_was_interrupted_says_how_to_go_on(nas, monkeypatch):
    stands_in(monkeypatch, "run_study", Interrupted("study small was stopped by a signal; to go on: nas resume small"))
    code, out, err = nas("run", "study.yaml")
    assert (code, out) == (130, "")
    assert err == ("error: study small was stopped by a signal; to go on: nas resume small --db sqlite:///nas.db\n")


def test_no_error_of_ours_shows_a_traceback(nas, monkeypatch):
    stands_in(monkeypatch, "run_study", TrialFailed("a network broke:\nin two lines"))
    assert nas("run", "study.yaml")[::2] == (1, "error: a network broke: in two lines\n")


def test_reading_imports_neither_torch_nor_ray(folder):
    code = """
import sys
from nas.cli import main
try:
    main(["compare", "small", "--force"])
except SystemExit as error:
    assert error.code == 0
print(sorted({"torch", "ray", "sklearn", "optuna"} & set(sys.modules)))
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.splitlines()[-1] == "[]"


def test_the_package_offers_what_a_notebook_needs(folder):
    import nas as package

    assert all(getattr(package, name).__name__ == name for name in package.__all__)
    with open_store("sqlite:///nas.db") as store:
        assert len(store.frame("trials", "small")) == 11
        assert len(package.compare(store.frame("v_compare", "small")).frame()) == 3
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = package.nothing
