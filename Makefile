# Everything here makes what it needs and is safe to run again.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed

.PHONY: demo test lint bench bench-depth bench-dynamic bench-peers clean

## Compare six ways of choosing a network's depth, and no search at all, at equal compute (about three minutes).
demo: $(INSTALLED)
	$(BIN)/nas run examples/demo.yaml --db sqlite:///nas.db

## All checks: style, types, layers, tests.
test: lint
	$(BIN)/pytest

lint: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

## Every figure in docs/benchmarks.md, as Markdown on standard output (about half an hour).
bench: $(INSTALLED)
	$(BIN)/python benchmarks/orchestration.py
	$(BIN)/python benchmarks/training.py
	$(BIN)/python benchmarks/replay.py
	$(BIN)/python benchmarks/optuna_adapter.py
	$(BIN)/python benchmarks/compare.py
	$(BIN)/python benchmarks/coverage.py
	$(BIN)/python benchmarks/posterior_depth.py --epochs 250 --batch-size 64
	$(BIN)/python benchmarks/thresholds.py

## The evidence about learned depth (hours; goes on where it was stopped). Needs the data sets in NAS_DATA.
bench-depth: $(INSTALLED)
	$(BIN)/python benchmarks/learned_depth.py run --share 0.25
	$(BIN)/python benchmarks/learned_depth.py run --share 0.1
	$(BIN)/python benchmarks/learned_depth.py run --share 0.5
	$(BIN)/python benchmarks/learned_depth.py run --share 1
	$(BIN)/python benchmarks/depth_report.py > docs/learned_depth_tables.md
	$(BIN)/python benchmarks/known_results.py

## The evidence about depth per input (an hour; goes on where it was stopped). Needs the data sets in NAS_DATA.
bench-dynamic: $(INSTALLED)
	$(BIN)/python benchmarks/dynamic.py clock
	$(BIN)/python benchmarks/dynamic.py exits --tasks MNIST Fashion-MNIST
	$(BIN)/python benchmarks/dynamic.py gates --tasks MNIST Fashion-MNIST
	$(BIN)/python benchmarks/dynamic.py multiscale --tasks MNIST Fashion-MNIST

## Other packages on a published protocol, each in an environment of its own (hours; goes on where it was stopped).
bench-peers: $(INSTALLED)
	$(BIN)/python benchmarks/peers.py --plot docs/peers.svg

$(INSTALLED): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet --editable '.[dev,postgres]'
	touch $@

clean:
	rm -rf $(VENV) .venv-peers nas.db nas.db-shm nas.db-wal nas-files
