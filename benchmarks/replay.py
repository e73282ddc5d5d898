"""What a killed driver costs: a study whose driver is killed at random moments against one whose driver never was.

    python benchmarks/replay.py [--kills 20] [--workers 1] [--seed 0]

Each kill is SIGKILL at a random moment after the driver has started or finished some trial, then the study is resumed.
With one worker, both studies must agree in every trial, epoch and charge but for clocks. With several, the order in
which trials finish is a matter of chance, so no trial may be lost or doubled and every account must add up. Prints a
Markdown table, and exits with 1 if it is not so.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd
from machine import describe_machine

from nas import Store, open_store, read_spec, resume_study, run_study

NAME = "replay"
STUDY = "study.yaml"
CLOCKS = ["created_at", "changed_at", "started_at", "finished_at", "device_us", "search_device_us", "final_device_us"]
KEYS = {
    "trials": ["run", "number"],
    "epochs": ["run", "number", "epoch"],
    "depth_profiles": ["run", "number", "epoch", "level"],
    "charges": ["id"],
    "runs": ["run"],
}
CHANGES = "SELECT (SELECT count(*) FROM trials) + (SELECT count(*) FROM epochs) AS changes"
POLL_S = 0.1
LONGEST_PAUSE_S = 0.5
MAX_CHANGES = 4
"""A kill comes after at most so many new trials or epochs."""
PATIENCE_S = 300.0


def write_study(folder: Path, *, kills: int, workers: int) -> None:
    """Five methods on tiny networks, supernets and final trainings included: some thirty trials for every ten kills."""
    folder.mkdir()
    study = {
        "name": NAME,
        "task": {"name": "digits", "train_size": 200, "validation_size": 100},
        "space": {"family": "mlp", "depth": {"min": 1, "max": 6}, "width": 16},
        "methods": [
            {"method": "grid", "order": "shuffled"},
            "random",
            {"method": "evolution", "population": 3, "tournament": 2},
            "reinforce",
            "layer_select",
        ],
        "seeds": 1 + kills // 10,
        "budget": {"of_grid": 0.7},
        "training": {"epochs": 6, "batch_size": 8},
        "resources": {"workers": workers, "storage": str(folder / "files")},
        "limits": {"checkpoint_seconds": 0.05},
    }
    (folder / STUDY).write_text(json.dumps(study))


def drive(folder: Path) -> None:
    """Run the study, or what is left of it. This is what gets killed."""
    with open_store(url(folder)) as store:
        if any(study.name == NAME for study in store.studies()):
            resume_study(NAME, store)
        else:
            run_study(read_spec(folder / STUDY), store)


def start_driver(folder: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, __file__, "--drive", str(folder)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)


def kill_at_random(folder: Path, rng: random.Random) -> str | None:
    """Start a driver and kill it; returns what it had done, or None if it was done before that."""
    driver = start_driver(folder)
    before, patience = num_changes(folder), time.monotonic() + PATIENCE_S
    wanted = before + rng.randint(1, MAX_CHANGES)
    while num_changes(folder) < wanted and driver.poll() is None:
        if time.monotonic() > patience:
            driver.kill()
            raise TimeoutError(f"a driver did nothing for {PATIENCE_S:g} s")
        time.sleep(POLL_S)
    time.sleep(rng.uniform(0, LONGEST_PAUSE_S))
    if driver.poll() is not None:
        return None
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    with open_store(url(folder)) as store:
        trials = store.frame("trials")
    running = (trials["status"] == "running").sum()
    return f"{len(trials) - running} trials finished, {running} running"


def num_changes(folder: Path) -> int:
    """Trials and epochs stored so far."""
    if not (folder / "nas.db").exists():
        return 0
    with open_store(url(folder)) as store:
        return int(store.query(CHANGES)["changes"].iloc[0])


def finish_study(folder: Path) -> None:
    if start_driver(folder).wait() != 0:
        raise RuntimeError("the driver failed")


def differences(store: Store, other: Store) -> list[str]:
    """Tables in which two studies differ by more than their clocks."""
    found = []
    for table, key in KEYS.items():
        one, two = (_comparable(each.frame(table), key) for each in (store, other))
        try:
            pd.testing.assert_frame_equal(one, two, check_exact=True)
        except AssertionError as error:
            found.append(f"{table}: {' '.join(str(error).split())}")
    return found


def _comparable(frame: pd.DataFrame, key: list[str]) -> pd.DataFrame:
    if "measurement" in frame:
        frame["measurement"] = frame["measurement"].map(_without_time)
    return frame.sort_values(key, ignore_index=True).drop(columns=[*CLOCKS, "id"], errors="ignore")


def _without_time(measurement: object) -> object:
    if isinstance(measurement, dict):
        return {name: _without_time(value) for name, value in measurement.items() if name != "device_us"}
    return [_without_time(value) for value in measurement] if isinstance(measurement, list) else measurement


def contradictions(store: Store) -> list[str]:
    """Trials lost or doubled, and accounts that do not add up."""
    runs, trials, charges = (store.frame(table) for table in ("runs", "trials", "charges"))
    found = []
    if set(trials["status"]) - {"complete", "pruned", "failed"}:
        found.append("some trials are not finished")
    if sorted(trials["finish_order"]) != list(range(len(trials))):
        found.append("finishing orders have gaps or repeats")
    for _, run in runs.iterrows():
        own = trials[trials["run"] == run["run"]]
        paid = charges[(charges["run"] == run["run"]) & (charges["account"] == "search")]["flops"].sum()
        if sorted(own["number"]) != list(range(len(own))):
            found.append(f"run {run['run']} has lost or doubled a trial")
        if (own["kind"] == "final").sum() != 1 or run["phase"] != "done":
            found.append(f"run {run['run']} has not come to its end")
        if not paid == run["spent"] <= run["budget"]:
            found.append(f"run {run['run']} was charged {paid}, says {run['spent']}, may spend {run['budget']}")
    return found


def url(folder: Path) -> str:
    return f"sqlite:///{folder / 'nas.db'}"


def compare(kills: int, workers: int, seed: int, root: Path) -> list[str]:
    """Print the table; returns what is wrong."""
    rng = random.Random(seed)
    killed, whole, rows = root / "killed", root / "whole", []
    for folder in (killed, whole):
        write_study(folder, kills=kills, workers=workers)
    while len(rows) < kills:
        moment = kill_at_random(killed, rng)
        if moment is None:
            break
        rows.append(moment)
    finish_if_unfinished(killed)
    finish_study(whole)
    with open_store(url(killed)) as one, open_store(url(whole)) as other:
        wrong = contradictions(one) + (differences(one, other) if workers == 1 else [])
        trials, lost = len(one.frame("trials")), len(one.frame("events"))
    print(describe_machine())
    print("| kill | the driver had |\n|---|---|")
    for number, moment in enumerate(rows, start=1):
        print(f"| {number} | {moment} |")
    verdict = "; ".join(wrong) or ("none but clocks" if workers == 1 else "no trial lost or doubled, accounts add up")
    print(f"\n{len(rows)} kills, {workers} workers, {trials} trials, {lost} events. Differences: {verdict}.")
    if len(rows) < kills:
        wrong.append(f"the study was done after {len(rows)} of {kills} kills")
    return wrong


def finish_if_unfinished(folder: Path) -> None:
    with open_store(url(folder)) as store:
        unfinished = not set(store.frame("runs")["phase"]) <= {"done", "failed"}
    if unfinished:
        finish_study(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--drive", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.drive is not None:
        drive(arguments.drive)
        return
    with tempfile.TemporaryDirectory() as folder:
        wrong = compare(arguments.kills, arguments.workers, arguments.seed, Path(folder))
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
