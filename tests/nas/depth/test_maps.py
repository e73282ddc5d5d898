"""The maps of the weights: means over runs, in text and as a picture."""

import xml.etree.ElementTree as ET

import numpy as np
import pytest
from numpy import nan

from nas.depth.maps import WeightMap, shrunk
from nas.depth.svg import svg
from nas.depth.text_map import text_map
from tests.nas.depth.stored import Run, Super, grid

SVG = "{http://www.w3.org/2000/svg}"


def weight_map(weight_EL, **fields):
    facts = {"label": "fused", "num_runs": 2, "meaning": "weight", "chosen_depth": 1.0, "best_depth": 2}
    return WeightMap(weight_EL=np.array(weight_EL, dtype=float), **{**facts, **fields})


def test_weights_are_means_over_the_runs_that_got_so_far(answered):
    """Seed 1 was trained for one epoch, and grew its second level in it."""
    long = Super(relaxation="layer_fusion", epochs=[((0.0, 1.0), {}), ((0.2, 0.6, -0.4), {})])
    short = Super(relaxation="layer_fusion", epochs=[((1.0, 0.0, 0.5), {})])
    one = answered(
        [
            grid(0, {1: 0.5, 2: 0.7}),
            Run(label="fused", seed=0, trials=[long]),
            Run(label="fused", seed=1, trials=[short]),
        ]
    )
    (weights,) = one.maps
    np.testing.assert_allclose(weights.weight_EL, [[0.5, 0.5, 0.5], [0.2, 0.6, -0.4]])
    assert (weights.num_runs, weights.best_depth, weights.chosen_depth) == (2, 2, None)
    assert weights.greatest == 0.6


def test_levels_that_did_not_exist_yet_are_missing(answered):
    grows = Super(relaxation="halting", epochs=[((0.0, 1.0), {}), ((0.0, 0.5, 0.5), {})])
    (weights,) = answered([Run(label="ponder", seed=0, trials=[grows])]).maps
    np.testing.assert_array_equal(weights.weight_EL, [[0, 1, nan], [0, 0.5, 0.5]])
    assert weights.meaning == "probability"


def test_rows_are_shrunk_to_means_of_what_is_there():
    x_NM = np.array([[1.0, nan], [3.0, nan], [5.0, 2.0], [5.0, nan]])
    np.testing.assert_array_equal(shrunk(x_NM, 2), [[2, nan], [5, 2]])
    np.testing.assert_array_equal(shrunk(x_NM, 4), x_NM)
    np.testing.assert_array_equal(shrunk(np.arange(5.0)[:, None], 3)[:, 0], [0.5, 2.5, 4.0])


def test_a_text_map_by_hand():
    """Three levels, two epochs; of the greatest weight, .2 is a quarter, .6 three, .5 five eighths."""
    text = text_map(weight_map([[0.0, 0.2, 0.8], [-0.5, 0.6, nan]]))
    heading, *lines = text.plain.splitlines()
    assert heading == "fused: weight of every level over training, mean of 2 runs; greatest 0.8, negative ones red"
    wide = 15
    assert lines == [
        f"2 │{'█' * wide}{' ' * wide} ← D3",
        f"1 │{'░' * wide}{'▓' * wide} ← chosen",
        f"0 │{' ' * wide}{'▓' * wide}",
        f"  └{'─' * 2 * wide}",
        f"   1{'2':>{2 * wide - 1}}  epoch",
    ]


def test_a_text_map_of_many_levels_and_epochs_fits():
    weight_EL = np.zeros((1000, 65))
    weight_EL[:, 40] = 1.0
    lines = text_map(weight_map(weight_EL, chosen_depth=40.4, best_depth=40)).plain.splitlines()
    assert len(lines) == 1 + 22 + 2, "of three levels each, the last of two"
    (peak,) = [line for line in lines[1:] if "█" in line]
    assert peak.endswith("█ ← chosen (40.4), D3")
    assert max(map(len, lines)) < 100


@pytest.mark.parametrize("chosen", [None, 1.0])
def test_a_map_without_any_weight_is_blank(chosen):
    weights = weight_map(np.zeros((1, 2)), chosen_depth=chosen, best_depth=None, num_runs=1)
    assert "█" not in "".join(text_map(weights).plain.splitlines()[1:])
    ET.fromstring(svg([("empty", weights)]))


def test_the_picture_has_a_panel_for_every_map():
    weights = weight_map([[0.0, 1.0, 0.5], [-1.0, nan, 0.5]])
    picture = ET.fromstring(svg([(f"a < {index}", weights) for index in range(4)]))
    panels = [group for group in picture.findall(f"{SVG}g") if "transform" in group.attrib]
    assert [panel.find(f"{SVG}text").text for panel in panels] == [f"a < {index}" for index in range(4)]
    cells = panels[0].findall(f"{SVG}g")[0].findall(f"{SVG}path")
    # Level 0 in both epochs, level 1 in the first, level 2 in one stretch; the field is 260 by 200, level 0 below.
    third = f"{200 / 3:.2f}"
    assert [(cell.get("d"), cell.get("fill")) for cell in cells] == [
        ("M0 133.33H130V200H0Z", "#f7fbff"),
        ("M130 133.33H260V200H130Z", "#67000d"),
        (f"M0 {third}H130V133.33H0Z", "#08306b"),
        (f"M0 0H260V{third}H0Z", "#6baed6"),
    ]


def test_pictures_of_large_studies_stay_small():
    weight_EL = np.random.default_rng(0).random((5000, 65))
    assert len(svg([("large", weight_map(weight_EL))])) < 1_000_000
