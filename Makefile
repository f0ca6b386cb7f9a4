# Every target sets up what it needs: a virtual environment in .venv, filled once per pyproject.toml.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.installed
BENCH_READY := $(VENV)/.installed-bench

.PHONY: demo test test-all lint bench clean

demo: $(READY)
	$(BIN)/jaxllc demo

# Two processes, a file of tests in one of them.
test: lint
	$(BIN)/python -m pytest -n 2 --dist loadfile
	JAXLLC_NOTEBOOK_QUICK=1 $(BIN)/python tests/run_notebooks.py

# With every slow test, not only a fixed quarter of them.
test-all: lint
	$(BIN)/python -m pytest -n 2 --dist loadfile --slow all
	JAXLLC_NOTEBOOK_QUICK=1 $(BIN)/python tests/run_notebooks.py

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: $(BENCH_READY)
	$(BIN)/python benchmarks/recovery.py --json benchmarks/results/recovery.json
	$(BIN)/python benchmarks/recovery.py --db 30 --laws biochemical,epidemic,lotka_volterra,kuramoto,gene,neural \
		--json benchmarks/results/recovery_30db.json
	$(BIN)/python benchmarks/ablation.py --json benchmarks/results/ablation.json
	$(BIN)/python benchmarks/noise.py --json benchmarks/results/noise.json
	$(BIN)/python benchmarks/random_systems.py --json benchmarks/results/random_systems.json
	$(BIN)/python benchmarks/pretrained.py --json benchmarks/results/pretrained.json
	$(BIN)/python benchmarks/gkan.py --json benchmarks/results/gkan.json
	$(BIN)/python benchmarks/real_epidemics.py
	$(BIN)/python benchmarks/real_data.py
	$(BIN)/python benchmarks/signaling.py --json benchmarks/results/signaling.json
	$(BIN)/python benchmarks/signaling_accuracy.py --json benchmarks/results/signaling_accuracy.json
	$(BIN)/python benchmarks/self_pruning.py --json benchmarks/results/self_pruning.json

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@

$(BENCH_READY): $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[bench]'
	touch $@
