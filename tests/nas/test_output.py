"""What programs and people get of the same rows."""

import csv
import io
import json
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from nas.output import any_table, distinct, rows, table, write, write_csv, write_json

FRAME = pd.DataFrame(
    {
        "count": pd.Series([2**53 + 1, None], dtype="Int64"),
        "share": pd.Series([0.1, np.nan]),
        "when": pd.Series([datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), None], dtype="datetime64[us, UTC]"),
        "options": pd.Series([{"a": [1, None]}, None], dtype="object"),
        "name": pd.Series(["ünder, [red]", None], dtype="str"),
    }
)
FIRST = {
    "count": 2**53 + 1,
    "share": 0.1,
    "when": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    "options": {"a": [1, None]},
    "name": "ünder, [red]",
}


def test_rows_are_builtins_and_none():
    first, second = rows(FRAME)
    assert first == FIRST
    assert [type(value) for value in first.values()] == [int, float, datetime, dict, str]
    assert second == dict.fromkeys(FIRST)


def test_a_frame_without_rows_has_none():
    assert rows(FRAME[:0]) == []


def test_json_keeps_every_digit(capsys):
    write_json(rows(FRAME))
    first, second = json.loads(capsys.readouterr().out)
    assert first == {**FIRST, "when": "2026-01-02T03:04:05+00:00"}
    assert second == dict.fromkeys(FIRST)


def test_csv_leaves_out_what_is_missing(capsys):
    write_csv(list(FIRST), rows(FRAME))
    header, first, second = csv.reader(io.StringIO(capsys.readouterr().out))
    assert header == list(FIRST)
    assert first == ["9007199254740993", "0.1", "2026-01-02T03:04:05+00:00", '{"a": [1, null]}', "ünder, [red]"]
    assert second == [""] * 5


def test_names_of_columns_are_made_distinct():
    assert distinct(["a", "b", "a", "a"]) == ["a", "b", "a_2", "a_3"]


def test_a_pipe_gets_every_row_whole_on_one_line(capsys):
    long = "x" * 500
    write(table({"name": False, "text": False}, [("[red]", long)]))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["name", "text"]
    assert lines[-1].split() == ["[red]", long]


@pytest.mark.parametrize(("values", "is_right"), [([1, 200], True), ([None, 1.5], True), (["a", "bb"], False)])
def test_numbers_stand_on_the_right(values, is_right):
    column = any_table([{"value": value} for value in values], ["value"]).columns[0]
    assert (column.justify == "right") is is_right
