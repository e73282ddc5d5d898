"""Runs one method of one peer, in that peer's own environment. `peers.py` starts it; see there.

    python benchmarks/peers_worker.py runs PACKAGE METHOD --table FILE --seeds 0 1 2 --seconds 60
    python benchmarks/peers_worker.py speed PACKAGE --table FILE --trials 1000

Writes one line of JSON per run, as soon as it is done, or one line with the completion times.
"""

from __future__ import annotations

import argparse
import importlib
import json
import logging
import sys
import time
import warnings
from pathlib import Path

from peer_runs.protocol import Table, run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("action", choices=["runs", "speed"])
    parser.add_argument("package")
    parser.add_argument("method", nargs="?")
    parser.add_argument("--table", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[])
    parser.add_argument("--seconds", type=float, default=float("inf"), help="no run is begun after so long")
    parser.add_argument("--trials", type=int, default=1000)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # the peers' own, about their experimental parts
    logging.disable(logging.WARNING)
    results, sys.stdout = sys.stdout, sys.stderr  # whatever a peer prints is not a result
    peer = importlib.import_module(f"peer_runs.{arguments.package}_peers")
    table = Table(arguments.table)
    if arguments.action == "speed":
        print(json.dumps(peer.time_loop(table, arguments.trials)), file=results, flush=True)
        return
    start = time.monotonic()
    for seed in arguments.seeds:
        if time.monotonic() - start > arguments.seconds:
            break
        outcome = run(table, peer.METHODS[arguments.method](table, seed), seed=seed)
        print(json.dumps(outcome.as_dict()), file=results, flush=True)


if __name__ == "__main__":
    main()
