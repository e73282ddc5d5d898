"""Bad input gets exit code 2 and one line that names the field and what is allowed, and stores nothing."""

import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from nas.cli import main
from nas.study_file import read_spec
from tests.nas.small_study import store_study

STUDY = """\
name: small
task: {name: spiral, train_size: 64, validation_size: 32, test_size: 32}
space: {family: mlp, depth: [1, 2], width: 4}
methods: [random, grid]
seeds: 2
budget: {trials: 3}
training: {epochs: 2}
"""
NPZ = "task={name: npz, path: data.npz, train_size: 4, validation_size: 4, test_size: 4}"
TEXT = "task={name: text, path: data.txt, context: 8, validation_size: 4, test_size: 4}"
WHOLE_RANGE = "a list of distinct ones, or {min, max, step} with min <= max"

BROKEN = [
    # One or several changes of a study that is right, the field that the message names, and what it says is allowed.
    ("task=digits", "task:", "must be a mapping"),
    ("task={}", "task:", "is required, unless the space is tabular"),
    ("task={turns: 2}", "task.name:", "allowed: digits, npz, number_line, parity, spiral, text"),
    ("space={family: tabular, table: t.csv, mapping: m.yaml}", "task:", "a table is its own task"),
    (
        "task.name=mnist",
        "task.name:",
        "allowed: digits, npz, number_line, parity, spiral, text, or package.module:attribute",
    ),
    ("task.name=5", "task.name:", "allowed: digits, npz, number_line, parity, spiral, text"),
    ("task.name='os:nothing'", "task.name:", "module 'os' has no attribute 'nothing'"),
    ("task.name='os:getcwd'", "task.name:", "must be a class"),
    ("task.trainsize=5", "task.trainsize:", "allowed: turns, noise, train_size"),
    ("task.turns=-1", "task.turns:", "greater than 0"),
    ("task.labelled=64", "task.labelled:", "must be less than the 64 training examples, got 64"),
    ("task.labelled=all", "task.labelled:", "must be a whole number, got 'all'"),
    ("task.labeled=8", "task.labeled:", "test_size, data_seed, name, labelled"),
    ("methods=[{method: multi_exit, unlabelled: -1}]", "methods.0.unlabelled:", "must be at least 0.0, got -1"),
    ("task.noise=.nan", "task.noise:", "must be a finite number"),
    ("task.train_size=10.5", "task.train_size:", "must be a whole number, got 10.5"),
    ("task.train_size=10.0", "task.train_size:", "must be a whole number without a decimal point, got 10.0: write 10"),
    ("task.train_size='10'", "task.train_size:", "must be a whole number, got '10'"),
    ("training.epochs=true", "training.epochs:", "must be a whole number, got true"),
    ("task={name: digits, train_size: 5000}", "task.test_size:", "must fit into the 1797 examples"),
    (NPZ.replace("data.npz", "missing.npz"), "task.path:", "no such file: missing.npz"),
    (NPZ.replace("data.npz", "study.yaml"), "task.path:", "study.yaml is not an .npz file"),
    (NPZ.replace("data.npz", "float_labels.npz"), "task.y_key:", "whole numbers or text, got float64[30]"),
    (NPZ.replace("data.npz", "nan.npz"), "task.x_key:", "must name finite numbers"),
    (NPZ.replace("}", ", x_key: images}"), "task.x_key:", "must be among x, y, got 'images'"),
    (NPZ.replace("test_size: 4", "test_size: 40"), "task.test_size:", "must fit into the 30 examples"),
    (NPZ.replace("train_size: 4, ", ""), "task.train_size:", "is required"),
    (NPZ.replace(", test_size: 4", ""), "task.test_size:", "is required, unless test_path is given"),
    (NPZ.replace("test_size: 4", "test_path: nan.npz"), "task.x_key:", "must name finite numbers"),
    (NPZ.replace("test_size: 4", "test_path: missing.npz"), "task.test_path:", "no such file: missing.npz"),
    (NPZ.replace("}", ", resize: [2, 2]}"), "task.resize:", "is for images, got inputs of [5]"),
    (NPZ.replace("}", ", resize: 14}"), "task.resize:", "must be a list, got 14"),
    (NPZ.replace("}", ", resize: [0, 2]}"), "task.resize.0:", "must be at least 1, got 0"),
    ("task={name: number_line, bits: 3, num_classes: 8}", "task.bits:", "give either bits or num_classes"),
    ("task={name: parity, max_nonzero: 9}", "task.max_nonzero:", "must be at most the length 8, got 9"),
    (TEXT.replace("data.txt", "missing.txt"), "task.path:", "no such file: missing.txt"),
    (TEXT.replace("data.txt", "data.npz"), "task.path:", "data.npz is not UTF-8 text"),
    (TEXT.replace("context: 8", "context: 800"), "task.test_size:", "must fit into the 600 characters"),
    (TEXT, "space.family:", "mlp reads numbers, but the task's inputs are tokens; allowed: transformer"),
    (f"{TEXT}; space={{family: resnet, depth: 2}}", "space.family:", "resnet reads numbers"),
    (f"{TEXT}; space={{family: transformer, depth: 2, patch_size: 2}}", "space.patch_size:", "is for images only"),
    ("space={family: transformer, depth: 2, num_tokens: 4}", "space.num_tokens:", "is set by the task"),
    ("space={}", "space.family:", "allowed: mlp, resnet, mobile, transformer, cell, dynamic, multiscale"),
    (
        "space.family=vgg",
        "space.family:",
        "allowed: cell, dynamic, mlp, mobile, multiscale, resnet, tabular, transformer, or package.module:attribute",
    ),
    ("space.input_shape=[2]", "space.input_shape:", "is set by the task"),
    ("space.dept=3", "space.dept:", "allowed: depth, width, stages, ops, block_width"),
    ("space.depth=[]", "space.depth:", WHOLE_RANGE),
    ("space.depth={min: 3, max: 1}", "space.depth:", WHOLE_RANGE),
    ("space.depth=[2, 2]", "space.depth:", WHOLE_RANGE),
    ("space.depth=deep", "space.depth:", WHOLE_RANGE),
    ("space.depth=null", "space.depth:", "is required (or stages)"),
    ("space.depth={min: 0, max: 1000000000}", "space.depth:", "at most 10000 options, got 1000000001"),
    ("space.width=0", "space.width:", "must be at least 1"),
    ("space.ops=[conv]", "space.ops:", "must be among dense, residual, got 'conv'"),
    ("space.ops=dense", "space.ops:", "must be a list"),
    ("space={family: resnet, depth: 2}", "space", "image"),
    ("space={family: mlp, stages: [{depth: 1}]}", "space.stages.0.width:", "is required"),
    ("space={family: mlp, stages: [{depth: 1, width: 4, strid: 2}]}", "space.stages.0.strid:", "depth, width, stride"),
    (
        "task={name: digits}; space={family: transformer, depth: 2, patch_size: 3}",
        "space.patch_size:",
        "must divide the image's 8x8",
    ),
    ("methods=[]", "methods:", "must have at least 1 item"),
    ("methods=grid", "methods:", "must be a list"),
    ("methods=[5]", "methods.0:", "must be a method's name, or {method: NAME"),
    (
        "methods=[random, annealing]",
        "methods.1.method:",
        "allowed: adanet, asha, autogrow, blockdrop, boosting, brute_force",
    ),
    ("methods=[{label: mine}]", "methods.0.method:", "is required"),
    ("methods=[grid, grid]", "methods:", "labels must be distinct, got 'grid' 2 times: add `label`"),
    ("methods=[{method: grid, label: ''}]", "methods.0.label:", "must not be empty"),
    ("methods=[{method: grid, label: no}]", "methods.0.label:", "must be text (in quotes"),
    ("methods=[{method: grid, seed: 3}]", "methods.0.seed:", "is set by the task or the study"),
    ("methods=[{method: grid, step: 2}]", "methods.0.step:", "allowed: over, tied, order, defaults"),
    ("methods=[{method: grid, over: [dept]}]", "methods.0.over:", "decisions: depth"),
    ("methods=[{method: grid, tied: 1}]", "methods.0.tied:", "must be true or false, got 1"),
    ("methods=[{method: grid, order: random}]", "methods.0.order:", "'ascending', 'shuffled' or 'coarse_to_fine'"),
    ("methods=[fixed]", "methods.0.architecture:", "is required"),
    ("methods=[{method: fixed, architecture: {depth: 3}}]", "methods.0.architecture:", "must be one of [1, 2], got 3"),
    ("methods=[{method: fixed, architecture: {layers: 1}}]", "methods.0.architecture:", "decisions: depth"),
    ("methods=[distillation]", "methods.0.student:", "is required"),
    ("methods=[{method: distillation, student: {depth: 3}}]", "methods.0.student:", "must be one of [1, 2], got 3"),
    ("methods=[{method: lottery_ticket, rate: 1}]", "methods.0.rate:", "must be less than 1"),
    ("methods=[{method: lottery_ticket, start: trained}]", "methods.0.start:", "must be 'initial' or 'random'"),
    ("methods=[{method: evolution, population: 0}]", "methods.0.population:", "must be at least 1"),
    ("methods=[{method: reinforce, learning_rate: fast}]", "methods.0.learning_rate:", "must be a number, got 'fast'"),
    ("methods=[{method: darts, search_share: 1}]", "methods.0.search_share:", "must be less than 1"),
    ("methods=[{method: darts, xi: 1}]", "methods.0.xi:", "deliver, search_share, derive_top"),
    ("space.width=[4, 8]; methods=[layer_select]", "methods.0:", "space.width must be a single width"),
    ("methods=[{method: layer_select, curvature: 0}]", "methods.0.curvature:", "must be greater than 0"),
    ("methods=[{method: skipnet, gate: ff2}]", "methods.0.gate:", "needs hidden states that are images"),
    ("seeds=0", "seeds:", "how many, from 1"),
    ("seeds=1000000000", "seeds:", "how many, from 1 to 10000"),
    ("seeds=[1, 1]", "seeds:", "distinct whole numbers"),
    ("seeds=[0, true]", "seeds:", "distinct whole numbers"),
    ("seed=-1", "seed:", "must be at least 0"),
    ("seed=1e25", "seed:", "must be at most 9223372036854775807"),
    ("budget={}", "budget:", "exactly one of flops, device_seconds, epochs, trials, of_grid, got none"),
    ("budget={trials: 2, epochs: 3}", "budget:", "exactly one of flops, device_seconds, epochs, trials, of_grid"),
    ("budget={flop: 5}", "budget.flop:", "allowed: flops, device_seconds, epochs, trials, of_grid, unit"),
    ("budget={flops: -1}", "budget.flops:", "must be at least 1"),
    ("budget={flops: .nan}", "budget.flops:", "must be a finite number"),
    ("budget={flops: 1.5}", "budget.flops:", "must be a whole number"),
    ("budget={flops: 1e30}", "budget.flops:", "must be at most 9223372036854775807"),
    ("budget={flops: 10}", "budget.flops:", "must pay for the first trial of random"),
    ("budget={epochs: 1}", "budget.epochs:", "must pay for the first trial of random, 2 epochs, got 1"),
    ("budget={trials: 0}", "budget.trials:", "must be at least 1"),
    ("budget={device_seconds: .inf}", "budget.device_seconds:", "must be a finite number"),
    ("budget={of_grid: 0}", "budget.of_grid:", "must be greater than 0"),
    ("budget={of_grid: 1e-6}", "budget.of_grid:", "must pay for the first trial of random"),
    ("budget={of_grid: 1e30}", "budget.of_grid:", "must be at most 9223372036854775807 flops"),
    ("budget={of_grid: 1, unit: device_seconds}", "budget.unit:", "must be 'flops', 'epochs' or 'trials'"),
    ("budget={trials: 3, unit: flops}", "budget.unit:", "belongs to of_grid"),
    ("training=fast", "training:", "must be a mapping"),
    ("training.epoch=3", "training.epoch:", "allowed: epochs, batch_size, optimizer"),
    ("training.epochs=0", "training.epochs:", "must be at least 1"),
    ("training.epochs=20.0", "training.epochs:", "without a decimal point, got 20.0: write 20"),
    ("training.optimizer=adam", "training.optimizer:", "must be 'adamw' or 'sgd', got 'adam'"),
    ("final.epochs=3", "final.epochs:", "allowed: training"),
    ("final.training.epochs=0", "final.training.epochs:", "must be at least 1"),
    ("final.training.batch=8", "final.training.batch:", "allowed: epochs, batch_size"),
    ("resources.workers=0", "resources.workers:", "must be at least 1"),
    ("resources.storage=study.yaml", "resources.storage:", "must be a folder that can be written"),
    ("limits.trial_seconds=0", "limits.trial_seconds:", "must be greater than 0"),
    ("scheduler=asha", "scheduler:", "must be a mapping"),
    ("scheduler={name: hyperband}", "scheduler.name:", "must be 'asha' or 'median'"),
    ("spend_rest=1", "spend_rest:", "must be true or false"),
    ("name=a b", "name:", "letters, digits"),
    ("name=", "name:", "must be text"),
    ("nmae=x", "nmae:", "allowed: name, seed, task, space, methods, seeds, budget"),
    ("training.epochs", "--set:", "must look like key.path=value"),
    ("=5", "--set:", "must look like key.path=value"),
    ("training.epochs=[", "--set:", "must have a YAML value"),
    ("training.epochs.x=3", "--set:", "must lead to a field"),
    ("methods.7.label=x", "--set:", "7 must be an index below 2"),
]

FILES = [
    ("name: [small", "is not YAML: line 1"),
    ("name:\n\t- small", "is not YAML: line 2, column 1"),
    (STUDY + "seeds: 3\n", "the key seeds occurs twice"),
    (STUDY + "---\n" + STUDY, "expected a single document"),
    ("!!python/object/apply:os.system ['true']", "is not YAML: line 1, column 1: could not determine a constructor"),
    ("- random\n- grid\n", "a study must be a mapping with name, task, space, methods and budget"),
    ("small", "a study must be a mapping with name, task, space, methods and budget, got 'small'"),
    ("", "a study must be a mapping with name, task, space, methods and budget, got null"),
]

INVOCATIONS = [
    # A command line, and what the message names and allows.
    ("run", "Missing argument 'SPEC'"),
    ("run missing.yaml", "cannot read missing.yaml: No such file"),
    ("run .", "cannot read .: Is a directory"),
    ("run latin1.yaml", "cannot read latin1.yaml: it is not UTF-8 text"),
    ("run study.yaml --worker 3", "No such option: --worker"),
    ("run study.yaml --workers 0", "resources.workers: must be at least 1, got 0"),
    ("run study.yaml --workers many", "Invalid value for '--workers'"),
    ("run study.yaml --db nas.db", "the database must be a URL such as sqlite:///nas.db"),
    ("run study.yaml --db mysql://localhost/nas", "the database must be sqlite or postgresql, got 'mysql'"),
    ("run study.yaml --db sqlite:///missing/nas.db", "there is no directory"),
    ("run study.yaml --db sqlite:///study.yaml", "file is not a database"),
    ("start study.yaml", "No such command 'start'"),
    ("ls", "there is no database nas.db; name another one, or run a study to create it"),
    ("ls -f xml --db sqlite:///old.db", "'xml' is not one of 'table', 'json', 'csv'"),
    ("ls --db postgresql://nobody@127.0.0.1:1/nas", "cannot open postgresql"),
    ("ls --db sqlite:///newer.db", "has revision 9999, which this version does not know"),
    ("ls --db sqlite:///foreign.db", "the database holds no results"),
    ("db upgrade --db sqlite:///newer.db", "install the version of depth-nas that wrote the database"),
    ("db check --db sqlite:///changed.db", "missing view v_depth"),
    ("show other --db sqlite:///old.db", "there is no study 'other'; the database holds: small"),
    ("trials other --db sqlite:///old.db", "there is no study 'other'; the database holds: small"),
    ("trials small --run 6 --db sqlite:///old.db", "--run: must be one of 0, 1, 2, 3, 4, 5, got 6"),
    ("trials small --label fixed --db sqlite:///old.db", "--label: must be one of grid, random, darts, got fixed"),
    ("compare other --db sqlite:///old.db", "there is no study 'other'; the database holds: small"),
    (
        "compare small --baseline fixed --db sqlite:///old.db",
        "--baseline: must be one of grid, random, darts, got 'fixed'",
    ),
    ("resume other --db sqlite:///old.db", "there is no study 'other'; the database holds: small"),
    ("resume small --db sqlite:///old.db", "study small is failed: there is nothing left to run"),
]
QUERIES = ["DELETE FROM studies", "SELECT 1; DROP TABLE runs", "SELEC 1", "", "PRAGMA user_version = 5"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a good study file and some data; commands run in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NAS_DB", raising=False)
    Path("study.yaml").write_text(STUDY)
    x, y = np.random.default_rng(0).random((30, 5)), np.arange(30) % 3
    np.savez("data.npz", x=x, y=y)
    Path("data.txt").write_text("one two three four five " * 25)
    np.savez("float_labels.npz", x=x, y=y.astype(float))
    np.savez("nan.npz", x=np.where(x > 0.9, np.nan, x), y=y)
    return tmp_path


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Databases in all states."""
    folder = tmp_path_factory.mktemp("databases")
    for name in ("old", "newer", "changed"):
        store_study(f"sqlite:///{folder / name}.db")
    for name, statement in {
        "newer": "UPDATE nas_version SET version_num = '9999'",
        "changed": "DROP VIEW v_depth",
        "foreign": "CREATE TABLE albums (id INTEGER)",
    }.items():
        with closing(sqlite3.connect(folder / f"{name}.db")) as connection:
            connection.execute("PRAGMA journal_mode = WAL")  # as opening it would make it
            connection.execute(statement)
            connection.commit()
    return folder


@pytest.fixture
def databases(folder, stored):
    """The study file and the databases."""
    Path("latin1.yaml").write_bytes("name: früh".encode("latin-1"))
    return shutil.copytree(stored, folder, dirs_exist_ok=True)


def contents(folder):
    """What every file holds, but for the write-ahead files of SQLite, which come and go."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.suffix not in (".db-shm", ".db-wal"))
    return {path: path.read_bytes() for path in files}


def refusal(capsys, *arguments):
    """The one line on standard error."""
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    out, err = capsys.readouterr()
    assert exit_.value.code == 2, err
    assert out == ""
    (line,) = err.splitlines()
    assert line.startswith("error: ")
    assert "Traceback" not in line
    return line


@pytest.mark.parametrize(("changes", "field", "allowed"), BROKEN, ids=[case[0] for case in BROKEN])
def test_a_broken_study_is_refused_by_its_field(folder, capsys, changes, field, allowed):
    before = contents(folder)
    line = refusal(capsys, "run", "study.yaml", *(f"--set={change}" for change in changes.split("; ")))
    assert line.startswith(f"error: {field}")
    assert allowed in line
    assert contents(folder) == before


@pytest.mark.parametrize(
    ("changes", "field", "allowed"),
    [
        ("methods=[grid]", "methods.0.over:", "may have 4 combinations at most; name fewer decisions"),
        ("methods=[random]; budget={of_grid: 1}", "budget.of_grid:", "may have 4 combinations at most"),
    ],
)
def test_a_grid_beyond_what_can_be_listed_is_refused(folder, capsys, monkeypatch, changes, field, allowed):
    monkeypatch.setattr("controllers.grid.MAX_POINTS", 4)
    changes = [f"--set={change}" for change in ("space.depth=[1, 2, 3, 4, 5]", *changes.split("; "))]
    line = refusal(capsys, "run", "study.yaml", *changes)
    assert line.startswith(f"error: {field}")
    assert allowed in line


@pytest.mark.parametrize(("text", "allowed"), FILES)
def test_a_file_that_is_no_study_is_refused(folder, capsys, text, allowed):
    Path("broken.yaml").write_text(text)
    before = contents(folder)
    assert allowed in refusal(capsys, "run", "broken.yaml")
    assert contents(folder) == before


@pytest.mark.parametrize(("command", "allowed"), INVOCATIONS)
def test_a_wrong_command_line_is_refused(databases, capsys, command, allowed):
    before = contents(databases)
    assert allowed in refusal(capsys, *command.split())
    assert contents(databases) == before


@pytest.mark.parametrize("sql", QUERIES)
def test_a_query_may_only_read(databases, capsys, sql):
    before = contents(databases)
    assert "the query must be one SELECT" in refusal(capsys, "query", sql, "--db", "sqlite:///old.db")
    assert contents(databases) == before


@pytest.mark.parametrize("amount", ["1e12", "1E12", "1.0e+12", "1000000000000", "1_000_000_000_000"])
def test_large_amounts_may_be_written_with_an_exponent(folder, amount):
    assert read_spec(Path("study.yaml"), [f"budget={{flops: {amount}}}"]).budget.flops == 10**12


@pytest.mark.parametrize(("written", "value"), [("1e-3", 0.001), ("2.5E-1", 0.25), ("1e0", 1.0)])
def test_small_rates_may_be_written_with_an_exponent(folder, written, value):
    assert read_spec(Path("study.yaml"), [f"training.learning_rate={written}"]).training.learning_rate == value


@pytest.mark.parametrize(
    ("arguments", "allowed"),
    [
        (["run", "study.yaml", "--set", "budget={flops: -1}"], "budget.flops: must be at least 1"),
        (["ls", "--format", "xml"], "--format"),
        (["compare", "small"], "there is no database nas.db"),
    ],
)
def test_the_installed_command_refuses_alike(folder, arguments, allowed):
    before = contents(folder)
    ended = subprocess.run([Path(sys.executable).with_name("nas"), *arguments], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (2, "")
    (line,) = ended.stderr.splitlines()
    assert allowed in line
    assert contents(folder) == before
