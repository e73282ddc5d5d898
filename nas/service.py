"""What the command line and a notebook do with studies: run one, resume one."""

from __future__ import annotations

import fcntl
import gc
import platform
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from uuid import uuid4

from nas.driver import Driver
from nas.plan import Plan
from nas.records import StoredTrial, StudyChanged, StudyStatus
from nas.simulator import Simulation
from nas.spec import StudySpec, dump_spec, parse_spec
from nas.store import Store
from nas.study import Study
from search_spaces.errors import Interrupted, InvalidInput, StoreError

GARBAGE_THRESHOLD = 200_000
"""New objects between two searches for cycles."""
RECORDED_VERSIONS = ("depth-nas", "torch", "ray", "numpy")

Watch = Callable[[Study], None]
"""Called after every change of the study, in the driver's thread."""


WatchSimulation = Callable[[Simulation], None]
"""Called once, with what may be looked at while it goes on."""
WatchEither = Callable[[Study | Simulation], None]


def _unwatched(_: object) -> None:
    pass


def run_study(spec: StudySpec, store: Store, *, plan: Plan | None = None, watch: Watch = _unwatched) -> str:
    """Run a new study to its end.

    Args:
        spec: the study.
        store: where everything that happens is recorded.
        plan: the checked study, if the caller has made it already.
        watch: for a progress display.

    Returns:
        The study's name in the database: the one in the spec, with a number if that was taken.

    Raises:
        InvalidInput: the spec cannot be carried out; nothing is stored.
        Interrupted: a signal stopped the driver; the study can be resumed.
        StoreError: the database or the files cannot be written; once that is mended, the study can be resumed.
    """
    plan = plan or Plan(spec.with_starts(store))
    spec = plan.spec
    name = _free_name(spec.name, store)
    # Names are unique in one database only; the files of two studies must never meet.
    files = spec.resources.storage.resolve() / f"{name}-{uuid4().hex[:8]}"
    stored_spec = {**dump_spec(spec), "name": name}
    stored_spec["resources"]["storage"] = str(files)
    study_id = store.create_study(name, stored_spec, plan.runs, _versions())
    with _interruptible(name):
        _drive(Study(plan), store, study_id, files, watch=watch)
    return name


def simulate_study(
    spec: StudySpec, store: Store, *, plan: Plan | None = None, watch: WatchSimulation = _unwatched
) -> str:
    """Run a new study over a table to its end, on a simulated clock.

    Args, Returns, Raises: as `run_study`.
    """
    plan = plan or Plan(spec.with_starts(store))
    spec = plan.spec
    name = _free_name(spec.name, store)
    study_id = store.create_study(name, {**dump_spec(spec), "name": name}, plan.runs, _versions())
    with _interruptible(name):
        _simulate(Simulation(plan), store, study_id, watch=watch)
    return name


def resume_study(name: str | int, store: Store, *, watch: WatchEither = _unwatched) -> str:
    """Go on with a study that was interrupted, as if it had not been.

    Raises:
        StoreError: there is no such study.
        InvalidInput: the study is over, or this version would not run it as it was begun.
        Interrupted: a signal stopped the driver; the study can be resumed.
    """
    stored = store.load(name)
    if all(run.phase.is_over for run in stored.runs):
        raise InvalidInput(f"study {stored.name} is {stored.status}: there is nothing left to run")
    spec = parse_spec(stored.spec)
    plan = Plan(spec)
    if plan.runs != stored.plans:
        raise InvalidInput(f"study {stored.name} was begun by a version that plans other runs or budgets")
    with _interruptible(stored.name):
        if spec.is_tabular:
            _simulate(Simulation(plan, stored), store, stored.id, watch=watch)
            return stored.name
        _drive(Study(plan, stored), store, stored.id, spec.resources.storage, watch=watch, history=stored.finished)
    return stored.name


def _simulate(simulation: Simulation, store: Store, study_id: int, *, watch: WatchSimulation) -> None:
    watch(simulation)
    try:
        with _garbage_left_longer():
            for records in simulation.records():
                store.record(study_id, records)
    except KeyboardInterrupt:
        store.record(study_id, [StudyChanged(status=StudyStatus.INTERRUPTED)])
        raise


def _drive(
    study: Study, store: Store, study_id: int, files: Path, *, watch: Watch, history: Iterable[StoredTrial] = ()
) -> None:
    from nas import runner  # Ray takes seconds to import, and sets up signals and logs: only for who runs a study

    with _only_driver(files):
        scratch = files / "scratch"
        shutil.rmtree(scratch, ignore_errors=True)  # of a driver that was killed
        scratch.mkdir()
        try:
            driver = Driver(study, store, study_id, files / "trials", on_change=lambda: watch(study))
            try:
                runner.run_study(driver, scratch=scratch, history=history)
            except KeyboardInterrupt:  # while Ray was starting
                driver.interrupt()
                raise
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


@contextmanager
def _garbage_left_longer() -> Iterator[None]:
    """A simulation makes thousands of values a second and no cycles: looking for them takes a third of its time."""
    former = gc.get_threshold()
    gc.set_threshold(GARBAGE_THRESHOLD, *former[1:])
    try:
        yield
    finally:
        gc.set_threshold(*former)


@contextmanager
def _interruptible(name: str) -> Iterator[None]:
    """The error that a signal or a full disk leads to names the study."""
    try:
        yield
    except (KeyboardInterrupt, Interrupted):
        raise Interrupted(f"study {name} was stopped by a signal; to go on: nas resume {name}") from None
    except (StoreError, OSError) as error:
        raise StoreError(f"study {name} was stopped: {error}; once that is mended, go on: nas resume {name}") from error


@contextmanager
def _only_driver(files: Path) -> Iterator[None]:
    """Hold the study's lock, which goes with the process, however that ends."""
    files.mkdir(parents=True, exist_ok=True)
    with (files / "driver.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StoreError(f"another process is running this study: it holds {files / 'driver.lock'}") from None
        yield


def _free_name(name: str, store: Store) -> str:
    taken = {summary.name for summary in store.studies()}
    candidates = (name if number == 1 else f"{name}-{number}" for number in range(1, len(taken) + 2))
    return next(candidate for candidate in candidates if candidate not in taken)


def _versions() -> dict[str, str]:
    return {"python": platform.python_version(), **{name: version(name) for name in RECORDED_VERSIONS}}
