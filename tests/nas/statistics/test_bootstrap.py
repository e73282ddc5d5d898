"""Values against SciPy, intervals against a second, slower bootstrap, and against how often they hold the truth."""

from itertools import product

import numpy as np
import pytest
from scipy.stats import gamma, norm, trim_mean
from scipy.stats.mstats import trimmed_stde

from nas.statistics.bootstrap import SMOOTHING, WIDENING, Resampling, interquartile_mean, mean
from nas.statistics.location import interquartile_mean_and_error, mean_and_error

SAMPLE = [0.91, 0.86, 0.93, 0.88, 0.94, 0.71, 0.90, 0.92]
ANYWHERE = (-np.inf, np.inf)


def limits(estimate):
    return estimate.low, estimate.high


def test_the_mean_of_a_sample_is_its_mean():
    assert mean([[0.1, 0.2, 0.6]]).value == pytest.approx(0.3)


def test_the_mean_over_tasks_counts_every_task_once():
    """(0.2 + 0.9) / 2, though the second task has more runs."""
    assert mean([[0.1, 0.3], [0.9, 0.8, 1.0]]).value == pytest.approx(0.55)


@pytest.mark.parametrize("num", [2, 3, 4, 5, 6, 7, 8, 10, 11, 20])
def test_the_interquartile_mean_is_the_trimmed_mean_of_all_numbers(num):
    numbers = np.random.default_rng(num).random(num)
    assert interquartile_mean([numbers]).value == pytest.approx(trim_mean(numbers, 0.25))
    strata = [numbers, numbers[:3] / 2]
    assert interquartile_mean(strata).value == pytest.approx(trim_mean(np.concatenate(strata), 0.25))


def test_standard_errors_are_scipys():
    """Its trimmed mean cuts a quarter even where that is no whole number, so the comparison needs a multiple of 4."""
    _, error = interquartile_mean_and_error(np.array(SAMPLE), [8])
    assert error == pytest.approx(trimmed_stde(SAMPLE, limits=(0.25, 0.25)))
    _, error = mean_and_error(np.array(SAMPLE), [8])
    assert error == pytest.approx(np.std(SAMPLE, ddof=1) / np.sqrt(8))


def test_errors_over_tasks_see_the_spread_within_them_only():
    """Variances 0.02 and 0.005 of two numbers each: sqrt(0.02 / 2 + 0.005 / 2) / 2."""
    _, error = mean_and_error(np.array([0.1, 0.3, 0.8, 0.9]), [2, 2])
    assert error == pytest.approx(np.sqrt(0.0125) / 2)
    _, far = mean_and_error(np.array([0.1, 0.3, 0.0, 0.1]), [2, 2])
    assert far == pytest.approx(error)


def test_a_winsorised_error_by_hand():
    """Of 8 numbers the outer 2 + 2 become 3 and 6: 3 3 3 4 | 5 6 6 6 in two tasks. Variances 0.25 and 0.25."""
    numbers = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0])
    value, error = interquartile_mean_and_error(numbers, [4, 4])
    assert value == pytest.approx(4.5)
    assert error == pytest.approx(np.sqrt(4 * 0.25 + 4 * 0.25) / 4)


@pytest.mark.parametrize("statistic", [mean, interquartile_mean])
def test_the_interval_is_that_of_a_second_bootstrap(statistic):
    """The definition, resample by resample, with other random numbers and SciPy's statistics."""
    x, rng, t = np.array(SAMPLE), np.random.default_rng(99), []

    def located(numbers):
        if statistic is mean:
            return numbers.mean(), numbers.std(ddof=1) / np.sqrt(8)
        return trim_mean(numbers, 0.25), float(trimmed_stde(numbers, limits=(0.25, 0.25)))

    value, error = located(x)
    for _ in range(5000):
        noise = rng.normal(scale=SMOOTHING * x.std(ddof=1) / np.sqrt(8), size=8)
        again, of_again = located(rng.choice(x, size=8) + noise)
        t.append((again - value) / of_again)
    widened = error * (1 + WIDENING / 7)
    expected = value - np.quantile(t, [0.975, 0.025]) * widened
    width = expected[1] - expected[0]
    assert limits(statistic([SAMPLE], bounds=ANYWHERE)) == pytest.approx(tuple(expected), abs=0.05 * width)


def test_one_number_in_some_task_has_no_interval():
    assert limits(mean([[0.5]])) == (None, None)
    assert limits(mean([[0.5, 0.6], [0.4]])) == (None, None)
    assert limits(interquartile_mean([[0.5]])) == (None, None)


@pytest.mark.parametrize("statistic", [mean, interquartile_mean])
def test_equal_numbers_give_a_point(statistic):
    estimate = statistic([[0.7] * 6])
    assert (estimate.value, *limits(estimate)) == pytest.approx((0.7, 0.7, 0.7))
    tenth = statistic([[0.1] * 6])
    assert tenth.low == tenth.high
    tasks = statistic([[0.25] * 6, [0.75] * 6])
    assert (tasks.value, *limits(tasks)) == pytest.approx((0.5, 0.5, 0.5))


@pytest.mark.parametrize("statistic", [mean, interquartile_mean])
@pytest.mark.parametrize("sample", [[0.99, 1.0, 1.0, 0.93, 1.0, 1.0], [0.0, 0.0, 0.02, 0.0, 0.3, 0.0], [0.2, 0.9]])
def test_limits_stay_within_what_an_accuracy_can_be(statistic, sample):
    estimate = statistic([sample])
    assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1
    assert estimate.low < estimate.high


def test_many_ties_do_not_blow_the_interval_up():
    """A third of all resamples repeat 0.9 six times and have no error of their own."""
    estimate = mean([[0.9, 0.9, 0.9, 0.9, 0.9, 0.8]])
    assert 0.7 < estimate.low < 0.85
    assert 0.89 < estimate.high < 0.95


def test_an_outlier_that_the_statistic_cuts_off_still_shows_in_its_interval():
    """The middle four are equal, so the error is zero, but another sample could have two outliers."""
    estimate = interquartile_mean([[0.9, 0.9, 0.9, 0.9, 0.9, 0.2]])
    assert estimate.value == pytest.approx(0.9)
    assert estimate.low < 0.85


@pytest.mark.parametrize("statistic", [mean, interquartile_mean])
def test_the_same_numbers_give_the_same_interval_in_any_order(statistic):
    assert statistic([SAMPLE, [0.3, 0.4]]) == statistic([SAMPLE[::-1], [0.4, 0.3]])


def test_scale_and_place_of_the_numbers_do_not_matter():
    low, high = limits(mean([SAMPLE], bounds=ANYWHERE))
    moved = mean([[100 * number - 7 for number in SAMPLE]], bounds=ANYWHERE)
    assert limits(moved) == pytest.approx((100 * low - 7, 100 * high - 7))


def test_large_samples_have_fewer_resamples():
    assert [Resampling().num(size) for size in (6, 50, 100, 1000)] == [10_000, 10_000, 5_000, 2_000]


NORMAL, SKEWED = norm(), gamma(4)
"""The skewness of the second is 1. Accuracies lean the other way, so it is taken from above."""
NUM_SAMPLES = 4_000
NUM_RESAMPLES = 399
"""Few, but 2.5 % of 400 is a whole number, so that the limits are right on average."""
OFFSETS = (0.0, 0.5, 3.0)
"""Three tasks: two that overlap and one of another difficulty."""


def true_interquartile_mean(draw):
    x = np.sort(draw(400_000))
    return trim_mean(x, 0.25)


def draws(distribution, rng):
    return lambda size: (distribution.mean() - distribution.rvs(size=size, random_state=rng)) / distribution.std()


@pytest.mark.parametrize("distribution", [NORMAL, SKEWED], ids=["normal", "skewed"])
@pytest.mark.parametrize(
    ("kind", "num"),
    [
        *product(("mean", "difference", "interquartile mean"), (6, 10, 20)),
        *product(("over tasks",), (6, 10)),
    ],
)
def test_intervals_hold_the_truth_as_often_as_they_say(kind, num, distribution):
    """95 % within 1.3, nearly four standard errors of 4000 samples; the percentile bootstrap has 85 % at six runs."""
    rng = np.random.default_rng((num, 7))
    draw = draws(distribution, rng)
    truth, held = 0.0, 0
    if kind == "interquartile mean":
        truth = true_interquartile_mean(draw)
    if kind == "over tasks":
        truth = true_interquartile_mean(lambda size: np.concatenate([draw(size) + offset for offset in OFFSETS]))
    for number in range(NUM_SAMPLES):
        resampling = Resampling(most=NUM_RESAMPLES, least=NUM_RESAMPLES, seed=number)
        match kind:
            case "mean":
                estimate = mean([draw(num)], bounds=ANYWHERE, resampling=resampling)
            case "difference":  # of runs that share what their seed brings
                shared = rng.normal(size=num)
                differences = (shared + draw(num)) - (shared + 0.5 * draw(num))
                estimate = mean([differences], bounds=ANYWHERE, resampling=resampling)
            case "interquartile mean":
                estimate = interquartile_mean([draw(num)], bounds=ANYWHERE, resampling=resampling)
            case _:
                strata = [draw(num) + offset for offset in OFFSETS]
                estimate = interquartile_mean(strata, bounds=ANYWHERE, resampling=resampling)
        held += estimate.low <= truth <= estimate.high
    assert held / NUM_SAMPLES == pytest.approx(0.95, abs=0.013)
