"""The comparison of the small study, worked out by hand."""

import pandas as pd
import pytest
from scipy.stats import mannwhitneyu, trim_mean, wilcoxon

from nas import compare
from nas.statistics.profiles import DISTANCES
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
    assert delivered.p == 0.5
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
    assert paired.difference.value == pytest.approx(0.0)
    assert paired.p == wilcoxon([0.3, 0.3, -0.6], method="exact").pvalue


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


def test_a_comparison_needs_runs_and_a_margin(runs):
    with pytest.raises(InvalidInput, match="there are no runs to compare"):
        compare(runs[:0])
    with pytest.raises(InvalidInput, match="margin: must be above 0 and at most 1, got 0"):
        compare(runs, margin=0)


def test_methods_are_compared_task_by_task():
    """On the first task random leads by 0.1, on the second it trails by 0.3 and 0.1; every task counts once."""
    one = made_up(grid=[0.8, 0.8], random=[0.9, 0.9])
    two = made_up(grid=[0.5, 0.3], random=[0.2, 0.2]).assign(study="hard")
    comparison = compare(pd.concat([one, two]))
    assert comparison.studies == comparison.tasks == ("made-up", "hard")
    score = by_label(comparison)["random"].scores["delivered"]
    assert score.accuracy.value == pytest.approx(0.55)
    assert score.difference.value == pytest.approx((0.1 - 0.2) / 2)
    assert score.improvement.value == 0.5
    assert (score.num, score.num_pairs) == (4, 4)
    assert score.p == 1.0  # the ranks are 2, 2, -4 and -2, and no signs bring their sum closer to 0
    assert score.iqm.value == pytest.approx(trim_mean([0.9, 0.9, 0.2, 0.2], 0.25))


def test_studies_of_one_task_are_more_seeds():
    more = made_up(grid=[0.5, 0.5], random=[0.6, 0.7]).assign(study="more", seed=[2, 3, 2, 3])
    both = pd.concat([made_up(grid=[0.5, 0.5], random=[0.6, 0.7]), more]).assign(task="one")
    comparison = compare(both)
    assert (comparison.studies, comparison.tasks) == (("made-up", "more"), ("one",))
    assert by_label(comparison)["random"].scores["delivered"].num_pairs == 4


def test_a_method_that_failed_on_a_whole_task_is_noted():
    hard = made_up(grid=[0.5, 0.6], random=[None, None]).assign(study="hard")
    comparison = compare(pd.concat([made_up(grid=[0.8, 0.7], random=[0.8, 0.9]), hard]))
    note = "no delivered score on hard: random, whose means are over the other tasks"
    assert note in comparison.notes
    assert by_label(comparison)["random"].scores["delivered"].difference.value == pytest.approx(0.1)


def test_p_values_are_corrected_for_the_number_of_methods():
    """One of 2 / 2^6, doubled; the other has signs both ways."""
    base = [0.5] * 6
    comparison = compare(made_up(grid=base, good=[0.6, 0.61, 0.62, 0.63, 0.64, 0.65], same=[0.4, 0.6] * 3))
    good, same = (by_label(comparison)[label].scores["delivered"] for label in ("good", "same"))
    assert (good.p, good.p_holm) == (1 / 32, 1 / 16)
    assert (same.p, same.p_holm) == (1.0, 1.0)
    assert good.conclusion == "no worse"
    assert any("2 methods to test against the baseline" in note and "7 pairs" in note for note in comparison.notes)


@pytest.mark.parametrize(
    ("shifts", "margin", "conclusion"),
    [
        ([0.001, -0.001, 0.0, 0.001, -0.001, 0.0], 0.0025, "equivalent"),
        ([0.001, -0.001, 0.0, 0.001, -0.001, 0.0], 0.0005, "open"),
        ([0.01, 0.02, 0.03, 0.01, 0.02, 0.03], 0.0025, "no worse"),
        ([-0.01, -0.02, -0.03, -0.01, -0.02, -0.03], 0.0025, "no better"),
        ([0.0] * 5, 0.0025, "few"),
        ([], 0.0025, None),
    ],
)
def test_a_margin_is_what_too_small_to_matter_means(shifts, margin, conclusion):
    frame = made_up(grid=[0.5] * 6, random=[0.5 + shift for shift in shifts] or [None])
    assert by_label(compare(frame, margin=margin))["random"].scores["delivered"].conclusion == conclusion


def test_several_tasks_have_profiles():
    """Best means 0.9 and 0.5; random is within 0.1 twice of two and never."""
    hard = made_up(grid=[0.5, 0.5], random=[0.2, 0.2]).assign(study="hard")
    comparison = compare(pd.concat([made_up(grid=[0.8, 0.8], random=[0.9, 0.9]), hard]))
    curves = by_label(comparison)["random"].profiles["delivered"]
    assert dict(zip(DISTANCES, curves, strict=True))[0.1] == 0.5
    assert curves[0] == 0.5


def test_a_notebook_gets_one_row_per_method(runs):
    frame = compare(runs).frame().set_index("label")
    assert frame.loc["random", "delivered_test_accuracy"] == pytest.approx(0.775)
    assert frame.loc["random", "retrained_difference"] == pytest.approx(0.1)
    assert frame.loc["darts", "num_failed"] == 1
    assert pd.isna(frame.loc["grid", "delivered_difference"])


def test_the_verdict_names_winner_margin_depth_and_doubt(runs):
    delivered, retrained, failed, few = verdict(compare(runs))
    assert delivered.startswith("Delivered: random (77.5 %, depth 2) has the highest mean test accuracy.")
    assert "+22.5 points (95 % interval -" in delivered
    assert "probability 1.00" in delivered
    assert delivered.endswith(": 2 seeds are too few to rule out chance (at least 6).")
    assert retrained.startswith("Retrained: random (80.0 %, depth 2) has the highest")
    assert retrained.endswith(": 2 seeds are too few to rule out chance (at least 6).")
    assert failed == "1 of 6 runs failed and are in no mean: 1 of darts."
    assert few.startswith("With 2 pairs and 2 methods to test against the baseline, no difference can be significant")


@pytest.mark.parametrize(
    ("accuracies", "ending"),
    [
        ([0.6, 0.7, 0.8, 0.6, 0.7, 0.8], ": better than grid."),
        ([0.6, 0.7, 0.4, 0.6, 0.7, 0.4], ": not distinguishable from grid with 6 seeds."),
        ([0.6, 0.7, 0.8, 0.6, 0.7], ": 5 seeds are too few to rule out chance (at least 6)."),
        ([0.9], ": 1 seed is too few to rule out chance (at least 6)."),
        ([0.501, 0.501, 0.501, 0.501, 0.501, 0.501], ": better than grid, but equivalent within 0.25 points."),
        ([0.501, 0.499, 0.502, 0.499, 0.501, 0.501], ": equivalent to grid within 0.25 points."),
        (
            [0.51, 0.499, 0.499, 0.51, 0.53, 0.52],
            ": not distinguishable from grid with 6 seeds, but no worse by 0.25 points.",
        ),
    ],
)
def test_six_seeds_can_decide(accuracies, ending):
    """Six signs are equal by chance in 2 / 2^6 = 3 % of all studies, five in 2 / 2^5 = 6 %."""
    delivered, *_ = verdict(compare(made_up(grid=[0.5] * len(accuracies), random=accuracies)))
    assert delivered.endswith(ending)


def test_if_the_baseline_wins_the_verdict_names_the_next():
    delivered, *_ = verdict(compare(made_up(random=[0.5, 0.6], grid=[0.7, 0.8], darts=[0.1, 0.1])))
    assert delivered.startswith("Delivered: grid (75.0 %, depth 4) has the highest mean test accuracy; next is random")
    assert "Against grid, random has -20.0 points" in delivered


def test_unfinished_runs_have_no_verdict():
    frame = made_up(grid=[None, None], random=[None, None]).assign(phase="searching", stop_reason="")
    delivered, retrained, unfinished = verdict(compare(frame))
    assert (delivered, retrained) == ("Delivered: no run has a score yet.", "Retrained: no run has a score yet.")
    assert unfinished == "4 of 4 runs are not finished and are in no mean: 2 of grid, 2 of random."
