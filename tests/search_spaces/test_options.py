"""Bad options: one clear line that names the field."""

import pytest

from search_spaces import SPACES, make_space
from search_spaces.chain_space import ChainSpace
from search_spaces.errors import InvalidInput, UnknownName
from search_spaces.mlp import Mlp

IMAGE = (3, 8, 8)
VECTOR = (6,)
STAGE = {"depth": 1, "width": 4}

BAD = [
    # family, options, input shape, field, part of the message
    ("mlp", {}, VECTOR, "depth", "is required"),
    ("mlp", {"depth": "deep"}, VECTOR, "depth", "got 'deep'"),
    ("mlp", {"depth": True}, VECTOR, "depth", "must be a whole number"),
    ("mlp", {"depth": -1}, VECTOR, "depth", "got -1"),
    ("mlp", {"depth": []}, VECTOR, "depth", r"got \[\]"),
    ("mlp", {"depth": [1, 1]}, VECTOR, "depth", "distinct"),
    ("mlp", {"depth": [1, 1.5]}, VECTOR, "depth", "whole number"),
    ("mlp", {"depth": {"min": 3, "max": 2}}, VECTOR, "depth", "min <= max"),
    ("mlp", {"depth": {"min": 1, "max": 3, "step": 0}}, VECTOR, "depth", "min, max, step"),
    ("mlp", {"depth": {"min": 1, "max": 3, "by": 2}}, VECTOR, "depth", "min, max, step"),
    ("mlp", {"depth": 1, "width": 0}, VECTOR, "width", "at least 1, got 0"),
    ("mlp", {"depth": 1, "block_width": [0, 2]}, VECTOR, "block_width", "at least 1, got 0"),
    ("mlp", {"depth": 1, "ops": ["conv"]}, VECTOR, "ops", "must be among dense, residual, got 'conv'"),
    ("mlp", {"depth": 1, "ops": ["dense", "dense"]}, VECTOR, "ops", "distinct"),
    ("mlp", {"depth": 1, "ops": "dense"}, VECTOR, "ops", "must be a list, got 'dense'"),
    ("mlp", {"depth": 1, "dept": 2}, VECTOR, "dept", "is not a known field"),
    ("mlp", {"depth": 1, "block_width": []}, VECTOR, "block_width", r"got \[\]"),
    ("mlp", {"depth": 1, "tied": 1}, VECTOR, "tied", "got 1"),
    ("resnet", {"depth": 1, "tied": True}, IMAGE, "tied", "blocks of the family resnet cannot be tied"),
    ("cell", {"depth": 1, "tied": True}, IMAGE, "tied", "blocks of the family cell cannot be tied"),
    ("transformer", {"stages": [STAGE, STAGE], "tied": True, "heads": 2}, IMAGE, "tied", "a single stage of stride 1"),
    ("mlp", {"stages": [STAGE]}, VECTOR, "stages", "no stages"),
    ("mlp", {"depth": 1, "stages": [STAGE]}, VECTOR, "stages", "either depth and width, or stages"),
    ("mlp", {"depth": 1, "input_shape": [3]}, VECTOR, "input_shape", "set by the task"),
    ("mlp", {"depth": 1}, (), "input_shape", r"sides of at least 1, got \[\]"),
    ("mlp", {"depth": 1}, (3, 0), "input_shape", r"got \[3, 0\]"),
    ("resnet", {"depth": 1}, VECTOR, "input_shape", r"image, \[channels, height, width\], got \[6\]"),
    ("resnet", {"depth": 1, "ops": ["plain", "separable"], "block_width": 4}, IMAGE, "block_width", "inner width"),
    ("resnet", {"depth": 1, "block_width": 4, "ops": ["dense"]}, IMAGE, "ops", "must be among basic"),
    ("resnet", {"stages": [{"depth": 1}]}, IMAGE, "stages.0.width", "is required"),
    ("resnet", {"stages": [STAGE, {**STAGE, "width": 0}]}, IMAGE, "stages.1.width", "at least 1"),
    ("resnet", {"stages": [STAGE, {**STAGE, "stride": 0}]}, IMAGE, "stages.1.stride", "at least 1, got 0"),
    ("resnet", {"stages": [STAGE, {**STAGE, "depth": [0, 1]}]}, IMAGE, "stages.1.depth", "at least 1"),
    ("resnet", {"stages": [{**STAGE, "depth": 0, "stride": 2}]}, IMAGE, "stages.0.depth", "at least 1"),
    ("resnet", {"stages": [{**STAGE, "stride": 4}, {**STAGE, "stride": 4}]}, IMAGE, "stages.1.stride", "2x2"),
    ("transformer", {"depth": 1}, (2, 3), "input_shape", r"\[channels, height, width\] or \[features\]"),
    ("transformer", {"depth": 1, "patch_size": 3}, IMAGE, "patch_size", "must divide the image's 8x8, got 3"),
    ("transformer", {"depth": 1, "patch_size": 0}, IMAGE, "patch_size", "got 0"),
    ("transformer", {"depth": 1}, (1, 8, 6), "patch_size", "must divide the image's 8x6, got 4"),
    ("transformer", {"depth": 1, "patch_size": 2}, VECTOR, "patch_size", "for images only"),
    ("transformer", {"depth": 1, "width": [8, 12], "heads": 8}, VECTOR, "heads", r"every width \(8, 12\), got 8"),
    ("transformer", {"depth": 1, "heads": 0}, VECTOR, "heads", "got 0"),
    ("transformer", {"stages": [STAGE]}, VECTOR, "stages", "no stages"),
    ("transformer", {"depth": 1, "ops": ["attention"], "block_width": 8}, VECTOR, "block_width", "inner width"),
    ("cell", {"depth": 1}, VECTOR, "input_shape", "image"),
    ("cell", {"depth": 1, "ops": ["conv"]}, IMAGE, "ops", "must be among nor_conv_3x3"),
    ("cell", {"depth": 1, "block_width": 4}, IMAGE, "block_width", "inner width"),
    ("cell", {"stages": [STAGE, {**STAGE, "stride": 9}]}, IMAGE, "stages.1.stride", "below 1x1"),
    ("multiscale", {}, IMAGE, "depth", "is required"),
    ("multiscale", {"depth": [0, 4]}, IMAGE, "depth", "at least 1, got 0"),
    ("multiscale", {"depth": 4, "step": 0}, IMAGE, "step", "at least 1, got 0"),
    ("multiscale", {"depth": 4, "scales": [2, 5]}, (3, 64, 64), "scales", "at most 4, got 5"),
    ("multiscale", {"depth": 4, "scales": 4}, (3, 8, 4), "scales", "4 would shrink the 8x4 image below 1x1"),
    ("multiscale", {"depth": 4}, VECTOR, "input_shape", "image"),
    ("multiscale", {"depth": 4}, (0, 8, 8), "input_shape", r"at least 1, got \[0, 8, 8\]"),
]


@pytest.mark.parametrize(("family", "options", "input_shape", "field", "message"), BAD)
def test_a_bad_option_is_refused_by_name(family, options, input_shape, field, message):
    with pytest.raises(InvalidInput, match=message) as caught:
        make_space({"family": family, **options}, input_shape=input_shape, num_classes=2)
    assert caught.value.field == field
    assert "\n" not in str(caught.value)


TOKENS = [
    ({"family": "mlp", "depth": 1}, (5,), "family", "mlp reads numbers, .* tokens; allowed: transformer$"),
    ({"family": "resnet", "depth": 1}, (5,), "family", "resnet reads numbers"),
    ({"family": "cell", "depth": 1}, (5,), "family", "cell reads numbers"),
    ({"family": "transformer", "depth": 1, "patch_size": 2}, (5,), "patch_size", "for images only: a text"),
    ({"family": "transformer", "depth": 1}, (1, 8, 8), "input_shape", r"must be \[tokens\], got \[1, 8, 8\]"),
    ({"family": "transformer", "depth": 1, "num_tokens": 3}, (5,), "num_tokens", "is set by the task"),
]


@pytest.mark.parametrize(("options", "input_shape", "field", "message"), TOKENS)
def test_a_space_that_cannot_read_tokens_is_refused(options, input_shape, field, message):
    with pytest.raises(InvalidInput, match=message) as caught:
        make_space(options, input_shape=input_shape, num_classes=7, num_tokens=7)
    assert caught.value.field == field


def test_nobody_is_offered_to_set_the_number_of_tokens():
    options = {"family": "transformer", "depth": 1, "tokens": 3}
    with pytest.raises(InvalidInput, match=r"tokens: is not a known field") as caught:
        make_space(options, input_shape=VECTOR, num_classes=2)
    assert "num_tokens" not in str(caught.value)
    with pytest.raises(InvalidInput, match=r"num_tokens: is set by the task"):
        make_space({"family": "transformer", "depth": 1, "num_tokens": 3}, input_shape=VECTOR, num_classes=2)


def test_the_number_of_classes_must_be_positive():
    with pytest.raises(InvalidInput, match="at least 1, got 0") as caught:
        make_space({"family": "mlp", "depth": 1}, input_shape=VECTOR, num_classes=0)
    assert caught.value.field == "num_classes"


@pytest.mark.parametrize("options", [{}, {"family": 3}])
def test_the_family_must_be_given(options):
    with pytest.raises(InvalidInput, match=f"allowed: {', '.join(SPACES)}") as caught:
        make_space(options, input_shape=VECTOR, num_classes=2)
    assert caught.value.field == "family"


@pytest.mark.parametrize("family", ["lstm", "no_such_module:Space", "search_spaces:NoSuchSpace", ":"])
def test_an_unknown_family_is_refused(family):
    with pytest.raises(UnknownName, match="space"):
        make_space({"family": family, "depth": 1}, input_shape=VECTOR, num_classes=2)


def test_a_family_may_come_from_the_users_own_package():
    space = make_space({"family": "search_spaces.mlp:Mlp", "depth": 1}, input_shape=VECTOR, num_classes=2)
    assert isinstance(space, Mlp)


@pytest.mark.parametrize(
    ("written", "options"),
    [
        (3, (3,)),
        ([4, 1, 2], (4, 1, 2)),
        ({"min": 1, "max": 4}, (1, 2, 3, 4)),
        ({"min": 2, "max": 9, "step": 3}, (2, 5, 8)),
        ({"min": 2, "max": 2}, (2,)),
        (0, (0,)),
    ],
)
def test_options_are_a_number_a_list_or_a_range(written, options):
    space = make_space({"family": "mlp", "depth": written}, input_shape=VECTOR, num_classes=2)
    assert isinstance(space, ChainSpace)
    assert space.depth == options
