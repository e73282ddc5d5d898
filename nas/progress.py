"""What a person sees while a study runs: a live table on a terminal, else a line every ten seconds.

The driver only leaves the study behind, which costs nothing however many trials there are. The display looks at it
from a thread of its own, at its own pace: single attributes and lengths, which another thread never sees half-changed.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from threading import Event, Thread
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from nas.quantities import number, percent, seconds
from nas.records import Phase
from nas.run import Run
from nas.simulator import Simulation
from nas.study import Study

FRAMES_PER_SECOND = 1
SECONDS_PER_LINE = 10.0
BAR_WIDTH = 24
MAX_ROWS = 30
LINES_AROUND = 6
"""Lines of the screen that the table of runs leaves to its own heading and summary."""


class Progress:
    """Shows a study on standard error between `__enter__` and `__exit__`."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True, markup=False, highlight=False)
        self._study: Study | Simulation | None = None
        self._started = time.monotonic()
        self._stack = ExitStack()

    def watch(self, study: Study | Simulation) -> None:
        """The study has changed."""
        self._study = study

    def __enter__(self) -> Self:
        if self.console.is_terminal:
            live = Live(
                get_renderable=self._table,
                console=self.console,
                refresh_per_second=FRAMES_PER_SECOND,
                transient=True,
                redirect_stdout=False,
            )
            self._stack.enter_context(live)
        else:
            self._stack.enter_context(Ticker(SECONDS_PER_LINE, self._print_line))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._stack.close()
        if self._study is not None:
            self._print_line()

    def _print_line(self) -> None:
        if self._study is not None:
            print(line(self._study, self._elapsed()), file=sys.stderr, flush=True)

    def _table(self) -> RenderableType:
        if self._study is None:
            return Text(f"starting workers, {seconds(self._elapsed())}")
        if isinstance(self._study, Simulation):
            return Text(line(self._study, self._elapsed()), style="bold")
        return screen(self._study, self._elapsed(), height=self.console.height)

    def _elapsed(self) -> int:
        return round(time.monotonic() - self._started)


class Ticker:
    """Calls a function again and again from a thread of its own, inside a `with` statement."""

    def __init__(self, period_s: float, function: Callable[[], None]) -> None:
        self._period_s = period_s
        self._function = function
        self._stop = Event()
        self._thread = Thread(target=self._tick, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _tick(self) -> None:
        while not self._stop.wait(self._period_s):
            self._function()


def line(study: Study | Simulation, elapsed_s: float) -> str:
    """The study in one line."""
    if isinstance(study, Simulation):
        done, trials = study.num_runs_done, study.num_trials_done
        rate = f" ({trials / elapsed_s:,.0f}/s)" if elapsed_s else ""
        return (
            f"{study.plan.spec.name}: {seconds(elapsed_s)}, {done} of {len(study.plan.runs)} runs simulated, "
            f"{trials:,} trials{rate}"
        )
    return f"{_heading(study, elapsed_s)}, runs: {_phases(study.runs)}"


def screen(study: Study, elapsed_s: float, *, height: int) -> RenderableType:
    """One row per run, or as many as fit: those at work first."""
    shown = _at_work_first(study.runs)[: max(min(MAX_ROWS, height - LINES_AROUND), 1)]
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("method", "seed", "budget", "spent %", "best val. %", "depth", "trials", "phase"):
        is_text = name in ("method", "budget", "phase")
        table.add_column(name, justify="left" if is_text else "right", no_wrap=True)
    for run in sorted(shown, key=lambda run: run.plan.index):
        table.add_row(*_cells(run))
    others = [run for run in study.runs if run not in shown]
    rest = [Text(f"and {len(others)} more runs: {_phases(others)}", style="dim")] if others else []
    return Group(Text(_heading(study, elapsed_s), style="bold"), table, *rest)


def bar(spent: float, reserved: float) -> Text:
    """The parts of a budget that are spent and that running trials have reserved."""
    filled = min(int(BAR_WIDTH * spent), BAR_WIDTH)
    held = min(max(int(BAR_WIDTH * (spent + reserved)), filled), BAR_WIDTH) - filled
    left = BAR_WIDTH - filled - held
    return Text.assemble(("━" * filled, "green"), ("━" * held, "yellow"), ("─" * left, "bright_black"))


def _cells(run: Run) -> Sequence[Text | str]:
    budget, spent, choice = max(run.ledger.budget, 1), run.ledger.spent, run.choice
    style = {Phase.FAILED: "red", Phase.DONE: "green"}.get(run.phase, "")
    return (
        run.plan.label,
        str(run.plan.seed),
        bar(spent / budget, (run.ledger.committed - spent) / budget),
        percent(spent / budget),
        percent(choice.score if choice else None),
        number(choice.architecture.depth if choice and choice.architecture else None),
        str(run.num_trials - len(run.pending)),
        Text(f"{run.phase}, {len(run.pending)} running" if run.pending else run.phase, style=style),
    )


def _heading(study: Study, elapsed_s: float) -> str:
    runs = study.runs
    spent = sum(run.ledger.spent for run in runs) / max(sum(run.ledger.budget for run in runs), 1)
    trials = sum(run.num_trials - len(run.pending) for run in runs)
    return (
        f"{study.plan.spec.name}: {seconds(elapsed_s)}, {percent(spent)} % of all budgets spent, {trials} trials done"
    )


def _phases(runs: Sequence[Run]) -> str:
    phases = Counter(run.phase for run in runs)
    return ", ".join(f"{phases[phase]} {phase}" for phase in Phase if phases[phase])


def _at_work_first(runs: Sequence[Run]) -> list[Run]:
    return sorted(runs, key=lambda run: (not run.pending, run.done, run.plan.index))
