"""The five answers, their distances, correlations and regrets, against those worked out in `by_hand`."""

from math import sqrt

import pytest

from nas.depth.answers import Answer
from nas.statistics.bootstrap import mean
from tests.nas.depth.by_hand import BEFORE, DUN, FUSED, FUSED_0, GRID, RUNS
from tests.nas.depth.stored import Net, Run, Super, grid

D1, D1S, D2, D3, D4, D5 = Answer


def test_the_answers_of_every_run(answered):
    one = answered(RUNS)
    assert one.allowed == (1, 2, 3, 4)
    assert [(supernet.label, supernet.seed, supernet.epoch) for supernet in one.supernets] == [
        ("layer_fusion", 0, 2),
        ("layer_fusion", 1, 2),
        ("depth_posterior", 0, 2),
    ]
    assert [dict(supernet.depths) for supernet in one.supernets] == [
        {D1: 0, D1S: 3, D2: 3, D4: 2},
        {D1: 1, D1S: 3, D2: 2, D4: 4},
        {D5: 4},
    ]
    assert [supernet.chosen_depth for supernet in one.supernets] == [2, None, None]


def test_ordinary_training(answered):
    trainings = answered(RUNS).trainings
    assert (trainings.best, trainings.tied) == (3, (2, 3))
    assert trainings.means == pytest.approx({1: 0.55, 2: 0.8, 3: 0.85, 4: 0.65})
    assert trainings.depths[3].error == pytest.approx(0.05)
    assert trainings.depths[3].accuracy == mean([[0.8, 0.9]])


def test_distances_from_ordinary_training_and_what_they_cost(answered):
    """Regret on the run's own seed: for D4 of seed 1, .9 - .7."""
    found = {(one.label, one.answer): one for one in answered(RUNS).agreements}
    assert list(found) == [
        ("layer_fusion", D1),
        ("layer_fusion", D1S),
        ("layer_fusion", D2),
        ("layer_fusion", D4),
        ("depth_posterior", D5),
    ]
    assert {key: one.distance for key, one in found.items()} == {
        ("layer_fusion", D1): 2.5,
        ("layer_fusion", D1S): 0.0,
        ("layer_fusion", D2): 0.5,
        ("layer_fusion", D4): 1.0,
        ("depth_posterior", D5): 1.0,
    }
    assert {key: one.regret.value for key, one in found.items()} == pytest.approx(
        {
            ("layer_fusion", D1): 0.3,
            ("layer_fusion", D1S): 0.0,
            ("layer_fusion", D2): 0.05,
            ("layer_fusion", D4): 0.1,
            ("depth_posterior", D5): 0.2,
        }
    )
    assert [one.num_regrets for one in found.values()] == [1, 2, 2, 2, 1]
    drawn = found["layer_fusion", D4]
    assert (drawn.depth, drawn.min_depth, drawn.max_depth, drawn.num_runs) == (3.0, 2, 4, 2)
    expected = mean([[0.8 - 0.8, 0.9 - 0.7]], bounds=(-1, 1))
    assert (drawn.regret.low, drawn.regret.high) == pytest.approx((expected.low, expected.high))
    assert found["layer_fusion", D1].regret.low is None


def test_rank_correlations_with_ordinary_training(answered):
    """Of the centred ranks; those of training are -1.5, .5, 1.5, -.5, with 5 as the sum of their squares."""
    rho = {(one.label, one.answer): one.spearman.value for one in answered(RUNS).agreements}
    assert rho == pytest.approx(
        {
            ("layer_fusion", D1): (0.8 - 3 / sqrt(5 * 4.5)) / 2,
            ("layer_fusion", D1S): (0.8 + 3 / sqrt(5 * 4.5)) / 2,
            ("layer_fusion", D2): (4.5 / sqrt(5 * 4.5) + 3.5 / sqrt(5 * 4.5)) / 2,
            ("layer_fusion", D4): (4.5 / sqrt(5 * 4.5) + 0.4) / 2,
            ("depth_posterior", D5): 0.4,
        }
    )


def test_every_two_answers_of_a_method(answered):
    """D1 and D2: |0 - 3| and |1 - 2|; ranks 1 2 4 3 against 1 3.5 3.5 2, and 4 3 1.5 1.5 against 1.5 4 3 1.5."""
    pairs = {(pair.label, pair.first, pair.second): pair for pair in answered(RUNS).pairs}
    assert len(pairs) == 10 + 1
    one = pairs["layer_fusion", D1, D2]
    assert (one.num_runs, one.distance) == (2, 2.0)
    assert one.spearman == pytest.approx((3 / sqrt(5 * 4.5) - 0.25 / 4.5) / 2)
    assert pairs["depth_posterior", D3, D5].distance == 1.0
    assert pairs["layer_fusion", D2, D4].distance == 1.5
    assert pairs["layer_fusion", D2, D3].spearman == pytest.approx((4.5 + 3.5) / sqrt(5 * 4.5) / 2)


def test_only_the_last_supernet_that_was_trained_to_its_end_counts(answered):
    early = Super(relaxation="layer_fusion", epochs=[((1.0, 0.0, 0.0, 0.0, 0.0), {})])
    late = Super(relaxation="layer_fusion", epochs=[((0.0, 0.0, 1.0, 0.0, 0.0), {})])
    broken = Super(relaxation="layer_fusion", epochs=[BEFORE], status="failed")
    one = answered(
        [Run(label="twice", seed=0, trials=[early, late, broken]), Run(label="never", seed=0, trials=[broken])]
    )
    assert [(supernet.label, supernet.number, dict(supernet.depths)) for supernet in one.supernets] == [
        ("twice", 1, {D1: 2})
    ]
    assert "1 of 1 run of never has no finished supernet that reported its levels" in one.notes


def test_a_run_that_delivers_a_supernet_answers_by_that_one(answered):
    """And not by a later candidate that it did not take."""
    first, taken, left = (
        Super(relaxation="ensemble", epochs=[(tuple(float(level == best) for level in range(5)), {})])
        for best in (1, 2, 3)
    )
    one = answered([Run(label="adanet", seed=0, trials=[first, taken, left], choice=1)])
    assert [(supernet.number, dict(supernet.depths)) for supernet in one.supernets] == [(1, {D1: 2})]


def test_a_plain_sum_of_members_has_no_answer(answered):
    """Boosting's supernet does, although the run delivers a sum that came after it."""
    weights, of_levels = FUSED_0
    elastic = Super(relaxation="elastic", epochs=[(weights, of_levels)])
    members = Super(relaxation="ensemble", epochs=[((0.0, 2.0, 0.0, 1.0, 0.0), {})], options={"mix": "sum"})
    one = answered([Run(label="boosting", seed=0, trials=[elastic, members], choice=1)])
    assert [(supernet.number, dict(supernet.depths)) for supernet in one.supernets] == [(0, {D2: 3, D4: 2})]


def test_the_flops_of_a_pruned_chain_are_no_answer(answered):
    pruned = Super(relaxation="pruned", epochs=[((512.0, 100.0, 90.0, 80.0, 200.0), {})])
    one = answered([Run(label="lottery_ticket", seed=0, trials=[pruned], choice=0)])
    assert (list(one.supernets), list(one.maps)) == ([], [])


@pytest.mark.parametrize("method", ["byot", "elastic", "multi_exit", "scan", "mypackage.exits:MyExits"])
def test_weights_that_are_given_are_no_answer(answered, method):
    """These train every level as much as they are told to; what their levels are worth is read from them."""
    weights, of_levels = FUSED_0
    one = answered([Run(label=method, seed=0, trials=[Super(relaxation=method, epochs=[(weights, of_levels)])])])
    assert dict(one.supernets[0].depths) == {D2: 3, D4: 2}
    assert one.maps[0].meaning == "share"


def test_shares_of_executed_blocks_are_no_answer(answered):
    executed = Super(relaxation="skipnet", epochs=[((1.0, 0.9, 0.2, 0.6, 0.4), {})])
    one = answered([Run(label="skipnet", seed=0, trials=[executed])])
    assert dict(one.supernets[0].depths) == {}
    assert one.maps[0].meaning == "share"


def test_levels_of_several_stages_are_total_depths(answered):
    stages = [{"depth": [1, 3], "width": 8}, {"depth": {"min": 2, "max": 3}, "width": 16}]
    assert answered(GRID, space={"family": "resnet", "stages": stages}).allowed == (3, 4, 5, 6)


@pytest.mark.parametrize("space", [{"family": "tabular", "file": "table.csv"}, {"family": "x:y", "depth": "deep"}])
def test_spaces_that_do_not_say_their_depths_have_those_that_were_tried(answered, space):
    assert answered([grid(0, {2: 0.5, 7: 0.6})], space=space).allowed == (2, 7)


def test_two_depths_have_no_rank_correlation(answered):
    one = answered([grid(0, {1: 0.5, 4: 0.6}), *FUSED])
    assert {agreement.spearman for agreement in one.agreements} == {None}
    assert "there is no ordinary training of 2 epochs at depths 2-3" in one.notes[0]


def test_a_study_without_supernets_still_has_its_best_training(answered):
    one = answered(GRID)
    assert (one.trainings.best, one.supernets, one.agreements, one.pairs, one.maps) == (3, (), (), (), ())
    assert one.notes == ("there is no supernet: D3 is the only answer",)


def test_a_study_without_ordinary_trainings_says_what_is_missing(answered):
    one = answered([*FUSED, *DUN])
    assert (one.trainings.best, one.trainings.tied) == (None, ())
    assert "a grid that can pay for every depth would bring it" in one.notes[0]
    assert [agreement.distance for agreement in one.agreements] == [None] * 5
    assert not any("no regret" in note for note in one.notes)


def test_what_was_not_read_and_not_trained_is_said(answered):
    notes = answered(RUNS).notes
    assert notes == (
        "no D2 and no D4 for depth_posterior: its supernets report no such reading of their levels",
        "D1 of layer_fusion names, in 1 of 2 runs, a level that was never trained as a network of its own: no regret",
    )


def test_seeds_that_did_not_train_both_depths_lose_by_the_means(answered):
    """Seed 5 trained depth 4 only; over seeds 0 and 5 that is (.6 + .5) / 2, and depth 3 has .8."""
    probe = Super(relaxation="layer_fusion", epochs=[((0.0, 0.0, 0.0, 0.0, 1.0), {})])
    runs = [grid(0, {3: 0.8, 4: 0.6}), Run(label="layer_fusion", seed=5, trials=[probe, Net(depth=4, score=0.5)])]
    one = answered(runs)
    assert one.agreements[0].regret.value == pytest.approx(0.8 - 0.55)
    assert any("depths differ in how many seeds trained them" in note for note in one.notes)
