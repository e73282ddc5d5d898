"""Which studies share a task, and which methods all of them have."""

import pandas as pd
import pytest

from nas.merging import TASK_FIELDS, common_labels, listing, numbered, task_names, with_tasks
from nas.spec import StudySpec
from search_spaces.errors import InvalidInput


def runs_of(study, labels, seeds=(0, 1), **more):
    pairs = [(label, seed) for label in labels for seed in seeds]
    frame = pd.DataFrame(pairs, columns=["label", "seed"])
    return frame.assign(study=study, run=range(len(frame)), **more)


SPEC = {"name": "a", "task": {"name": "digits"}, "space": {"family": "mlp"}, "seeds": [0, 1], "training": {"epochs": 3}}


@pytest.mark.parametrize(
    ("changes", "is_same"),
    [
        ({"name": "b"}, True),
        ({"seeds": [2, 3]}, True),
        ({"seed": 5}, True),
        ({"methods": ["random"]}, True),
        ({"budget": {"flops": 1}}, True),
        ({"resources": {"workers": 9}}, True),
        ({"task": {"name": "spiral"}}, False),
        ({"space": {"family": "resnet"}}, False),
        ({"training": {"epochs": 4}}, False),
        ({"final": {"training": {"epochs": 9}}}, False),
        ({"scheduler": {"name": "asha"}}, False),
        ({"reuse": False}, False),
        ({"spend_rest": False}, False),
    ],
)
def test_studies_have_one_task_if_they_differ_in_nothing_that_makes_it(changes, is_same):
    names = task_names({"a": SPEC, "b": {**SPEC, **changes}})
    assert names == ({"a": "a + b", "b": "a + b"} if is_same else {"a": "a", "b": "b"})


def test_every_field_of_a_study_makes_its_task_or_does_not():
    """Whoever adds a field decides."""
    others = {"name", "seed", "methods", "seeds", "budget", "resources", "limits"}
    assert set(TASK_FIELDS) | others == set(StudySpec.model_fields)
    assert not set(TASK_FIELDS) & others


def test_a_study_is_a_task_unless_somebody_says_more():
    both = pd.concat([runs_of("z", ["grid"]), runs_of("a", ["grid"])])
    assert with_tasks(both)["task"].tolist() == ["z", "z", "a", "a"]  # as they were given, not by name
    assert with_tasks(both.assign(task="one", seed=range(4)))["task"].unique().tolist() == ["one"]


def test_one_task_has_every_seed_of_a_method_once():
    both = pd.concat([runs_of("a", ["grid"], [0, 1, 2, 3, 7]), runs_of("b", ["grid"], [1, 2, 3, 7])])
    with pytest.raises(InvalidInput, match="different seeds, but a and b both have grid with 1-3, 7"):
        with_tasks(both.assign(task="one"))
    assert len(with_tasks(both)) == 9  # two tasks
    roots = both.assign(task="one", root_seed=both["study"].map({"a": 0, "b": 1}))
    assert len(with_tasks(roots)) == 9  # other random streams


def test_other_methods_on_the_same_seeds_are_no_repeats():
    both = pd.concat([runs_of("a", ["grid"]), runs_of("b", ["random"])]).assign(task="one")
    assert common_labels(with_tasks(both)) == (["grid", "random"], ())


def test_methods_that_a_task_lacks_are_left_out_and_noted():
    both = pd.concat([runs_of("a", ["grid", "darts", "random"]), runs_of("b", ["random", "grid", "fixed"])])
    labels, notes = common_labels(with_tasks(both))
    assert labels == ["grid", "random"]
    assert notes == ("left out: darts, which is in a only", "left out: fixed, which is in b only")


def test_studies_without_a_common_method_cannot_be_compared():
    both = pd.concat([runs_of("a", ["grid", "darts"]), runs_of("b", ["random"])])
    with pytest.raises(InvalidInput, match="no method in common, by its label: a has grid, darts; b has random"):
        common_labels(with_tasks(both))


def test_words():
    assert listing([5, 0, 1, 2, 9, 8, 4]) == "0-2, 4-5, 8-9"
    assert listing([3]) == "3"
    assert (numbered(1, "seed"), numbered(0, "seed"), numbered(2, "pair")) == ("1 seed", "0 seeds", "2 pairs")
