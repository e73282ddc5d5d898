"""A small study that really trains: a grid and two relaxations on digits, through the command line."""

import json
from itertools import product
from statistics import fmean

import pytest

from nas.cli import main

STUDY = """\
name: real
task: {name: digits, train_size: 100, validation_size: 100, test_size: 50}
space: {family: mlp, depth: [1, 2, 3], width: 8, ops: [residual]}
methods: [grid, {method: layer_select, derive_top: 1}, darts]
seeds: 2
budget: {of_grid: 1}
training: {epochs: 2, batch_size: 50}
final: {training: {epochs: 1}}
resources: {workers: 1}
"""


@pytest.mark.slow
def test_a_real_study_answers(tmp_path, monkeypatch, capsys):
    """The grid trains all three depths on both seeds; the two relaxations report levels 0 to 3."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NAS_DB", "sqlite:///nas.db")
    (tmp_path / "study.yaml").write_text(STUDY)

    def nas(*arguments):
        with pytest.raises(SystemExit) as exit_:
            main(arguments)
        assert exit_.value.code == 0
        return capsys.readouterr().out

    nas("run", "study.yaml")
    (one,) = json.loads(nas("depth", "real", "--plot", "weights.svg", "-f", "json"))
    assert one["depths"] == [1, 2, 3]
    assert [(row["depth"], row["num_seeds"]) for row in one["trainings"]] == [(1, 2), (2, 2), (3, 2)]
    trained: dict = {}
    for trial in json.loads(nas("trials", "real", "-f", "json")):
        if trial["kind"] == "architecture" and trial["epochs_trained"] == 2:
            key = trial["depth"], trial["run_seed"], trial["seed"]
            # The same network with the same seed is one training, whoever asked for it.
            assert trained.setdefault(key, trial["val_accuracy"]) == trial["val_accuracy"]
    assert len(trained) >= 6
    of_seeds = {
        (depth, seed): fmean(value for key, value in trained.items() if key[:2] == (depth, seed))
        for depth, seed in product((1, 2, 3), (0, 1))
    }
    means = {depth: (of_seeds[depth, 0] + of_seeds[depth, 1]) / 2 for depth in (1, 2, 3)}
    assert {row["depth"]: row["val_accuracy"] for row in one["trainings"]} == pytest.approx(means)
    assert one["best_trained_depth"] == max(means, key=lambda depth: (means[depth], -depth))
    assert {row["label"] for row in one["runs"]} == {"layer_select", "darts"}
    weights = json.loads(
        nas("query", "SELECT run, epoch, level, weight FROM v_depth ORDER BY run, epoch, weight, -level", "-f", "json")
    )
    greatest = {row["run"]: row["level"] for row in weights}  # the last row of each run
    assert {row["run"]: row["D1"] for row in one["runs"]} == greatest
    assert "layer_select" in (tmp_path / "weights.svg").read_text(encoding="utf-8")
