"""What is shown of a study that is half-way: runs of 1000 FLOPs in trials of 200, of which one worker has one."""

import io

import pytest
from rich.console import Console

from controllers.cost import Charge, ChargeKind, Cost
from controllers.trial import SCORE, Measurement
from nas.progress import Progress, bar, line, screen
from nas.study import Study
from tests.nas import fakes

TRIAL_FLOPS = 200


class FlatPricer(fakes.FakePricer):
    def epoch_cost(self, proposal, training):
        return Cost(flops=TRIAL_FLOPS // 2, epochs=1)


@pytest.fixture
def half_way(monkeypatch):
    """Every run but the last has finished one trial, the first one runs its second."""

    def make(num_seeds):
        monkeypatch.setattr(fakes, "FakePricer", FlatPricer)
        data = {
            "name": "depths",
            "task": {"name": "spiral", "train_size": 2, "validation_size": 2, "test_size": 2},
            "space": {"family": "mlp", "depth": [5, 6, 7, 8], "width": 4},
            "methods": ["grid"],
            "seeds": num_seeds,
            "budget": {"flops": 1000},
            "training": {"epochs": 2},
            "resources": {"workers": 1},
        }
        study = Study(fakes.fake_plan(monkeypatch, data))
        for number in range(num_seeds - 1):
            dispatch = study.propose()
            study.finish(dispatch.run.plan.index, dispatch.trial.number, measured(0.5 + number / 100))
        study.runs[0].propose()
        return study

    return make


def measured(score):
    charges = (Charge(kind=ChargeKind.TRAIN, cost=Cost(flops=TRIAL_FLOPS, epochs=2)),)
    return Measurement(metrics={SCORE: score}, charges=charges, epochs=2, num_parameters=1, inference_flops=1)


def shown(renderable, width=100):
    console = Console(file=io.StringIO(), width=width, record=True)
    console.print(renderable)
    return [text.rstrip() for text in console.export_text().splitlines()]


def test_a_bar_has_what_is_spent_and_what_is_reserved():
    assert bar(0.25, 0.5).plain == "━" * 18 + "─" * 6
    assert [(span.end - span.start, span.style) for span in bar(0.25, 0.5).spans] == [
        (6, "green"),
        (12, "yellow"),
        (6, "bright_black"),
    ]
    assert bar(1.0, 0.0).plain == "━" * 24


def test_every_run_has_a_row(half_way):
    heading, _, first, second, third = shown(screen(half_way(3), 75, height=40))
    assert heading == "depths: 1:15, 13.3 % of all budgets spent, 2 trials done"
    assert first.split() == ["grid", "0", "━" * 9 + "─" * 15, "20.0", "50.0", "5", "1", "searching,", "1", "running"]
    assert second.split() == ["grid", "1", "━" * 4 + "─" * 20, "20.0", "51.0", "5", "1", "searching"]
    assert third.split() == ["grid", "2", "─" * 24, "0.0", "-", "-", "0", "searching"]


def test_many_runs_fit_the_screen_those_at_work_first(half_way):
    study = half_way(40)
    study.runs[35].propose()
    lines = shown(screen(study, 0, height=10))
    assert [text.split()[:2] for text in lines[2:-1]] == [["grid", "0"], ["grid", "1"], ["grid", "2"], ["grid", "35"]]
    assert lines[-1] == "and 36 more runs: 36 searching"
    assert len(shown(screen(study, 0, height=200))) == 33  # heading, names, 30 runs, the rest


def test_a_narrow_screen_breaks_no_row(half_way):
    assert len(shown(screen(half_way(3), 75, height=40), width=80)) == 5


def test_the_study_in_one_line(half_way):
    expected = "depths: 1:15, 13.3 % of all budgets spent, 2 trials done, runs: 3 searching"
    assert line(half_way(3), 75) == expected


def test_without_a_terminal_the_last_state_is_a_plain_line(half_way, capsys):
    study = half_way(3)
    with Progress() as progress:
        progress.watch(study)
    out, err = capsys.readouterr()
    assert out == ""
    (text,) = err.splitlines()
    assert text.startswith("depths: 0 s, 13.3 % of all budgets spent")


def test_a_study_that_never_began_shows_nothing(capsys):
    with Progress():
        pass
    assert capsys.readouterr() == ("", "")


def test_on_a_terminal_the_table_goes_and_a_line_stays(half_way, capsys):
    study, screen_ = half_way(3), io.StringIO()
    with Progress(Console(file=screen_, force_terminal=True, width=100)) as progress:
        progress.watch(study)
    assert "searching, 1 running" in screen_.getvalue()
