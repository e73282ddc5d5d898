"""The views that people read: the anytime curve, the comparison, and where the depth went.

They hold no data, so every upgrade drops and creates them all: changing one needs a migration, if only an empty one.
The SQL is what SQLite and PostgreSQL have in common.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, Connection, Double, Integer, Text, inspect, text
from sqlalchemy.types import TypeEngine

from search_spaces.readings import READINGS


@dataclass(frozen=True, kw_only=True)
class View:
    """A query with a name, and the types of its columns, which SQLite does not know."""

    sql: str
    columns: Mapping[str, TypeEngine[Any]]


_WORD, _COUNT, _AMOUNT = Text(), Integer(), BigInteger()
_NUMBER: Double[float] = Double()
_RUN: Mapping[str, TypeEngine[Any]] = {
    "study": _WORD,
    "study_id": _COUNT,
    "run": _COUNT,
    "label": _WORD,
    "method": _WORD,
    "seed": _AMOUNT,
}

INCUMBENT = View(
    columns={
        **_RUN,
        "unit": _WORD,
        "finish_order": _COUNT,
        "number": _COUNT,
        "spent": _NUMBER,
        "best_val_accuracy": _NUMBER,
        "incumbent": _COUNT,
        "depth": _COUNT,
    },
    sql="""
-- The network that a run would deliver after each of its trials, against what it had spent by then, in its unit
-- (device time in seconds). Supernets and trials that were not completed are never delivered.
WITH scored AS (
    SELECT study_id, run, number, finish_order, run_spent, depth,
           CASE WHEN status = 'complete' AND kind <> 'relaxation' THEN val_accuracy END AS score
    FROM trials
    WHERE account = 'search' AND finish_order IS NOT NULL
), best AS (
    SELECT *,
           MAX(score) OVER (PARTITION BY study_id, run ORDER BY finish_order) AS best,
           MAX(score) OVER (PARTITION BY study_id, run ORDER BY finish_order
                            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS best_before
    FROM scored
), reigns AS (
    SELECT *,
           SUM(CASE WHEN score > best_before OR (best_before IS NULL AND score IS NOT NULL) THEN 1 ELSE 0 END)
               OVER (PARTITION BY study_id, run ORDER BY finish_order) AS reign
    FROM best
), held AS (
    SELECT *,
           FIRST_VALUE(number) OVER (PARTITION BY study_id, run, reign ORDER BY finish_order) AS first_number,
           FIRST_VALUE(depth) OVER (PARTITION BY study_id, run, reign ORDER BY finish_order) AS first_depth
    FROM reigns
)
SELECT studies.name AS study, study_id, run, runs.label, runs.method, runs.seed, runs.unit,
       held.finish_order, held.number,
       CAST(held.run_spent AS DOUBLE PRECISION) / CASE runs.unit WHEN 'device_seconds' THEN 1000000 ELSE 1 END AS spent,
       held.best AS best_val_accuracy,
       CASE WHEN held.reign > 0 THEN held.first_number END AS incumbent,
       CASE WHEN held.reign > 0 THEN held.first_depth END AS depth
FROM held JOIN runs USING (study_id, run) JOIN studies ON studies.id = study_id
""",
)

COMPARE = View(
    columns={
        **_RUN,
        "unit": _WORD,
        "budget": _NUMBER,
        "spent": _NUMBER,
        "spent_fraction": _NUMBER,
        "phase": _WORD,
        "stop_reason": _WORD,
        "delivered_val_accuracy": _NUMBER,
        "delivered_test_accuracy": _NUMBER,
        "retrained_val_accuracy": _NUMBER,
        "retrained_test_accuracy": _NUMBER,
        "depth": _COUNT,
        "num_parameters": _AMOUNT,
        "inference_flops": _AMOUNT,
    },
    sql="""
-- One row per run: what it was given and what it took, in its unit (device time in seconds), and how good its choice
-- is.
SELECT studies.name AS study, study_id, run, label, method, seed, unit,
       CAST(budget AS DOUBLE PRECISION) / CASE unit WHEN 'device_seconds' THEN 1000000 ELSE 1 END AS budget,
       CAST(spent AS DOUBLE PRECISION) / CASE unit WHEN 'device_seconds' THEN 1000000 ELSE 1 END AS spent,
       CAST(spent AS DOUBLE PRECISION) / NULLIF(budget, 0) AS spent_fraction,
       phase, stop_reason,
       delivered_val_accuracy, delivered_test_accuracy, retrained_val_accuracy, retrained_test_accuracy,
       depth, num_parameters, inference_flops
FROM runs JOIN studies ON studies.id = study_id
""",
)

DEPTH = View(
    columns={
        **_RUN,
        "number": _COUNT,
        "epoch": _COUNT,
        "level": _COUNT,
        "weight": _NUMBER,
        **dict.fromkeys(READINGS, _NUMBER),
        "chosen_depth": _COUNT,
    },
    sql="""
-- How much weight a relaxation gave to each level after each epoch, and how well the network does with and without
-- that level, beside the depth that its run chose.
SELECT studies.name AS study, study_id, run, label, method, seed, number, epoch, level, weight,
       scaled_weight, level_accuracy, level_loss, level_doubt, removal_accuracy, removal_loss, depth AS chosen_depth
FROM depth_profiles JOIN runs USING (study_id, run) JOIN studies ON studies.id = study_id
""",
)

POINTS = View(
    columns={
        **_RUN,
        "number": _COUNT,
        "kind": _WORD,
        "position": _COUNT,
        "depth": _COUNT,
        **dict.fromkeys(("model", "split", "setting"), _WORD),
        **dict.fromkeys(("mean_flops", "accuracy", "latency_ms_batch1", "latency_ms_batch256"), _NUMBER),
        "inference_flops": _AMOUNT,
    },
    sql="""
-- What a network that chooses its depth per input gives at each of its settings, beside the FLOPs of all of it.
SELECT studies.name AS study, study_id, run, label, method, of_run.seed, number, kind, position,
       of_trial.depth, model, split, setting, mean_flops, accuracy,
       latency_ms_batch1, latency_ms_batch256, of_trial.inference_flops
FROM operating_points
     JOIN trials AS of_trial USING (study_id, run, number)
     JOIN runs AS of_run USING (study_id, run)
     JOIN studies ON studies.id = study_id
""",
)

VIEWS = {"v_incumbent": INCUMBENT, "v_compare": COMPARE, "v_depth": DEPTH, "v_operating_points": POINTS}


def drop_views(connection: Connection) -> None:
    """Drop them, so that the tables below may change."""
    for name in set(VIEWS) & set(inspect(connection).get_view_names()):
        connection.execute(text(f"DROP VIEW {name}"))


def create_views(connection: Connection) -> None:
    """Create them as this code defines them."""
    for name, view in VIEWS.items():
        connection.execute(text(f"CREATE VIEW {name} AS {view.sql}"))
