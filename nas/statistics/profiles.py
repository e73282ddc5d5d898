"""Performance profiles: what share of a method's runs come how close to the best method of their task.

Tasks are not equally hard, so raw accuracies of several cannot share an axis. Here the axis is the distance from the
highest mean that any method reaches in the task, as in Dolan and Moré (Mathematical Programming 91, 2002), and the
curve is the share of runs within that distance, averaged over tasks: the score distribution of Agarwal et al. (NeurIPS
2021, section 4.2). A curve that lies above another everywhere is better at every standard.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from nas.statistics.significance import DIGITS

DISTANCES = (0.0, 0.005, 0.01, 0.02, 0.05, 0.1)
"""Of accuracy: from none to ten points below the best."""

ByTask = Mapping[str, Sequence[float]]


def profiles(methods: Mapping[str, ByTask], distances: Sequence[float] = DISTANCES) -> dict[str, list[float]]:
    """The profile of every method at these distances; nothing for a method that lacks a task.

    Args:
        methods: by label, the numbers by task.
        distances: from 0.
    """
    tasks = list(dict.fromkeys(task for of_method in methods.values() for task in of_method))
    best = {
        task: max(math.fsum(numbers[task]) / len(numbers[task]) for numbers in methods.values() if task in numbers)
        for task in tasks
    }
    return {
        label: [_share_within(by_task, best, distance) for distance in distances]
        for label, by_task in methods.items()
        if tasks and set(by_task) == set(tasks)
    }


def _share_within(by_task: ByTask, best: Mapping[str, float], distance: float) -> float:
    shares = [
        sum(round(best[task] - number, DIGITS) <= distance for number in numbers) / len(numbers)
        for task, numbers in by_task.items()
    ]
    return math.fsum(shares) / len(shares)
