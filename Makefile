# Everything that a developer or CI runs.  Each target installs what it needs and says so.
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
# Two more than there are cores, for tests of whole routers mostly wait; four at most.
TEST_PROCESSES ?= $(shell n=$$(( $$(nproc) + 2 )); echo $$(( n < 4 ? n : 4 )))

# Tests start hundreds of processes: bytecode is kept, else each of them compiles all of it again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo test lint format bench bench-peers bench-control bench-edge loadtest chaos fuzz clean
.PHONY: lock audit changelog dist image test-container
help:
	@echo 'make demo    a good release walks to 100 %, a bad one is rolled back (DEMO_SECONDS=60 ends by itself)'
	@echo 'make test    lint, types, import contracts, all tests'
	@echo 'make lint    the first three of them'
	@echo 'make bench   CPU per request beside nginx (BENCH="--smoke" for a quick look)'
	@echo 'make bench-peers     the same beside HAProxy, Envoy, LiteLLM and others (1 GB of packages, 15 minutes)'
	@echo 'make bench-control   how fast a change, a breaker, a rollback is (BENCH="--only weights")'
	@echo 'make bench-edge      slow clients, overload, many connections, restarts (BENCH="--only slow")'
	@echo 'make fuzz    search for bytes that break a promise (FUZZ="request_heads 180"; else each target a minute)'
	@echo 'make loadtest   requests and streams while weights change, judged (PROFILE=soak: 10 minutes)'
	@echo 'make chaos   one of four endpoints breaks at random under load, judged (CHAOS_SECONDS=60; else 600)'
	@echo 'make image   the container image (IMAGE=registry/name:tag, BASE=another base)'
	@echo 'make test-container   build and run it for real, as root where no Docker engine runs (6 minutes)'
	@echo 'make dist    wheel and sdist into dist/'
	@echo 'make lock    pin what the image installs, with hashes (LOCK=--upgrade: the newest of everything)'
	@echo 'make audit   known vulnerabilities of what is pinned (AUDIT=--strict)'
	@echo 'make changelog   CHANGELOG.md from changes/'

# A stamp is younger than pyproject.toml when its Python packages are there: those of the router,
# which a demo needs, or all of them.
# setuptools warns that a folder may be called like the package, which `router/` is.
PIP_INSTALL := PYTHONWARNINGS=ignore::UserWarning $(BIN)/python -m pip install --quiet --disable-pip-version-check
# The pip that comes with Python 3.11 takes twice as long to choose among versions.
VENV = test -x $(BIN)/python || { $(PYTHON) -m venv .venv && { $(PIP_INSTALL) --upgrade pip || true; }; }

.venv/.router: pyproject.toml
	@.ci/debian-packages python3-venv:ensurepip
	@echo '== Python packages of the router into .venv'
	@$(VENV)
	@$(PIP_INSTALL) --editable .
	@touch $@

# Most of what developers need is never run: it is compiled when it is first used.
.venv/.installed: pyproject.toml
	@.ci/debian-packages python3-venv:ensurepip
	@echo '== Python packages of the router and of its developers into .venv'
	@$(VENV)
	@$(PIP_INSTALL) --no-compile --editable '.[dev]'
	@touch .venv/.router $@

# helm and kubectl for the chart's tests.
.venv/bin/helm: .ci/helm .ci/helm.txt | .venv/.installed
	@echo '== helm and kubectl into .venv'
	@$(BIN)/python .ci/helm

demo: .venv/.router
	@$(BIN)/inference-router demo

lint: .venv/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: .venv/.installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# To rewrite and compile every test takes half a minute: once, not in each process of a first run.
HALF := tests/unit/ tests/properties/
.venv/.compiled: | .venv/.installed
	@echo '== bytecode of the tests'
	@for half in '$(HALF)' '$(filter-out $(HALF) tests/support/,$(sort $(dir $(wildcard tests/*/*.py))))'; do \
	  $(BIN)/python -m pytest --collect-only -qq -p no:xdist $$half >/dev/null & done; wait
	@touch $@

test: .venv/bin/helm
	@$(MAKE) --no-print-directory -j2 lint .venv/.compiled
	@.ci/debian-packages nginx-light:nginx wrk:wrk openssl:openssl prometheus:prometheus chromium:chromium
	$(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist worksteal --durations=30 $(TESTS)

bench-control: .venv/.installed
	$(BIN)/python -m loadtests.control $(BENCH)

bench-edge: .venv/.installed
	@.ci/debian-packages slowhttptest:slowhttptest
	$(BIN)/python -m loadtests.edge $(BENCH)

loadtest: .venv/.installed
	$(BIN)/python -m loadtests.scenarios --profile $(or $(PROFILE),steady) $(LOADTEST)

CHAOS_SECONDS ?= 600
chaos: .venv/.installed
	$(BIN)/python -m loadtests.chaos --seconds $(CHAOS_SECONDS) $(CHAOS)

# atheris only here: plain tests replay the corpus without it.
fuzz: .venv/.installed
	@$(BIN)/python -c 'import atheris' 2>/dev/null || { echo '== atheris into .venv'; \
	  $(PIP_INSTALL) 'atheris>=3'; }
	$(BIN)/python -m tests.fuzz.run $(FUZZ)

bench: .venv/.installed
	@.ci/debian-packages nginx-light:nginx wrk:wrk
	$(BIN)/python -m loadtests.bench $(BENCH)

# What users would pick instead, in an environment of its own.  A package that does not install is
# named in the table, and tried again next time.
.venv-peers/.installed: loadtests/bench/peers/packages.txt
	@.ci/debian-packages python3-venv:ensurepip
	@echo '== the peers into .venv-peers (1 GB)'
	@test -x .venv-peers/bin/python || $(PYTHON) -m venv .venv-peers
	@missing=0; while read -r package; do \
	  .venv-peers/bin/python -m pip install --quiet --disable-pip-version-check "$$package" \
	    || { echo "== not installed: $$package"; missing=1; }; \
	done <$<; [ $$missing = 1 ] || touch $@

PEERS := haproxy,envoy,vllm-router,sglang-router,starlette-httpx,litellm
bench-peers: .venv/.installed .venv-peers/.installed
	@.ci/debian-packages nginx-light:nginx wrk:wrk
	@.ci/debian-packages haproxy:haproxy || echo '== not installed: haproxy'
	$(BIN)/python -m loadtests.bench --only nginx,native,$(PEERS),direct --mirror \
	  --cells 1kb,50kb,1mb,sse --rate 200 $(BENCH)

# What only a release needs: pip-audit and uv.
.venv/.release: pyproject.toml | .venv/.installed
	@echo '== pip-audit and uv into .venv'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[release]'
	@touch $@

lock: .venv/.release
	@scripts/lock $(LOCK)

audit: .venv/.release
	@$(BIN)/python scripts/audit $(AUDIT)

changelog: .venv/.installed
	@$(BIN)/python scripts/changelog >CHANGELOG.new && mv CHANGELOG.new CHANGELOG.md

dist: .venv/.installed
	$(BIN)/python -m build --no-isolation

IMAGE ?= inference-router:$(shell sed -n 's/^__version__ = "\(.*\)"$$/\1/p' router/__init__.py)
image:
	DOCKER_BUILDKIT=1 docker build --tag $(IMAGE) $(if $(BASE),--build-arg BASE=$(BASE)) \
	  --build-arg VERSION=$(lastword $(subst :, ,$(IMAGE))) \
	  --build-arg REVISION=$(shell git rev-parse HEAD) \
	  --build-arg CREATED=$(shell git log -1 --format=%cI) $(IMAGE_OPTIONS) .

# Not part of `make test`: minutes, and root where no engine runs.
test-container: .venv/.installed
	@docker version >/dev/null 2>&1 || .ci/debian-packages docker.io:dockerd debootstrap:debootstrap
	$(BIN)/python -m pytest -n 0 -s -m container tests/container

clean:
	rm -rf .venv .venv-peers build dist *.egg-info bench-results .mypy_cache .ruff_cache .pytest_cache .hypothesis
