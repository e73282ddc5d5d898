"""Equal compute, whatever happens: a thousand random studies against books that are kept from their records alone."""

from collections import Counter

import numpy as np

from controllers.cost import ChargeKind, Cost, Unit, total
from controllers.trial import Kind, Status
from nas.records import Account, Charged, Phase, RunChanged, StudyChanged, TrialFinished, TrialLost, TrialStarted
from nas.study import Study
from search_spaces.errors import InvalidInput
from tests.nas.fakes import PER_STEP, FakeWorkers, Finished, fake_plan

NUM_STUDIES = 1000
MAX_STEPS = 3000


def random_study(rng):
    """A study file; now and then one that is refused."""
    depths = sorted(rng.choice(6, size=rng.integers(2, 5), replace=False).tolist())
    space = {"family": "mlp", "depth": [depth + 1 for depth in depths], "width": 8}
    methods = [
        {"method": "fixed", "architecture": {}},
        {"method": "grid", "order": str(rng.choice(["ascending", "shuffled", "coarse_to_fine"]))},
        "random",
        {"method": "evolution", "population": 3, "tournament": 2},
        {"method": "darts", "search_share": float(rng.choice([0.2, 0.5]))},
    ]
    climbing = [
        {"method": "successive_halving", "reduction_factor": int(rng.integers(2, 4))},
        {"method": "asha", "reduction_factor": int(rng.integers(2, 4)), "max_epochs": int(rng.integers(1, 12))},
    ]
    methods += [one for one in climbing if rng.random() < 0.5]
    if rng.random() < 0.5:
        space |= {"ops": ["dense", "residual"]}
    else:
        methods += ["layer_select"]
    if rng.random() < 0.15:
        methods += [{"method": "reinforce", "num_units": 4, "num_layers": 1}]
    epochs = int(rng.integers(1, 8))
    trials = float(np.exp(rng.uniform(np.log(0.01), np.log(12))))
    unit = str(rng.choice(list(Unit)))
    amount = {
        "flops": int(50 * PER_STEP * epochs * trials),
        "device_seconds": 50 * PER_STEP * epochs * trials / 1e6,
        "epochs": int(epochs * trials) + 1,
        "trials": int(trials) + 1,
    }[unit]
    return {
        "name": "random",
        "seed": int(rng.integers(1000)),
        "task": {"name": "spiral", "train_size": 4, "validation_size": 2, "test_size": 2},
        "space": space,
        "methods": [methods[i] for i in rng.choice(len(methods), size=rng.integers(1, 4), replace=False)],
        "seeds": int(rng.integers(1, 3)),
        "budget": {unit: amount},
        "training": {"epochs": epochs, "batch_size": int(rng.choice([2, 64]))},
        "resources": {"workers": int(rng.integers(1, 5))},
        "limits": {"retries": int(rng.integers(0, 3)), "idle_proposals": int(rng.choice([3, 20]))},
        "spend_rest": bool(rng.random() < 0.5),
        "reuse": bool(rng.random() < 0.5),
    }


def plan_or_none(monkeypatch, data):
    """None if the budget does not pay for a first trial."""
    try:
        return fake_plan(monkeypatch, data)
    except InvalidInput as error:
        if "must pay for the first trial" not in str(error):
            raise
        return None


def random_workers(plan, rng):
    if rng.random() < 0.3:
        return FakeWorkers(plan)
    failing, dying, pruned = rng.dirichlet([1, 1, 1, 3])[:3]
    return FakeWorkers(plan, failing=failing, dying=dying, pruned=pruned, slow=rng.random() < 0.3)


class Spy:
    """Passes everything on to a controller and keeps what it was told."""

    def __init__(self, controller):
        self.controller = controller
        self.told = []

    def ask(self, number, pending=()):
        return self.controller.ask(number, pending)

    def tell(self, trial):
        assert trial.status is not Status.RUNNING
        self.told.append(trial.number)
        self.controller.tell(trial)


class Books:
    """One run's account, kept from the records as an auditor would: what is not recorded did not happen."""

    def __init__(self, plan):
        self.plan = plan
        self.reserved = {}
        self.spent = 0
        self.paid = {account: Cost() for account in Account}
        self.started, self.finished, self.kinds = [], [], {}
        self.phase, self.stop_reason = Phase.SEARCHING, ""

    def enter(self, record):
        match record:
            case TrialStarted():
                self.started.append(record.trial.number)
                self.kinds[record.trial.number] = record.trial.proposal.kind
                assert (record.trial.proposal.kind is Kind.FINAL) == (record.account is Account.FINAL)
                if record.account is Account.SEARCH:
                    self.reserved[record.trial.number] = record.reserved
            case TrialLost():
                if record.account is Account.SEARCH:
                    assert record.reserved <= self.reserved[record.number]
                    self.reserved[record.number] = record.reserved
                self.pay(record)
            case TrialFinished():
                assert record.trial.number in self.started
                self.finished.append(record.trial.number)
                self.reserved.pop(record.trial.number, None)
                assert (self.kinds[record.trial.number] is Kind.FINAL) == (record.account is Account.FINAL)
                if record.reused_from is not None:
                    assert all(charge.kind is ChargeKind.CONTROLLER for charge in record.charges)
                self.pay(record)
            case Charged():
                assert record.account is Account.OVERSHOOT
                self.pay(record)
            case RunChanged():
                self.phase, self.stop_reason = record.phase, record.stop_reason
        assert self.spent + sum(self.reserved.values()) <= self.plan.budget

    def pay(self, record):
        cost = total(record.charges)
        assert min(cost.flops, cost.device_us, cost.epochs, cost.trials) >= 0
        self.paid[record.account] += cost
        if record.account is Account.SEARCH:
            self.spent += cost.atoms(self.plan.unit)


def run_to_its_end(study, workers, rng):
    """Every record, in order. Results arrive in any order."""
    flying, records = [], []
    for _ in range(MAX_STEPS):
        while (dispatch := study.propose()) is not None:
            flying.append(dispatch)
        assert len(flying) <= study.plan.spec.resources.workers
        records += study.drain()
        if study.done:
            assert not flying
            return records
        assert flying, "nothing runs and nothing is proposed"
        dispatch = flying.pop(rng.integers(len(flying)))
        run, trial = dispatch.run.plan.index, dispatch.trial
        came = workers.work(run, trial, dispatch.attempt)
        if isinstance(came, Finished):
            study.finish(run, trial.number, came.outcome, pruned=came.pruned)
        else:
            study.lose(run, trial.number, spent=came.spent, kept=came.kept, reason="died", hopeless=came.hopeless)
        records += study.drain()
        for state in study.runs:
            assert 0 <= state.ledger.spent <= state.ledger.committed <= state.ledger.budget
    raise AssertionError(f"not done after {MAX_STEPS} steps")


def audit(study, workers, spies, records):
    books = [Books(run.plan) for run in study.runs]
    for record in records:
        if not isinstance(record, StudyChanged):
            books[record.run].enter(record)
    orders = [record.order for record in records if isinstance(record, TrialFinished)]
    assert orders == list(range(len(orders)))
    assert [isinstance(record, StudyChanged) for record in records] == [False] * (len(records) - 1) + [True]
    for run, book, spy in zip(study.runs, books, spies, strict=True):
        assert book.spent == run.ledger.spent == run.ledger.committed
        assert Counter(book.finished) == Counter(book.started) == Counter(range(run.num_trials))
        searched = [n for n in book.finished if book.kinds[n] in (Kind.ARCHITECTURE, Kind.RELAXATION)]
        assert spy.told == searched
        assert book.phase.is_over
        assert book.stop_reason, "the reason why the search ended is part of the result"
        assert "waits" not in book.stop_reason
        kinds = Counter(book.kinds.values())
        assert kinds[Kind.FINAL] == (run.choice is not None)
        assert kinds[Kind.CONTINUATION] <= study.plan.spec.spend_rest
        if run.plan.unit is not Unit.DEVICE_SECONDS:
            assert book.paid[Account.OVERSHOOT] == Cost()
        if not study.plan.spec.reuse:
            assert all(record.reused_from is None for record in records if isinstance(record, TrialFinished))
        if study.plan.spec.spend_rest and run.choice is not None and workers.careful:
            assert run.ledger.free < price_of_an_epoch(study.plan, run)


def price_of_an_epoch(plan, run):
    """The least that the run's choice can be trained further for."""
    if run.plan.unit is not Unit.FLOPS:
        return 1
    return plan.prices.pricer.epoch_cost(run.choice.proposal, plan.spec.training).flops


def test_a_thousand_random_studies(monkeypatch):
    rng = np.random.default_rng(0)
    audited = Counter()
    while audited["studies"] < NUM_STUDIES:
        plan = plan_or_none(monkeypatch, random_study(rng))
        if plan is None:
            audited["refused"] += 1
            continue
        study, workers = Study(plan), random_workers(plan, rng)
        spies = [Spy(run.controller) for run in study.runs]
        for run, spy in zip(study.runs, spies, strict=True):
            run.controller = spy
        records = run_to_its_end(study, workers, rng)
        audit(study, workers, spies, records)
        audited["studies"] += 1
        audited["lost"] += sum(isinstance(record, TrialLost) for record in records)
        audited["overshoot"] += sum(isinstance(record, Charged) for record in records)
        for record in records:
            if isinstance(record, TrialFinished):
                audited[record.trial.status] += 1
                audited["reused"] += record.reused_from is not None
                audited[record.trial.proposal.kind] += 1
                audited["resumed"] += record.trial.proposal.resumed_epochs > 0
    rare = {name: count for name, count in audited.items() if count < 40}
    assert not rare, "the studies should meet every kind of event often"
    assert len(audited) == 3 + 3 + 1 + 1 + 1 + len(Kind)
