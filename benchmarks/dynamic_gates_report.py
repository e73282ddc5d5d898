"""Tables of docs/dynamic_gates.csv, as Markdown: accuracies in %, differences in points, paired over seeds.

Intervals are 95 %, of the mean over seeds (`nas.statistics.bootstrap`); ranges are least and greatest over seeds. FLOPs
are shares of the static chain's, those of gates or policy networks included.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from as_markdown import head, row
from paired import difference

FULL = "static-10"
CONTROLS = ("skipnet-soft", "skipnet-reinforce")
QUARTERS = ("hardest", "harder", "easier", "easiest")


def tables(path: Path, comparison: str) -> None:
    """Accuracy and FLOPs, easy and hard inputs, and the controls."""
    lines = pd.read_csv(path)
    lines = lines[lines.comparison == comparison]
    if lines.empty:
        return
    names = [name for name in dict.fromkeys(lines.network) if name != FULL]
    print(f"\n### {comparison}: what is skipped, and at which accuracy\n")
    head(
        *(
            "network",
            "seeds",
            "epochs",
            "training FLOPs",
            "test accuracy",
            "against static-10, points",
            "on validation data",
        ),
        *("FLOPs", "of which deciding", "blocks dropped", "policies on test inputs"),
    )
    for name in [FULL, *names]:
        accuracy = _of(lines, name, "test_accuracy")
        of_name = lines[lines.network == name]
        row(
            *(name, str(len(accuracy)), _range(of_name.epochs, ""), f"{of_name.training_share.mean():.1%}"),
            f"{100 * accuracy.mean():.2f}",
            *(_against(lines, name, column) if name != FULL else "" for column in ("test_accuracy", "val_accuracy")),
            *(_share(lines, name, "test_flops"), f"{of_name.decision_flops.mean():.2%}"),
            *(_share(lines, name, "dropped"), _range(of_name.policies, "")),
        )
    print(f"\n### {comparison}: FLOPs by how sure the static chain of the same seed is, and by whether it is right\n")
    head(
        "network",
        *(f"{one} quarter" for one in QUARTERS),
        "hardest - easiest, points",
        "wrong",
        "right",
        "wrong - right",
    )
    for name in names:
        cells = (f"{_of(lines, name, one).mean():.1%}" for one in QUARTERS)
        by_quarter = difference(_of(lines, name, "hardest"), _of(lines, name, "easiest"))
        by_answer = difference(_of(lines, name, "wrong"), _of(lines, name, "right"))
        errors = (f"{_of(lines, name, one).mean():.1%}" for one in ("wrong", "right"))
        row(name, *cells, by_quarter, *errors, by_answer)
    print(f"\n### {comparison}: accuracy with hard gates and with soft ones\n")
    head("network", "hard", "soft")
    for name in names:
        if name.startswith("skipnet-"):
            hard, soft = (_of(lines, name, one) for one in ("test_accuracy", "soft_test_accuracy"))
            row(
                name,
                *(f"{100 * one.mean():.2f} ({100 * one.min():.2f}, {100 * one.max():.2f})" for one in (hard, soft)),
            )


def _against(lines: pd.DataFrame, name: str, column: str) -> str:
    """The difference from the static chain."""
    return difference(_of(lines, name, column), _of(lines, FULL, column))


def _of(lines: pd.DataFrame, name: str, column: str) -> pd.Series:
    """By seed."""
    return lines[lines.network == name].set_index("seed")[column]


def _share(lines: pd.DataFrame, name: str, column: str) -> str:
    shares = _of(lines, name, column)
    return f"{shares.mean():.1%} ({shares.min():.0%}, {shares.max():.0%})"


def _range(numbers: pd.Series, unit: str) -> str:
    low, high = numbers.min(), numbers.max()
    return f"{low}{unit}" if low == high else f"{low}{unit} to {high}{unit}"
