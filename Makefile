# Everything that a developer or CI runs.  Each target installs what it needs and says so.
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin

.PHONY: help demo test lint format bench bench-control clean
help:
	@echo 'make demo    a good release walks to 100 %, a bad one is rolled back (DEMO_SECONDS=60 ends by itself)'
	@echo 'make test    lint, types, import contracts, all tests'
	@echo 'make lint    the first three of them'
	@echo 'make bench   CPU per request beside nginx (BENCH="--smoke" for a quick look)'
	@echo 'make bench-control   how fast a change, a breaker, a rollback is (BENCH="--only weights")'

# The stamp is younger than pyproject.toml when all Python packages are there.
.venv/.installed: pyproject.toml
	@.ci/debian-packages python3-venv:ensurepip
	@echo '== Python packages into .venv'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

demo: .venv/.installed
	@$(BIN)/inference-router demo

lint: .venv/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: .venv/.installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

test: lint
	@.ci/debian-packages nginx-light:nginx wrk:wrk openssl:openssl prometheus:prometheus
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist worksteal $(TESTS)

bench-control: .venv/.installed
	$(BIN)/python -m loadtests.control $(BENCH)

bench: .venv/.installed
	@.ci/debian-packages nginx-light:nginx wrk:wrk
	$(BIN)/python -m loadtests.bench $(BENCH)

clean:
	rm -rf .venv build dist *.egg-info bench-results .mypy_cache .ruff_cache .pytest_cache .hypothesis
