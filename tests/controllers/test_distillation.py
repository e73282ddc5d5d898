"""The two trials of distillation, by hand."""

import pytest

from controllers import make_controller
from controllers.trial import AS_LONG_AS_PAID, Kind
from search_spaces import make_space
from search_spaces.errors import InvalidInput, SearchExhausted
from tests.controllers.trials import failed, scored

SPACE = make_space({"family": "mlp", "width": [4, 8], "depth": [1, 2, 4]}, input_shape=(2,), num_classes=2)


def make(**options):
    return make_controller("distillation", options, space=SPACE, seed=0)


def test_the_teacher_then_the_student():
    controller = make(student={"depth": 1}, teacher={"width": 8}, teacher_share=0.4, temperature=2.0)
    teacher = controller.ask(0)
    assert teacher.architecture.decisions == {"depth": 4, "width": 8}
    assert (teacher.kind, teacher.epochs, teacher.budget_share) == (Kind.ARCHITECTURE, AS_LONG_AS_PAID, 0.4)
    assert teacher.keep
    assert controller.ask(1) is None
    controller.tell(scored(0, teacher, 0.9))
    student = controller.ask(1)
    assert student.relaxation == {
        "name": "distilled",
        "teacher": {"width": 8},
        "student": {"depth": 1},
        "distillation": 0.9,
        "temperature": 2.0,
    }
    assert (student.parent, student.inherits, student.deliverable) == (0, {"role": "teacher"}, True)
    assert (student.epochs, student.budget_share) == (AS_LONG_AS_PAID, None)
    assert controller.recommend() is None
    controller.tell(scored(1, student, 0.8))
    assert controller.recommend() == 1  # although the teacher scored more
    with pytest.raises(SearchExhausted, match="the student is trained"):
        controller.ask(2)


def test_without_a_teacher_there_is_no_student():
    controller = make(student={"depth": 1})
    controller.tell(failed(0, controller.ask(0)))
    with pytest.raises(SearchExhausted, match="the teacher failed: broke on purpose"):
        controller.ask(1)
    assert controller.recommend() is None


def test_a_student_that_fails_leaves_the_teacher():
    controller = make(student={"depth": 1})
    controller.tell(scored(0, controller.ask(0), 0.5))
    controller.tell(failed(1, controller.ask(1)))
    assert controller.recommend() is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "student: is required"),
        ({"student": {"depth": 3}}, r"student: depth must be one of \[1, 2, 4\], got 3"),
        ({"student": {}, "teacher": {"depth": 3}}, r"teacher: depth must be one of \[1, 2, 4\], got 3"),
        ({"student": {}, "temperature": 0}, "temperature: .*greater than 0"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(InvalidInput, match=message):
        make(**options)
