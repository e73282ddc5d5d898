"""Real trainings, without Ray: what promotions cost, and that they are one training, to the bit."""

from dataclasses import replace

import pytest
import torch

from nas.driver import Driver
from nas.plan import Plan
from nas.spec import dump_spec, parse_spec
from nas.store import open_store
from nas.study import Study
from workers import flight
from workers.train import run

CPU = torch.device("cpu")
EPOCHS = 4


def study_file(method, **fields):
    return {
        "name": "study",
        "task": {"name": "digits", "train_size": 32, "validation_size": 20},
        "space": {"family": "mlp", "depth": {"min": 1, "max": 6}, "width": 4},
        "methods": [{"method": method, "reduction_factor": 2}],
        "seeds": 1,
        "budget": {"flops": 20_000_000},
        "training": {"epochs": EPOCHS, "batch_size": 8},
        "final": {"training": {"epochs": 1}},
        "resources": {"workers": 1},
        **fields,
    }


@pytest.mark.parametrize("method", ["asha", "successive_halving"])
def test_promotions_are_one_training_and_the_run_pays_for_it_once(tmp_path, method):
    plan = Plan(parse_spec(study_file(method)))
    jobs, outcomes, climbed = {}, {}, []
    with open_store(f"sqlite:///{tmp_path / 'nas.db'}") as store:
        study_id = store.create_study("study", dump_spec(plan.spec), plan.runs, {})
        driver = Driver(Study(plan), store, study_id, tmp_path / "files")
        while (assignment := driver.next()) is not None:
            epochs = []
            outcome = run(assignment.job, device=CPU, report=lambda epoch, _, into=epochs: into.append(epoch))
            jobs[assignment.number], outcomes[assignment.number] = assignment.job, outcome
            proposal = assignment.job.proposal
            if proposal.resumed_epochs and proposal.epochs == EPOCHS:
                climbed.append(assignment.number)
                weights = flight.load_tensors(assignment.job.folder / flight.WEIGHTS, CPU)
                flight.save_tensors(tmp_path / "climbed" / str(assignment.number), weights)
            driver.finish(assignment.run, assignment.number, outcome, epochs)
        tables = {name: store.frame(name, "study") for name in ("runs", "trials", "charges", "epochs")}

    (found,) = tables["runs"].to_dict("records")
    trials = tables["trials"].set_index("number")
    search = tables["charges"][tables["charges"]["account"] == "search"]
    assert found["phase"] == "done"
    assert search["flops"].sum() == found["spent"] <= found["budget"]
    assert set(trials["status"]) == {"complete"}

    for number, trial in trials[(trials["kind"] == "architecture") & trials["reused_from"].isna()].iterrows():
        epoch = plan.prices.pricer.epoch_cost(jobs[number].proposal, plan.spec.training).flops
        own = trial["epochs_trained"] - trial["proposal"]["resumed_epochs"]
        assert search[search["number"] == number]["flops"].sum() == epoch * own
        reported = tables["epochs"][tables["epochs"]["number"] == number]["epoch"]
        assert reported.tolist() == list(range(trial["epochs_trained"] - own + 1, trial["epochs_trained"] + 1))

    assert len(climbed) >= 2
    for number in climbed:
        job = jobs[number]
        proposal = replace(job.proposal, parent=None, resumed_epochs=0)
        folder = tmp_path / "whole" / str(number)
        whole = run(
            replace(job, proposal=proposal, parent_folder=None, folder=folder, max_flops=None),
            device=CPU,
            report=lambda *_: None,
        )
        assert whole.metrics == outcomes[number].metrics
        expected, actual = (
            flight.load_tensors(path, CPU) for path in (folder / flight.WEIGHTS, tmp_path / "climbed" / str(number))
        )
        assert expected.keys() == actual.keys()
        assert all(torch.equal(expected[name], actual[name]) for name in expected)
