"""A study of three methods and two seeds as it might be stored: five runs are done, one has failed.

The scores, by method and seed:

            delivered       retrained       depth
    grid    0.50  0.60      0.70  0.70      1  2
    random  0.75  0.80      0.70  0.90      2  2
    darts   0.40  failed    0.30  failed    3  -
"""

from controllers.cost import Unit
from controllers.trial import Kind
from nas.records import Account, Phase, RunPlan, StudyChanged, StudyStatus
from nas.store import open_store
from tests.nas.histories import charge, chose, finish, finished, search, start, started

BUDGET = 3_400_000_000
SPENT = BUDGET // 2
SPEC = {"task": {"name": "spiral"}, "space": {"family": "mlp", "depth": [1, 2, 3]}}
SCORES = {
    # (method, seed): depth, delivered, retrained
    ("grid", 0): (1, 0.5, 0.7),
    ("grid", 1): (2, 0.6, 0.7),
    ("random", 0): (2, 0.75, 0.7),
    ("random", 1): (2, 0.8, 0.9),
    ("darts", 0): (3, 0.4, 0.3),
    ("darts", 1): None,
}
NAME = "small"


def store_study(url, name=NAME):
    """Create the database, if need be, and the study in it."""
    plans = [
        RunPlan(index=index, label=label, method=label, options={}, seed=seed, unit=Unit.FLOPS, budget=BUDGET)
        for index, (label, seed) in enumerate(SCORES)
    ]
    with open_store(url) as store:
        study_id = store.create_study(name, {**SPEC, "name": name}, plans, {"depth-nas": "0.1.0"})
        for index, scores in enumerate(SCORES.values()):
            store.record(study_id, _failed(index) if scores is None else _done(index, *scores))
        store.record(study_id, [StudyChanged(status=StudyStatus.FAILED)])


def _done(run, depth, delivered, retrained):
    final = started(1, depth=depth, kind=Kind.FINAL)
    test = {"delivered_test_accuracy": delivered, "retrained_test_accuracy": retrained}
    return [
        *search(run, 0, 2 * run, delivered - 0.1, SPENT, depth=depth),
        chose(run, 0, Phase.FINAL, "budget spent: the next trial needs 2e+09 flops, 1.7e+09 are left"),
        start(run, final, account=Account.FINAL),
        finish(run, finished(final, retrained - 0.1, **test), 2 * run + 1, charge(7), account=Account.FINAL),
        chose(run, 0, Phase.DONE, "budget spent: the next trial needs 2e+09 flops, 1.7e+09 are left"),
    ]


def _failed(run):
    reason = "no trial completed; the supernet failed: out of memory"
    return [*search(run, 0, 2 * run, None, SPENT, kind=Kind.RELAXATION), chose(run, None, Phase.FAILED, reason)]
