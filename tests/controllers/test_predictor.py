"""The predictor: its model against textbook formulas, its candidates, and what it makes of failures and of company."""

import numpy as np
import pytest
from scipy.optimize import approx_fprime
from scipy.stats import multivariate_normal, norm

from controllers.gaussian_process import GaussianProcess, Points
from controllers.predictor import Predictor, warped
from controllers.trial import Status
from search_spaces.compose import enumerate_space
from tests.controllers.toys import Landscape, Product, arbitrary_score
from tests.controllers.trials import failed, play, running, scored


def points(rng, num, *, decisions=3, options=4, sizes=2):
    """One answer for each decision, and sizes."""
    answers = rng.integers(options, size=(num, decisions))
    return Points(codes_NC=np.eye(options)[answers].reshape(num, -1), sizes_NS=rng.normal(size=(num, sizes)))


def by_hand(model, one, other, num_decisions):
    """The kernel, pair by pair."""
    product, rate, *scales, smooth, scale, _ = np.exp(model._theta)
    kernel = np.empty((len(one), len(other)))
    for i in range(len(one)):
        for j in range(len(other)):
            differing = (one.codes_NC[i].sum() + other.codes_NC[j].sum()) / 2 - one.codes_NC[i] @ other.codes_NC[j]
            gap = one.sizes_NS[i] - other.sizes_NS[j]
            first = product * np.exp(-rate * differing / num_decisions - np.sum(gap**2 / np.square(scales)) / 2)
            second = smooth * np.exp(-np.sum(gap**2) / (2 * len(gap) * scale**2))
            kernel[i, j] = first + second
    return kernel


def test_predictions_are_those_of_the_textbook():
    """Equations 2.25 and 2.26 with an explicit inverse."""
    rng = np.random.default_rng(0)
    told, asked, z_N = points(rng, 8), points(rng, 5), rng.normal(size=8)
    model = GaussianProcess(num_decisions=3, num_sizes=2)
    mean_M, deviation_M = model.predict(told, z_N, None, asked)
    covariance = by_hand(model, told, told, 3) + model._noise() * np.eye(8)
    across = by_hand(model, told, asked, 3)
    expected = across.T @ np.linalg.inv(covariance) @ z_N
    variance = np.diag(by_hand(model, asked, asked, 3) - across.T @ np.linalg.inv(covariance) @ across)
    np.testing.assert_allclose(mean_M, expected, rtol=1e-8)
    np.testing.assert_allclose(deviation_M, np.sqrt(variance), rtol=1e-8)


def test_what_is_pending_narrows_the_deviation_and_leaves_the_mean():
    rng = np.random.default_rng(1)
    told, waiting, asked, z_N = points(rng, 8), points(rng, 3), points(rng, 5), rng.normal(size=8)
    model = GaussianProcess(num_decisions=3, num_sizes=2)
    mean_M, deviation_M = model.predict(told, z_N, None, asked)
    same_M, narrower_M = model.predict(told, z_N, waiting, asked)
    np.testing.assert_allclose(same_M, mean_M, rtol=1e-8)
    assert (narrower_M < deviation_M).all()
    believed = np.concatenate([z_N, model.predict(told, z_N, None, waiting)[0]])
    both = Points(
        codes_NC=np.concatenate([told.codes_NC, waiting.codes_NC]),
        sizes_NS=np.concatenate([told.sizes_NS, waiting.sizes_NS]),
    )
    as_if_M, deviation_as_if_M = model.predict(both, believed, None, asked)
    np.testing.assert_allclose(as_if_M, mean_M, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(deviation_as_if_M, narrower_M, rtol=1e-8)


def test_the_loss_is_minus_the_log_posterior_and_its_gradient_is_right():
    rng = np.random.default_rng(2)
    told, z_N = points(rng, 10), rng.normal(size=10)
    model = GaussianProcess(num_decisions=3, num_sizes=2)
    differences = model._differences(told, told)

    def log_posterior(theta):
        model._theta = theta
        covariance = by_hand(model, told, told, 3) + model._noise() * np.eye(10)
        prior = norm.logpdf(theta, model._prior_mean, model._prior_spread).sum()
        return multivariate_normal.logpdf(z_N, cov=covariance) + prior

    one, other = (model._prior_mean + rng.normal(scale=0.5, size=7) for _ in range(2))
    difference = model._loss(one, differences, z_N)[0] - model._loss(other, differences, z_N)[0]
    assert difference == pytest.approx(log_posterior(other) - log_posterior(one), rel=1e-9)
    numeric = approx_fprime(one, lambda theta: model._loss(theta, differences, z_N)[0], 1e-6)
    np.testing.assert_allclose(model._loss(one, differences, z_N)[1], numeric, rtol=1e-4, atol=1e-4)


def test_tuning_finds_values_that_explain_the_data_better():
    rng = np.random.default_rng(3)
    told = points(rng, 40)
    z_N = told.codes_NC @ rng.normal(size=told.codes_NC.shape[1])
    z_N = (z_N - z_N.mean()) / z_N.std()
    model = GaussianProcess(num_decisions=3, num_sizes=2)
    differences = model._differences(told, told)
    before = model._loss(model._theta, differences, z_N)[0]
    model.tune(told, z_N)
    assert model._loss(model._theta, differences, z_N)[0] < before - 5


def test_columns_that_were_met_later_are_zero_in_earlier_codes():
    rng = np.random.default_rng(4)
    wide = points(rng, 6)
    narrow = Points(codes_NC=wide.codes_NC[:, :8], sizes_NS=wide.sizes_NS)
    padded = Points(codes_NC=np.pad(narrow.codes_NC, ((0, 0), (0, 4))), sizes_NS=wide.sizes_NS)
    model = GaussianProcess(num_decisions=3, num_sizes=2)
    z_N = rng.normal(size=6)
    for one, other in ((narrow, wide), (wide, narrow)):
        expected = model.predict(padded if one is narrow else one, z_N, None, padded if other is narrow else other)
        np.testing.assert_array_equal(model.predict(one, z_N, None, other), expected)


def test_warping_keeps_the_better_half_and_the_order_of_the_rest():
    y = np.array([0.9, 0.1, 0.95, 0.5, 0.89, 0.001, 0.93])
    z = warped(y)
    assert z.mean() == pytest.approx(0, abs=1e-12)
    assert z.std() == pytest.approx(1)
    assert np.argsort(z).tolist() == np.argsort(y).tolist()
    upper = np.sort(z)[-4:]
    np.testing.assert_allclose(np.diff(upper) / (upper[-1] - upper[0]), np.diff([0.89, 0.9, 0.93, 0.95]) / 0.06)
    spread = np.sqrt(np.mean(np.square([0.0, 0.01, 0.04, 0.06])))
    lower = 0.89 + spread * norm.ppf([0.5 / 7, 1.5 / 7, 2.5 / 7])
    np.testing.assert_allclose(np.diff(np.sort(z)[:3]) / (upper[-1] - upper[0]), np.diff(lower) / 0.06)
    assert warped(np.full(4, 0.3)).tolist() == [0] * 4


def outcome(number, proposal):
    return scored(number, proposal, arbitrary_score(proposal.architecture))


def test_no_network_is_tried_twice_while_others_are_left():
    space = Product({"a": range(4), "b": range(4), "_unseen": range(3)})
    networks = set(enumerate_space(space))
    trials = play(Predictor(space=space, seed=0, num_random=2), 14, outcome)
    assert len({trial.architecture for trial in trials}) >= 13, "only the random beginning may repeat itself"
    assert len(networks) == 16
    more = play(Predictor(space=space, seed=0, num_random=2), 20, outcome)
    assert {trial.architecture for trial in more} == networks


def test_a_thousand_workers_get_different_networks():
    space = Landscape()
    predictor = Predictor(space=space, seed=0)
    for trial in play(Predictor(space=space, seed=0), 20, outcome):
        predictor.tell(trial)
    pending = []
    for number in range(20, 220):
        pending.append(running(number, predictor.ask(number, pending)))
    assert len({trial.architecture for trial in pending}) == 200


def test_failures_count_as_the_worst():
    """Everything with `a` = 3 fails, a quarter of the space; soon it is proposed less than half as often as that."""
    space = Product({"a": range(4), "b": range(8), "c": range(8)})

    def fails(number, proposal):
        if proposal.architecture.decisions["a"] == 3:
            return failed(number, proposal)
        return scored(number, proposal, 0.5 + 0.01 * proposal.architecture.decisions["b"])

    late = [
        trial.architecture.decisions["a"]
        for seed in range(5)
        for trial in play(Predictor(space=space, seed=seed), 60, fails)[30:]
    ]
    assert late.count(3) < len(late) / 4 / 2


def told_about(space, networks, scores, **options):
    predictor = Predictor(space=space, seed=0, **options)
    for number, (network, score) in enumerate(zip(networks, scores, strict=True)):
        predictor.tell(scored(number, network, score))
    return predictor


def test_what_is_recommended_counts_the_score_and_the_models_mean_alike():
    """The values that the textbook gives, where much is luck: the best by both is not the best by the mean."""
    space = Product({"a": range(4), "b": range(4), "c": range(4)})
    rng = np.random.default_rng(8)
    networks = [list(enumerate_space(space))[i] for i in rng.permutation(64)[:24]]
    scores = np.array([0.3 + 0.05 * one.decisions["a"] + 0.1 * rng.normal() for one in networks])
    predictor = told_about(space, networks, scores)
    model = predictor._model
    model._theta[-1] = np.log(0.5)  # the noise
    told, z_N = predictor._points(networks), warped(scores)
    expected_N = 0.25 * told.sizes_NS.mean(axis=1)
    kernel = by_hand(model, told, told, 3)
    mean_N = expected_N + kernel @ np.linalg.solve(kernel + model._noise() * np.eye(24), z_N - expected_N)
    assert predictor.recommend() == np.argmax(0.5 * z_N + 0.5 * mean_N)
    assert predictor.recommend() != np.argmax(mean_N)


@pytest.mark.parametrize("seed", [0, 2, 4])
def test_by_main_effects_the_best_answers_are_recommended_and_not_the_luckiest_network(seed):
    """Decisions add up, and more than a quarter of the variance of scores is luck: the best of 48 is found."""
    space = Product({"a": range(4), "b": range(4), "c": range(4)})
    rng = np.random.default_rng(seed)
    networks = [list(enumerate_space(space))[i] for i in rng.permutation(64)[:48]]
    values = np.array([np.dot([0.05, -0.04, 0.03], list(one.decisions.values())) for one in networks])
    scores = values + 0.05 * rng.normal(size=48)
    assert told_about(space, networks, scores, recommend_by="main_effects").recommend() == np.argmax(values)
    assert told_about(space, networks, scores).recommend() == np.argmax(scores) != np.argmax(values)


def test_a_lucky_network_among_bad_ones_is_not_recommended():
    space = Product({"a": range(4), "b": range(4), "c": range(4)})
    networks = list(enumerate_space(space))
    rng = np.random.default_rng(0)
    scores = np.array([0.5 + 0.1 * one.decisions["a"] + 0.005 * rng.normal() for one in networks])
    lucky = next(number for number, one in enumerate(networks) if one.decisions["a"] == 0)
    scores[lucky] = scores.max() + 0.001
    recommended = told_about(space, networks, scores).recommend()
    assert networks[recommended].decisions["a"] == 3


def test_only_complete_trials_are_recommended():
    space = Landscape()

    def half_pruned(number, proposal):
        """The later, the better; but every second trial is stopped."""
        return scored(number, proposal, number / 20, status=Status.PRUNED if number % 2 else Status.COMPLETE)

    predictor = Predictor(space=space, seed=0, num_random=4)
    assert predictor.recommend() is None
    for trial in play(Predictor(space=space, seed=0, num_random=4), 20, half_pruned):
        predictor.tell(trial)
        assert predictor.recommend() is None if trial.number < 3 else predictor.recommend() % 2 == 0
    broken = Predictor(space=space, seed=0, num_random=4)
    play(broken, 8, failed)
    assert broken.recommend() is None
