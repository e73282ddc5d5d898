"""`nas depth` as people and programs see it."""

import csv
import io
import json
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from nas import output
from nas.cli import main
from nas.store import open_store
from tests.nas.depth.by_hand import GRID, RUNS
from tests.nas.depth.stored import store_runs


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    folder = tmp_path_factory.mktemp("depths")
    with open_store(f"sqlite:///{folder / 'nas.db'}") as store:
        store_runs(store, "hand", RUNS)
        store_runs(store, "gridded", GRID)
        store_runs(store, "nothing", [])
    return folder


@pytest.fixture
def nas(database, monkeypatch, capsys):
    """Runs a command: exit code, standard output, standard error."""
    monkeypatch.chdir(database)
    monkeypatch.setenv("NAS_DB", "sqlite:///nas.db")

    def invoke(*arguments):
        with pytest.raises(SystemExit) as exit_:
            main(("depth", *arguments))
        return exit_.value.code, *capsys.readouterr()

    return invoke


@pytest.fixture
def lines(nas):
    """Of the tables, without the alignment."""

    def invoke(*arguments):
        code, out, err = nas(*arguments)
        assert (code, err) == (0, "")
        return [" ".join(line.split()) for line in out.splitlines()]

    return invoke


def test_tables(lines):
    found = lines("hand")
    for line in [
        "Study hand, depths 1-4. Which depth is best?",
        "D2 level that does best with all weight on it",
        "method runs D1 D1s D2 D3 D4 D5 chosen",
        "layer_fusion 2 0.5 (0-1) 3 2.5 (2-3) 3 (2-3) 3 (2-4) - 2",
        "depth_posterior 1 - - - 3 (2-3) - 4 -",
        "method seed epochs D1 D1s D2 D4 D5 chosen",
        "layer_fusion 0 2 0* 3 3 2 - 2",
        "layer_fusion 1 2 1 3 2 4 - -",
        "Ordinary training of 2 epochs: validation accuracy, %",
        "method answer depth distance rank correlation regret, points of runs",
        "depth_posterior D5 4 1 +0.40 +20.0 1/1",
        "layer_fusion D1 2.5 (+0.00) 2 (+0.29) 2.5 (+0.08) 2.5 (-0.16) -",
        "depth_posterior D5 - - - 1 (+0.40) -",
        "layer_fusion: weight of every level over training, mean of 2 runs; greatest 1, negative ones red",
        "D1 of layer_fusion names, in 1 of 2 runs, a level that was never trained as a network of its own: no regret.",
    ]:
        assert line in found
    assert any(line.startswith("3 2 85.0 [") and line.endswith("5.0 0.0 best") for line in found)
    assert any(line.startswith("2 2 80.0 [") and line.endswith("the standard error of the best") for line in found)


def test_a_study_without_supernets(lines):
    found = lines("gridded")
    assert "- 0 3 (2-3) -" in found
    assert found[-1] == "There is no supernet: D3 is the only answer."
    assert not any(line.startswith("Held against") for line in found)


def test_a_study_without_anything(lines):
    found = lines("nothing")
    assert "- 0 - -" in found
    assert "There is no supernet: D3 is the only answer." in found


def test_several_studies_are_answered_one_by_one(lines):
    found = lines("gridded", "hand")
    assert [line for line in found if line.startswith("Study")] == [
        "Study gridded, depths 1-4. Which depth is best?",
        "Study hand, depths 1-4. Which depth is best?",
    ]


def test_json_is_complete(nas):
    code, out, err = nas("hand", "gridded", "-f", "json")
    assert (code, err) == (0, "")
    hand, gridded = json.loads(out)
    assert (hand["study"], hand["depths"], hand["epochs"], hand["best_trained_depth"]) == ("hand", [1, 2, 3, 4], 2, 3)
    assert hand["runs"][0] == {
        "run": 2,
        "label": "layer_fusion",
        "seed": 0,
        "number": 0,
        "relaxation": "layer_fusion",
        "epoch": 2,
        "D1": 0,
        "D1s": 3,
        "D2": 3,
        "D4": 2,
        "D5": None,
        "chosen_depth": 2,
    }
    assert [row["answer"] for row in hand["answers"]] == ["D3", "D1", "D1s", "D2", "D4", "D5"]
    assert hand["answers"][3]["regret"] == pytest.approx(0.05)
    assert hand["pairs"][0] == {
        "label": "layer_fusion",
        "first": "D1",
        "second": "D1s",
        "num_runs": 2,
        "distance": (3 + 2) / 2,
        "spearman": pytest.approx(0.0),  # of equal and of reversed ranks
    }
    assert [row["within_error_of_best"] for row in hand["trainings"]] == [False, True, True, False]
    assert len(hand["notes"]) == 2
    assert gridded["runs"] == []
    assert gridded["answers"][0]["depth"] == 3


def test_csv_has_the_answers_of_all_studies(nas):
    code, out, err = nas("hand", "gridded", "-f", "csv")
    assert (code, err) == (0, "")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [(row["study"], row["label"], row["answer"], row["depth"]) for row in rows] == [
        ("hand", "", "D3", "3"),
        ("hand", "layer_fusion", "D1", "0.5"),
        ("hand", "layer_fusion", "D1s", "3.0"),
        ("hand", "layer_fusion", "D2", "2.5"),
        ("hand", "layer_fusion", "D4", "3.0"),
        ("hand", "depth_posterior", "D5", "4.0"),
        ("gridded", "", "D3", "3"),
    ]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["no-such"], "there is no study 'no-such'"),
        (["hand", "1"], "a study can be asked once, but hand is named twice"),
        (["hand", "--plot", "weights.png"], "--plot: must end in .svg, got 'weights.png'"),
        (["hand", "--plot", "no/such/folder/w.svg"], "--plot: cannot write no/such/folder/w.svg: No such file"),
        (
            ["gridded", "--plot", "w.svg"],
            "--plot: there is nothing to draw: no supernet of gridded reported its levels",
        ),
    ],
)
def test_bad_input_is_refused_in_one_line(nas, arguments, line):
    code, out, err = nas(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert line in err


@pytest.mark.parametrize(
    ("studies", "titles"),
    [
        (["hand"], ["layer_fusion", "depth_posterior"]),
        (["gridded", "hand"], ["hand: layer_fusion", "hand: depth_posterior"]),
    ],
)
def test_a_picture_is_drawn(nas, studies, titles):
    code, _, err = nas(*studies, "--plot", "weights.svg")
    assert (code, err) == (0, "Drawn in weights.svg.\n")
    picture = ET.fromstring(Path("weights.svg").read_text(encoding="utf-8"))
    texts = [element.text for element in picture.iter() if element.get("font-weight") == "bold"]
    assert texts == titles


def test_narrow_screens_get_whole_words(nas, monkeypatch):
    monkeypatch.setattr(output, "UNLIMITED", 100)
    _, out, _ = nas("hand")
    assert max(map(len, out.splitlines())) <= 100
    assert "…" not in out


def test_asking_waits_for_neither_torch_nor_ray(database):
    code = """
import sys
from nas.cli import main
try:
    main(["depth", "gridded", "--db", sys.argv[1]])
except SystemExit as error:
    assert error.code == 0
print(sorted({"torch", "ray", "sklearn", "optuna"} & set(sys.modules)))
"""
    url = f"sqlite:///{database / 'nas.db'}"
    ended = subprocess.run([sys.executable, "-c", code, url], capture_output=True, text=True, check=True)
    assert ended.stdout.splitlines()[-1] == "[]"
