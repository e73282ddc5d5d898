"""The command line: `nas`.

Data goes to standard output, progress and errors to standard error. Exit codes: 0 done, 1 a run of the study failed,
2 bad input, 130 interrupted. What needs torch or Ray is imported by the commands that run studies: reading results
does not wait for it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from nas import output, tables
from nas.comparing import closing_tables, compare_studies
from nas.depth.command import answer_depth
from nas.output import Format
from nas.pareto_fronts import DEFAULT_OBJECTIVES, pareto_fronts, read_objectives, write_fronts
from nas.records import StudyStatus
from nas.statistics.equivalence import MARGIN
from nas.store import Store, open_store, upgrade_store
from search_spaces.errors import Interrupted, InvalidInput, NasError, StoreError

if TYPE_CHECKING:
    from nas.plan import Plan
    from nas.simulator import Simulation
    from nas.study import Study

FAILED, BAD_INPUT, INTERRUPTED = 1, 2, 130

app = typer.Typer(
    help="Architecture search for depth and structure at exactly equal compute.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
database = typer.Typer(help="Look after the results database.", rich_markup_mode=None)
app.add_typer(database, name="db")

Database = Annotated[
    str, typer.Option("--db", envvar="NAS_DB", metavar="URL", help="sqlite:///FILE or postgresql://...")
]
Formatted = Annotated[Format, typer.Option("--format", "-f", help="How to write the result.")]
StudyName = Annotated[str, typer.Argument(metavar="STUDY", help="Name or id of a study.")]
Spec = Annotated[Path, typer.Argument(metavar="SPEC", help="The study file, YAML.")]
Changes = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a field: training.epochs=5.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Check and price the study; store nothing.")]
Workers = Annotated[int | None, typer.Option(help="Trials at a time: resources.workers of the study.")]

DEFAULT_DB = "sqlite:///nas.db"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    try:
        code = app(given or ["--help"], prog_name="nas", standalone_mode=False)
    except typer.TyperException as error:  # a wrong option or argument
        code = _complain(error.format_message(), BAD_INPUT)
    except (InvalidInput, StoreError) as error:
        code = _complain(str(error), BAD_INPUT)
    except Interrupted as error:
        code = _complain(str(error), INTERRUPTED)
    except NasError as error:
        code = _complain(str(error), FAILED)
    sys.exit(code or 0)


@app.command()
def run(
    spec: Spec, changes: Changes = None, workers: Workers = None, dry_run: DryRun = False, db: Database = DEFAULT_DB
) -> int:
    """Run a study on this machine, then compare its methods."""
    from nas.service import run_study

    plan = _plan(spec, changes, workers, db)
    if plan.spec.is_tabular:
        raise InvalidInput("a table is looked up, not trained: use `nas simulate`", field="space.family")
    if dry_run:
        return _dry_run(plan)
    with open_store(db) as store:
        return _watched(store, lambda watch: run_study(plan.spec, store, plan=plan, watch=watch))


@app.command()
def simulate(
    spec: Spec, changes: Changes = None, workers: Workers = None, dry_run: DryRun = False, db: Database = DEFAULT_DB
) -> int:
    """Run a study over a table of trained networks on a simulated clock, then compare its methods."""
    from nas.service import simulate_study

    plan = _plan(spec, changes, workers, db)
    if not plan.spec.is_tabular:
        raise InvalidInput("only a tabular space can be simulated: use `nas run`", field="space.family")
    if dry_run:
        return _dry_run(plan)
    with open_store(db) as store:
        return _watched(store, lambda watch: simulate_study(plan.spec, store, plan=plan, watch=watch))


@app.command()
def resume(study: StudyName, db: Database = DEFAULT_DB) -> int:
    """Go on with a study that was interrupted."""
    from nas.service import resume_study

    with open_store(db, create=False) as store:
        return _watched(store, lambda watch: resume_study(study, store, watch=watch))


@app.command()
def ls(db: Database = DEFAULT_DB, format: Formatted = Format.TABLE) -> None:
    """List the studies."""
    with open_store(db, create=False) as store:
        names = ("id", "name", "status", "num_runs", "num_trials", "created_at")
        studies = [{name: getattr(study, name) for name in names} for study in store.studies()]
    _write(format, studies, names, lambda: tables.studies_table(studies))


@app.command()
def show(study: StudyName, db: Database = DEFAULT_DB, format: Formatted = Format.TABLE) -> None:
    """Show a study and its runs."""
    with open_store(db, create=False) as store:
        (header,) = output.rows(store.frame("studies", study))
        runs = store.frame("v_compare", study)
        curve = store.frame("v_incumbent", study)
    by_run = curve.groupby("run")["best_val_accuracy"]
    runs["num_trials"] = runs["run"].map(by_run.size()).fillna(0).astype("Int64")
    runs["best_val_accuracy"] = runs["run"].map(by_run.max())
    rows, names = output.rows(runs), [str(name) for name in runs.columns]
    match format:
        case Format.JSON:
            output.write_json({**header, "runs": rows})
        case Format.CSV:
            output.write_csv(names, rows)
        case Format.TABLE:
            output.write(tables.study_header(header, rows), tables.runs_table(rows))


@app.command()
def trials(
    study: StudyName,
    run: Annotated[int | None, typer.Option(help="Only those of the run with this number.")] = None,
    label: Annotated[str | None, typer.Option(help="Only those of the method with this label.")] = None,
    db: Database = DEFAULT_DB,
    format: Formatted = Format.TABLE,
) -> None:
    """List the trials of a study."""
    with open_store(db, create=False) as store:
        runs = store.frame("v_compare", study)[["run", "label", "method", "seed"]]
        frame = store.frame("trials", study)
    _check_choice("--run", run, list(runs["run"]))
    _check_choice("--label", label, list(runs["label"].unique()))
    frame = runs.rename(columns={"seed": "run_seed"}).merge(frame, on="run")
    if run is not None:
        frame = frame[frame["run"] == run]
    if label is not None:
        frame = frame[frame["label"] == label]
    rows = output.rows(frame)
    _write(format, rows, [str(name) for name in frame.columns], lambda: tables.trials_table(rows))


@app.command()
def compare(
    studies: Annotated[list[str], typer.Argument(metavar="STUDY", help="Names or ids of one or more studies.")],
    baseline: Annotated[
        str | None, typer.Option(metavar="LABEL", help="Compare with this method; default: grid, else the first.")
    ] = None,
    margin: Annotated[
        float, typer.Option(metavar="POINTS", help="Differences of accuracy up to this are too small to matter.")
    ] = 100 * MARGIN,
    cap: Annotated[
        list[str] | None,
        typer.Option(
            *("--cap", "--under-flops"),
            metavar="FLOPS",
            help="Also compare what every run found within this: 60e6, or several: 1e6,1e7.",
        ),
    ] = None,
    at: Annotated[
        str | None, typer.Option(metavar="SHARES", help="Also compare the best so far at shares of the budget: 0.25,1.")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Compare despite unequal budgets or too few seeds, with a warning.")
    ] = False,
    db: Database = DEFAULT_DB,
    format: Formatted = Format.TABLE,
) -> None:
    """Say which method won, by how much, how surely, and at which depth."""
    with open_store(db, create=False) as store:
        compare_studies(
            store,
            studies,
            baseline=baseline,
            margin=margin,
            caps=cap or (),
            shares=at,
            force=force,
            format=format,
        )


@app.command()
def depth(
    studies: Annotated[list[str], typer.Argument(metavar="STUDY", help="Names or ids of one or more studies.")],
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE.svg", help="Draw how the weights of the levels moved in training.")
    ] = None,
    db: Database = DEFAULT_DB,
    format: Formatted = Format.TABLE,
) -> None:
    """Say which depth is best, in five ways, and how far they agree."""
    with open_store(db, create=False) as store:
        answer_depth(store, studies, plot=plot, format=format)
    if plot is not None:
        _say(f"Drawn in {plot}.")


@app.command()
def pareto(
    study: StudyName,
    objectives: Annotated[
        str, typer.Option(metavar="NAMES", help="val_accuracy, inference_flops, num_parameters; two or three.")
    ] = DEFAULT_OBJECTIVES,
    db: Database = DEFAULT_DB,
    format: Formatted = Format.TABLE,
) -> None:
    """List the best trade-offs between accuracy and size that every method found, and their hypervolume."""
    try:
        wanted = read_objectives(objectives)
    except InvalidInput as error:
        raise InvalidInput(error.message, field=f"--{error.field}") from None
    with open_store(db, create=False) as store:
        runs, trials, points = (store.frame(name, study) for name in ("v_compare", "trials", "operating_points"))
    write_fronts(pareto_fronts(runs, trials, points, wanted), format)


@app.command()
def query(
    sql: Annotated[str, typer.Argument(metavar="SQL", help="One SELECT.")],
    db: Database = DEFAULT_DB,
    format: Formatted = Format.TABLE,
) -> None:
    """Run one SELECT on the results database, which cannot change it."""
    with open_store(db, create=False) as store:
        frame = store.query(sql)
    names = output.distinct(frame.columns)
    rows = output.rows(frame.set_axis(names, axis="columns"))
    _write(format, rows, names, lambda: output.any_table(rows, names))


@database.command()
def upgrade(db: Database = DEFAULT_DB) -> None:
    """Bring an older database to the shape that this version works with. Back it up first."""
    output.write(f"{db} has revision {upgrade_store(db)}")


@database.command()
def check(db: Database = DEFAULT_DB) -> None:
    """Check that nobody changed the tables by hand."""
    with open_store(db, create=False) as store:
        differences = store.check()
        if differences:
            raise StoreError(f"{store} is not as this version made it: {'; '.join(differences)}")
        output.write(f"{store} is as it should be")


def _plan(file: Path, changes: Sequence[str] | None, workers: int | None, db: str) -> Plan:
    from nas.plan import Plan
    from nas.study_file import read_spec

    spec = read_spec(file, [*(changes or ()), *([] if workers is None else [f"resources.workers={workers}"])])
    if spec.starts_from_studies:
        with open_store(db, create=False) as store:
            spec = spec.with_starts(store)
    return Plan(spec)


def _dry_run(plan: Plan) -> int:
    from nas.dry_run import dry_run_tables

    output.write(*dry_run_tables(plan))
    return 0


def _watched(store: Store, work: Callable[[Callable[[Study | Simulation], None]], str]) -> int:
    """Run a study under a progress display, then compare its methods; the exit code."""
    from nas.progress import Progress

    try:
        with Progress() as progress:
            name = work(progress.watch)
    except Interrupted as error:
        raise Interrupted(f"{error} --db {store}") from None
    output.write(*closing_tables(store, name))
    _say(f"Stored in {store} as study {name}.")
    status = next(study.status for study in store.studies() if study.name == name)
    return FAILED if status is StudyStatus.FAILED else 0


def _write(
    format: Format, rows: Sequence[output.Row], names: Sequence[str], make_table: Callable[[], Table | Text]
) -> None:
    match format:
        case Format.JSON:
            output.write_json(rows)
        case Format.CSV:
            output.write_csv(names, rows)
        case Format.TABLE:
            output.write(make_table())


def _check_choice(option: str, value: Any, allowed: Sequence[Any]) -> None:
    if value is not None and value not in allowed:
        raise InvalidInput(f"must be one of {', '.join(map(str, allowed))}, got {value}", field=option)


def _complain(message: str, code: int) -> int:
    _say(f"error: {' '.join(message.split())}")
    return code


def _say(line: str) -> None:
    print(line, file=sys.stderr)
