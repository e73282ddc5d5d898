"""Real trainings, without Ray: networks that start with the weights of another trial of their run."""

import pytest
import torch

from controllers.trial import Kind
from nas.driver import Driver
from nas.plan import Plan
from nas.spec import dump_spec, parse_spec
from nas.store import open_store
from nas.study import Study
from workers import flight
from workers.build import build_network, start_from
from workers.train import run

CPU = torch.device("cpu")
FILE = {
    "name": "study",
    "task": {"name": "digits", "train_size": 64, "validation_size": 40},
    "space": {"family": "mlp", "depth": {"min": 1, "max": 4}, "width": 8},
    "seeds": 1,
    "budget": {"of_grid": 1.5},
    "training": {"epochs": 8, "batch_size": 16},
    "final": {"training": {"epochs": 1}},
    "resources": {"workers": 1},
}
METHODS = {
    "adanet": {},
    "autogrow": {"patience": 4},
    "boosting": {"memorised_below": 100, "num_members": 2},  # whatever it has learned
    "distillation": {"student": {"depth": 1}},
    "lottery_ticket": {"num_rounds": 3},
    "magnitude_pruning": {"num_rounds": 3, "scope": "global"},
    "net2deeper": {"min_gain": 0},
    "stacking": {},
    "elastic": {"derived_start": "supernet", "derived_epochs": "all"},
    "halting": {"derived_start": "supernet", "derived_epochs": "all"},
    "layer_select": {"deliver": "supernet"},
    "multi_exit": {"deliver": "supernet"},
    "scan": {"deliver": "supernet"},
    "skipnet": {"deliver": "supernet", "supervised_share": 0.5},
}


def play(method, tmp_path, *, killed_after=None, **options):
    """Carry out the study; the driver may be thrown away after some trials and made again from the database.

    Returns:
        the tables, and the jobs by number with the weights that every trial of the search ended with.
    """
    options = options or METHODS[method]
    plan = Plan(parse_spec({**FILE, "methods": [{"method": method, **options}]}))
    jobs, weights = {}, {}
    with open_store(f"sqlite:///{tmp_path / 'nas.db'}") as store:
        study_id = store.create_study("study", dump_spec(plan.spec), plan.runs, {})
        driver = Driver(Study(plan), store, study_id, tmp_path / "files")
        while (assignment := driver.next()) is not None:
            number = assignment.number
            if number == killed_after:
                killed_after = None
                driver = Driver(Study(plan, store.load(study_id)), store, study_id, tmp_path / "files")
                continue
            epochs = []
            outcome = run(assignment.job, device=CPU, report=lambda epoch, _, into=epochs: into.append(epoch))
            jobs[number] = assignment.job
            if (assignment.job.folder / flight.WEIGHTS).exists():
                weights[number] = flight.load_tensors(assignment.job.folder / flight.WEIGHTS, CPU)
            driver.finish(assignment.run, number, outcome, epochs)
        tables = {name: store.frame(name, "study") for name in ("runs", "trials", "charges", "depth_profiles")}
    return tables, jobs, weights


@pytest.mark.parametrize("method", METHODS)
def test_the_run_pays_for_every_stage_and_keeps_only_its_choice(method, tmp_path):
    tables, jobs, _ = play(method, tmp_path)
    (found,) = tables["runs"].to_dict("records")
    search = tables["charges"][tables["charges"]["account"] == "search"]
    assert found["phase"] == "done", found["stop_reason"]
    assert set(tables["trials"]["status"]) == {"complete"}, tables["trials"]["reason"].tolist()
    assert search["flops"].sum() == found["spent"] <= found["budget"]
    assert found["spent"] > 0.9 * found["budget"]  # the last stage takes what is left, but for less than an epoch
    heirs = [number for number, job in jobs.items() if job.proposal.inherits]
    none = dict.fromkeys(("layer_select", "multi_exit", "scan", "skipnet"), 0)
    assert len(heirs) >= {**none, "elastic": 1, "halting": 1, "boosting": 2, "distillation": 1}.get(method, 3)
    assert [int(path.name) for path in (tmp_path / "files" / "000").iterdir()] == [found["choice"]]


@pytest.mark.parametrize("method", METHODS)
def test_a_driver_that_dies_between_two_stages_changes_nothing(method, tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "other").mkdir()
    whole, _, weights = play(method, tmp_path / "one")
    resumed, _, same = play(method, tmp_path / "other", killed_after=1)
    assert resumed["runs"]["delivered_test_accuracy"].tolist() == whole["runs"]["delivered_test_accuracy"].tolist()
    assert weights.keys() == same.keys()
    assert all(torch.equal(weights[n][name], same[n][name]) for n in weights for name in weights[n])


def test_a_prefix_starts_where_the_supernet_ended(tmp_path):
    """The first validation of the heir, before any step, would be that of the level inside the supernet."""
    _, jobs, weights = play("elastic", tmp_path)
    heir = jobs[1].proposal
    depth = heir.architecture.depth
    assert tuple(heir.inherits["blocks"]) == tuple(range(1, depth + 1))
    supernet = weights[0]
    plan = Plan(parse_spec({**FILE, "methods": ["grid"]}))
    network = build_network(heir, plan.space, seed=0)
    start_from(network, heir, plan.space, supernet)
    for name, tensor in network.state_dict().items():
        source = name.replace("head", f"heads.{depth}") if name.startswith("head") else f"chain.{name}"
        assert torch.equal(tensor, supernet[source])


def test_a_supernet_is_delivered_and_retrained_as_it_is(tmp_path):
    tables, jobs, _ = play("layer_select", tmp_path)
    assert [job.proposal.kind for job in jobs.values()] == [Kind.RELAXATION, Kind.FINAL]
    assert {job.proposal.relaxation["name"] for job in jobs.values()} == {"layer_select"}
    (found,) = tables["runs"].to_dict("records")
    assert found["delivered_test_accuracy"] > 0.2  # of ten classes
    assert tables["trials"]["depth"].isna().all()  # a mixture has none


def test_masks_travel_with_the_weights_and_the_initial_ones_with_them(tmp_path):
    """The deepest chain has 64 x 8, four times 8 x 8 and 8 x 10 weights; a round keeps 80 %, of the last 90 %."""
    tables, jobs, weights = play("lottery_ticket", tmp_path)
    rounds = [number for number, job in jobs.items() if job.proposal.kind is Kind.RELAXATION]
    assert rounds == [0, 1, 2, 3]
    masks = [name for name in weights[0] if name.endswith(".mask")]
    left = [[int(weights[number][name].sum()) for name in masks] for number in rounds]
    assert left == [
        [512, 64, 64, 64, 64, 80],
        [410, 51, 51, 51, 51, 72],  # of 64, round(12.8) are cut
        [328, 41, 41, 41, 41, 65],
        [262, 33, 33, 33, 33, 59],  # of 65, round(6.5) is the even 6
    ]
    initial = {name for name in weights[0] if name.startswith("initial.")}
    assert initial
    assert all(torch.equal(weights[number][name], weights[0][name]) for number in rounds for name in initial)
    profiles = tables["depth_profiles"].groupby(["number", "epoch"])["weight"].sum().groupby("number").last()
    trials = tables["trials"].set_index("number")
    for number, counts in zip(rounds, left, strict=True):
        assert profiles[number] == 2 * sum(counts)  # effective
        assert trials["inference_flops"][number] == 2 * sum(left[0])  # dense


def test_a_student_is_delivered_alone_and_retrained_without_its_teacher(tmp_path):
    tables, jobs, weights = play("distillation", tmp_path)
    assert [job.proposal.kind for job in jobs.values()] == [Kind.ARCHITECTURE, Kind.RELAXATION, Kind.FINAL]
    (found,) = tables["runs"].to_dict("records")
    assert found["choice"] == 1
    trials = tables["trials"].set_index("number")
    teacher, student = ((64 * 8 + 4 * 8 * 8 + 8 * 10, 8 + 4 * 8 + 10), (64 * 8 + 8 * 8 + 8 * 10, 8 + 8 + 10))
    for number, (products, biases) in enumerate((teacher, student, student)):
        assert trials["inference_flops"][number] == 2 * products
        assert trials["num_parameters"][number] == products + biases
    assert all(torch.equal(weights[1][f"teacher.{name}"], tensor) for name, tensor in weights[0].items())
    # Of a step with 16 digits, the final one pays for forward, backward and update of the student's layers alone.
    step = 2 * 16 * (2 * 64 * 8 + 3 * 8 * 8 + 3 * 8 * 10)
    charges = tables["charges"].set_index(["number", "kind"])["flops"]
    assert charges[2, "train"] == 4 * step
    epochs = jobs[1].epochs
    assert charges[1, "train"] == epochs * 4 * (step + 2 * 16 * teacher[0])


@pytest.mark.parametrize("method", ["adanet", "boosting"])
def test_members_that_stay_as_they_are_are_priced_as_such(method, tmp_path):
    """To the FLOP: they only answer, and a worker counts what it really does."""
    tables, jobs, _ = play(method, tmp_path)
    plan = Plan(parse_spec({**FILE, "methods": [{"method": method, **METHODS[method]}]}))
    search = tables["charges"][tables["charges"]["account"] == "search"]
    paid = search.groupby("number")["flops"].sum()
    heirs = {number: job for number, job in jobs.items() if "members" in job.proposal.inherits}
    assert len(heirs) >= 2
    for number, job in heirs.items():
        epoch = plan.prices.pricer.epoch_cost(job.proposal, plan.spec.training)
        assert paid[number] == epoch.flops * job.epochs


def test_a_first_member_that_was_judged_and_goes_on_is_the_training_that_nobody_looked_at(tmp_path):
    """To the bit, and for the same FLOPs."""
    (tmp_path / "one").mkdir()
    (tmp_path / "other").mkdir()
    options = {"depth": 3, "judged_at": 0.3, "memorised_below": 0, "slow_above": 1.5}
    judged, jobs, weights = play("boosting", tmp_path / "one", **options)
    whole, whole_jobs, whole_weights = play("fixed", tmp_path / "other", architecture={"depth": 3})
    job, expected = whole_jobs[0], whole_weights[0]
    assert (jobs[0].epochs, jobs[1].epochs) == (round(0.3 * job.epochs), job.epochs)
    assert judged["runs"]["choice"].item() == 1
    assert judged["runs"]["spent"].item() == whole["runs"]["spent"].item()
    assert weights[1].keys() == expected.keys()
    assert all(torch.equal(weights[1][name], tensor) for name, tensor in expected.items())
