"""The comparison of the small study, worked out by hand."""

import pandas as pd
import pytest
from scipy.stats import mannwhitneyu

from nas import compare
from nas.store import open_store
from nas.verdict import verdict
from search_spaces.errors import InvalidInput
from tests.nas.small_study import store_study


@pytest.fixture
def runs(tmp_path):
    url = f"sqlite:///{tmp_path / 'nas.db'}"
    store_study(url)
    with open_store(url) as store:
        return store.frame("v_compare", "small")


def made_up(**accuracies):
    """Runs that are done, with these delivered and retrained accuracies by label, on the seeds 0, 1, ..."""
    return pd.DataFrame(
        {
            "study": "made-up",
            "run": 0,
            "label": label,
            "seed": seed,
            "phase": "done",
            "stop_reason": "budget spent: nothing is left",
            "spent_fraction": 1.0,
            "delivered_test_accuracy": accuracy,
            "retrained_test_accuracy": accuracy,
            "depth": 4,
            "inference_flops": 100,
        }
        for label, of_label in accuracies.items()
        for seed, accuracy in enumerate(of_label)
    )


def by_label(comparison):
    return {method.label: method for method in comparison.methods}


def test_every_method_is_summarised_over_its_seeds(runs):
    comparison = compare(runs)
    assert (comparison.study, comparison.baseline) == ("small", "grid")
    methods = by_label(comparison)
    assert list(methods) == ["grid", "random", "darts"]
    random = methods["random"]
    assert random.scores["delivered"].accuracy.value == pytest.approx(0.775)
    assert random.scores["retrained"].accuracy.value == pytest.approx(0.8)
    assert (random.depth, random.min_depth, random.max_depth) == (2, 2, 2)
    assert random.spent_share == 0.5
    assert (methods["grid"].depth, methods["grid"].min_depth, methods["grid"].max_depth) == (1.5, 1, 2)


def test_two_scores_are_compared_with_the_baseline_apart(runs):
    random = by_label(compare(runs))["random"]
    delivered, retrained = random.scores["delivered"], random.scores["retrained"]
    assert (delivered.improvement.value, delivered.difference.value) == pytest.approx((1.0, 0.225))
    assert (delivered.difference.low, delivered.difference.high) == pytest.approx((0.2, 0.25))
    u = mannwhitneyu([0.7, 0.9], [0.7, 0.7]).statistic
    assert (retrained.improvement.value, retrained.difference.value) == pytest.approx((u / 4, 0.1))


def test_the_baseline_is_not_compared_with_itself(runs):
    grid = by_label(compare(runs))["grid"]
    assert all(score.improvement is None and score.difference is None for score in grid.scores.values())


def test_runs_without_a_score_are_counted_and_not_averaged(runs):
    darts = by_label(compare(runs))["darts"]
    assert (darts.num_runs, darts.num_failed, darts.num_unfinished) == (2, 1, 0)
    assert darts.scores["delivered"].num == 1
    assert darts.scores["delivered"].accuracy.value == 0.4
    assert darts.scores["delivered"].accuracy.low is None
    assert darts.scores["delivered"].num_pairs == 1
    assert darts.endings == {"budget spent": 1, "no trial completed; the supernet failed": 1}


def test_differences_are_taken_seed_by_seed():
    """Both methods have the accuracies 0.2, 0.5, 0.8; only the pairing makes them differ: by 0.3, 0.3 and -0.6."""
    paired = by_label(compare(made_up(grid=[0.2, 0.5, 0.8], shifted=[0.5, 0.8, 0.2])))["shifted"].scores["delivered"]
    assert paired.improvement.value == 0.5
    assert (paired.difference.value, paired.difference.low, paired.difference.high) == pytest.approx((0.0, -0.6, 0.3))


def test_seeds_that_the_baseline_lacks_are_not_paired():
    frame = made_up(grid=[0.2, 0.5], random=[0.4, 0.6, 0.9])
    score = by_label(compare(frame))["random"].scores["delivered"]
    assert (score.num, score.num_pairs) == (3, 2)
    assert score.difference.value == pytest.approx(0.15)


def test_the_baseline_is_grid_else_the_first_else_what_one_asks_for(runs):
    assert compare(runs, "darts").baseline == "darts"
    assert compare(runs[runs["label"] != "grid"]).baseline == "random"
    with pytest.raises(InvalidInput, match="baseline: must be one of grid, random, darts, got 'fixed'"):
        compare(runs, "fixed")


def test_a_comparison_is_of_one_study(runs):
    with pytest.raises(InvalidInput, match="got those of 2"):
        compare(pd.concat([runs, runs.assign(study="other")]))
    with pytest.raises(InvalidInput, match="got those of 0"):
        compare(runs[:0])


def test_a_notebook_gets_one_row_per_method(runs):
    frame = compare(runs).frame().set_index("label")
    assert frame.loc["random", "delivered_test_accuracy"] == pytest.approx(0.775)
    assert frame.loc["random", "retrained_difference"] == pytest.approx(0.1)
    assert frame.loc["darts", "num_failed"] == 1
    assert pd.isna(frame.loc["grid", "delivered_difference"])


def test_the_verdict_names_winner_margin_depth_and_doubt(runs):
    delivered, retrained, failed = verdict(compare(runs))
    assert delivered.startswith("Delivered: random (77.5 %, depth 2) has the highest mean test accuracy.")
    assert "+22.5 points (95 % interval +20.0 to +25.0)" in delivered
    assert "probability 1.00" in delivered
    assert delivered.endswith("better in the mean, but 2 seeds are too few to rule out chance (at least 6).")
    assert retrained.startswith("Retrained: random (80.0 %, depth 2) has the highest")
    assert retrained.endswith("not distinguishable from grid with 2 seeds.")
    assert failed == "1 of 6 runs failed and are in no mean: 1 of darts."


@pytest.mark.parametrize(
    ("accuracies", "ending"),
    [
        ([0.6, 0.7, 0.8, 0.6, 0.7, 0.8], ": better than grid."),
        ([0.6, 0.7, 0.4, 0.6, 0.7, 0.4], ": not distinguishable from grid with 6 seeds."),
        ([0.6, 0.7, 0.8, 0.6, 0.7], "but 5 seeds are too few to rule out chance (at least 6)."),
        ([0.9], ": 1 seed cannot say whether that is chance."),
    ],
)
def test_six_seeds_can_decide(accuracies, ending):
    """Six signs are equal by chance in 2 / 2^6 = 3 % of all studies, five in 2 / 2^5 = 6 %."""
    delivered, _ = verdict(compare(made_up(grid=[0.5] * len(accuracies), random=accuracies)))
    assert delivered.endswith(ending)


def test_if_the_baseline_wins_the_verdict_names_the_next():
    delivered, _ = verdict(compare(made_up(random=[0.5, 0.6], grid=[0.7, 0.8], darts=[0.1, 0.1])))
    assert delivered.startswith("Delivered: grid (75.0 %, depth 4) has the highest mean test accuracy; next is random")
    assert "Against grid, random has -20.0 points" in delivered


def test_unfinished_runs_have_no_verdict():
    frame = made_up(grid=[None, None], random=[None, None]).assign(phase="searching", stop_reason="")
    delivered, retrained, unfinished = verdict(compare(frame))
    assert (delivered, retrained) == ("Delivered: no run has a score yet.", "Retrained: no run has a score yet.")
    assert unfinished == "4 of 4 runs are not finished and are in no mean: 2 of grid, 2 of random."
