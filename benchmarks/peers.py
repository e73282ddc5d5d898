"""The project's methods against those of other packages, on the published protocol of NAS-Bench-201 on CIFAR-10.

    python benchmarks/peers.py [--runs 500] [--seconds-per-peer 600] [--only NAMES] [--plot docs/peers.svg]

The peers run their own code in environments of their own (`.venv-peers`), which the script makes. The seeds of every
method are 0, 1, 2 and so on. Finished runs are kept in a file, so the script goes on where it was stopped; the
project's own are measured again when its code has changed. Prints the Markdown tables of docs/benchmarks.md.

NAMES are packages (`nas`, `optuna`, `nni`, `syne_tune`) or methods of them (`optuna/tpe`). The table of trained cells
is looked for in `../shared/data` or in the folder that the environment variable NAS_DATA names.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # one thread for everybody, before anything starts its own

from machine import describe_machine
from peer_runs import environments, own
from peer_runs.protocol import TABLE, Outcome
from peer_runs.report import Line, Rate, accuracy_table, curves, speed_table

HERE = Path(__file__).parent
OWN = "nas"
OWN_TITLES = {
    "aging": "aging evolution, 10 and 3",
    "evolution": "aging evolution, 10 and 3, without repeats",
    "nsga2": "NSGA-II, population 10 (Optuna)",
    "tpe": "TPE (Optuna)",
    "gp": "GP (Optuna)",
}
METHODS = {
    OWN: {name: OWN_TITLES.get(name, name) for name in own.METHODS},
    "optuna": {"random": "random", "tpe": "TPE", "nsga2": "NSGA-II, population 10", "gp": "GP"},
    "nni": {
        "random": "random",
        "tpe": "TPE",
        "evolution": "naive evolution, population 10",
        "regularized_evolution": "aging evolution, 10 and 3",
    },
    "syne_tune": {
        "random": "random",
        "rea": "aging evolution, 10 and 3",
        "tpe": "TPE (KDE)",
        "cqr": "CQR",
    },
}
"""By package: methods and how the table calls them. Two numbers are the population and the tournament."""
REPEATS = 3
OWN_LOOPS = ("random", "aging")
PEER_LOOPS = {"syne_tune": "Syne Tune's simulator, random", "optuna": "Optuna on SQLite, TPE"}


class Cache:
    """Finished runs, one line of JSON each."""

    def __init__(self, path: Path) -> None:
        self._path = path
        lines = path.read_text().splitlines() if path.exists() else []
        self._outcomes = {}
        for line in map(json.loads, lines):
            key = line.pop("package"), line.pop("version"), line.pop("method"), line["seed"]
            self._outcomes[key] = Outcome(**line)

    def runs(self, package: str, method: str, num: int) -> dict[int, Outcome]:
        """Those of the first seeds, by seed."""
        keys = {seed: (package, _version(package), method, seed) for seed in range(num)}
        return {seed: self._outcomes[key] for seed, key in keys.items() if key in self._outcomes}

    def add(self, package: str, method: str, outcome: Outcome) -> None:
        """Keep a run."""
        self._outcomes[package, _version(package), method, outcome.seed] = outcome
        named = {"package": package, "version": _version(package), "method": method, **outcome.as_dict()}
        with self._path.open("a") as file:
            file.write(json.dumps(named) + "\n")


def _version(package: str) -> str:
    return own.fingerprint() if package == OWN else environments.version(package)


def run_missing(package: str, method: str, seeds: Sequence[int], table: Path, seconds: float) -> Iterator[Outcome]:
    """The runs of these seeds, as many as so many seconds allow."""
    if package == OWN:
        yield from own.run_seeds(method, seeds, table, seconds)
        return
    given = ["--seeds", *map(str, seeds), "--seconds", str(seconds)]
    worker = _start_worker("runs", package, method, *given, "--table", str(table))
    if worker is None:
        return
    assert worker.stdout is not None
    for line in worker.stdout:
        yield Outcome(**json.loads(line))
    if worker.wait() != 0:
        print(f"{package}/{method} broke off", file=sys.stderr)


def speeds(table: Path, num_trials: int) -> dict[str, list[Rate]]:
    """How fast every loop is, in turns, so that whatever else the machine does meets all of them."""
    rates: dict[str, list[Rate]] = {}
    for _ in range(REPEATS):
        for method in OWN_LOOPS:
            seconds = own.time_trials(method, num_trials, table)
            rates.setdefault(f"nas, {method}", []).append(_rate(num_trials, (0, 0), seconds))
        for package, name in PEER_LOOPS.items():
            worker = _start_worker("speed", package, "--trials", str(num_trials), "--table", str(table))
            times = json.loads(worker.communicate()[0] or "[]") if worker else []
            if not times:
                continue
            rates.setdefault(name, []).append(_rate(len(times), (0, 0), times[-1]))
            if package == "optuna":  # slows down as it goes
                part = len(times) // 10
                rates.setdefault(f"{name}: first {part}", []).append(_rate(part, (0, 0), times[part - 1]))
                rates.setdefault(f"{name}: last {part}", []).append(_rate(part, times[-part - 1], times[-1]))
    return rates


def _rate(num_trials: int, start: Sequence[float], end: Sequence[float]) -> Rate:
    return num_trials / (end[0] - start[0]), num_trials / (end[1] - start[1])


def draw(lines: Sequence[Line], plot: Path) -> None:
    python = environments.interpreter("plot")
    if python is not None:
        command = [str(python), str(HERE / "peer_runs" / "draw.py"), str(plot)]
        subprocess.run(command, input=json.dumps(curves(lines)), text=True, check=True)


def _start_worker(action: str, package: str, *arguments: str) -> subprocess.Popen[str] | None:
    python = environments.interpreter(package)
    if python is None:
        return None
    command = [str(python), str(HERE / "peers_worker.py"), action, package, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def _find_table() -> Path:
    folder = Path(os.environ.get("NAS_DATA", environments.ROOT.parent / "shared" / "data"))
    if not (folder / TABLE).exists():
        sys.exit(f"no {TABLE} in {folder}: set NAS_DATA to the folder that has it")
    return (folder / TABLE).resolve()


def measure(arguments: argparse.Namespace, table: Path) -> list[Line]:
    """All wanted runs: those that are kept, and those that are missing."""
    cache, lines = Cache(arguments.cache), []
    for package, method in wanted(arguments.only):
        known = cache.runs(package, method, arguments.runs)
        missing = [seed for seed in range(arguments.runs) if seed not in known]
        if missing:
            print(f"{package}/{method}: {len(missing)} runs to do", file=sys.stderr)
            for outcome in run_missing(package, method, missing, table, arguments.seconds_per_peer):
                cache.add(package, method, outcome)
                known[outcome.seed] = outcome
        if known:
            shown = OWN if package == OWN else environments.version(package)
            outcomes = [known[seed] for seed in sorted(known)]
            lines.append(Line(package=shown, method=METHODS[package][method], outcomes=outcomes))
    return lines


def wanted(only: Sequence[str]) -> list[tuple[str, str]]:
    """Package and method of what was named, or of everything."""
    everything = [(package, method) for package, methods in METHODS.items() for method in methods]
    unknown = set(only) - METHODS.keys() - {"/".join(one) for one in everything}
    if unknown:
        sys.exit(
            f"--only knows {', '.join(METHODS)} and {', '.join(map('/'.join, everything))}, got {', '.join(unknown)}"
        )
    return [one for one in everything if not only or one[0] in only or "/".join(one) in only]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--seconds-per-peer", type=float, default=600, help="a method begins no run after so long")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME")
    parser.add_argument("--cache", type=Path, default=environments.ROOT / ".peers.jsonl")
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--speed-trials", type=int, default=1000, help="0: no speeds")
    arguments = parser.parse_args()
    table = _find_table()
    lines = measure(arguments, table)
    print(describe_machine() + "\n")
    print("\n".join(accuracy_table(lines)))
    absent = [environments.version(package) for package in environments.failed]
    if absent:
        print(f"\nCannot be installed here: {', '.join(absent)}.")
    if arguments.plot:
        draw(lines, arguments.plot)
    if arguments.speed_trials:
        rates = speeds(table, arguments.speed_trials)
        print(f"\nOne run of {arguments.speed_trials:,} trials, {REPEATS} times in turns: median (least, most).\n")
        print("\n".join(speed_table(rates, [f"nas, {method}" for method in OWN_LOOPS])))


if __name__ == "__main__":
    main()
