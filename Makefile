# Everything a person types. `make nightly` and `make test` set up what they need themselves.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
VAR := $(or $(SCORING_VAR_DIR),$(CURDIR)/var)

# The first Python that the locks cover. A pyenv shim may exist without its Python, so each one is tried.
PYTHON ?= $(shell for python in python3.12 python3.13 python3.11 python3; do \
	$$python -c 'import sys, venv; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null \
	&& echo $$python && break; done)

# uv, Airflow and matplotlib need a home directory to write to, also for a service account without one.
ifeq ($(and $(HOME),$(wildcard $(HOME)/.)),)
export HOME := $(VAR)/home
$(shell mkdir -p "$(HOME)")
endif

export AIRFLOW_HOME := $(VAR)/airflow
export AIRFLOW__CORE__DAGS_FOLDER := $(CURDIR)/dags
export AIRFLOW__CORE__LOAD_EXAMPLES := False
export AIRFLOW__CORE__EXECUTOR := LocalExecutor
export AIRFLOW__CORE__PARALLELISM := 4
# Set for every target: the first command that parses a DAG decides, and no backfill of a paused DAG starts.
export AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION := False
export AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL := 30
# The scheduler may start a task before the API server responds; the default of five seconds is too short here.
export AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT := 60
export AIRFLOW__WORKERS__EXECUTION_API_RETRIES := 10
export SCORING_VAR_DIR := $(VAR)
export TF_CPP_MIN_LOG_LEVEL ?= 2

# Airflow's own tables are in a separate database of the embedded server.
AIRFLOW_METADATA = metadata=$$($(BIN)/scoring up --url airflow); export AIRFLOW__DATABASE__SQL_ALCHEMY_CONN="$$metadata"; \
	mkdir -p "$(AIRFLOW_HOME)"; $(BIN)/airflow db check-migrations --migration-wait-timeout 0 >/dev/null 2>&1 \
	|| $(BIN)/airflow db migrate >"$(AIRFLOW_HOME)/db-migrate.log" 2>&1

# Two test processes, in the order of the files. Tests that share fixtures run in one of them (see tests/conftest.py). A
# lost process ends the run with the name of its test instead of being replaced.
PYTEST := $(BIN)/python -m pytest --durations=25 --durations-min=1
PARALLEL := -n 2 --no-loadscope-reorder --max-worker-restart=0
# CI measures branch coverage over both `make test` and `make test-all` (COVERAGE=1).
COVERAGE_FLOOR := 97
ifdef COVERAGE
COVERED := --cov --cov-append --cov-report=
FLOOR := --cov --cov-append --cov-report=term:skip-covered --cov-fail-under=$(COVERAGE_FLOOR)
endif

.PHONY: help setup nightly airflow test-unit test test-all bench bench-warehouse docs site lint lint-python lint-sql fix lock clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed -E 's/:.*## /\t/' | expand -t 17

$(INSTALLED): requirements-dev.lock requirements-uv.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 is needed (set PYTHON=... to name it)" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-uv.lock
	@# uv is several times faster. pip is the fallback because it also reads a mirror that only pip.conf names.
	$(BIN)/uv pip sync --quiet --python $(BIN)/python requirements-dev.lock \
		|| $(BIN)/python -m pip install --require-hashes -r requirements-dev.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --offline --editable .
	@touch $@

setup: $(INSTALLED) ## Install the locked dependencies into .venv

nightly: $(INSTALLED) ## Run the nightly DAG for every batch that has not run (synthetic batches if there are none)
	@$(BIN)/scoring up
	@$(BIN)/scoring migrate
	@$(BIN)/scoring phantom --if-empty
	@$(AIRFLOW_METADATA); batches=$$($(BIN)/scoring pending); failed=; for batch in $$batches; do \
		log="$(AIRFLOW_HOME)/dags-test-$$batch.log"; \
		echo "nightly_scoring $$batch (log: $$log)"; \
		$(BIN)/airflow dags test nightly_scoring --conf "{\"batch_date\": \"$$batch\"}" >"$$log" 2>&1 \
			|| failed="$$failed $$batch"; \
	done; \
	$(BIN)/scoring status --checksum; \
	if [ -n "$$failed" ]; then echo "failed batches:$$failed; see the messages above and their reports" >&2; exit 1; fi

airflow: $(INSTALLED) ## Start Airflow (scheduler, UI on port 8080) with its metadata in PostgreSQL; Ctrl-C stops it
	@$(BIN)/scoring up
	@$(BIN)/scoring migrate
	@$(BIN)/scoring phantom --if-empty
	@$(AIRFLOW_METADATA); \
		$(BIN)/airflow pools set gpu 1 "One slot per GPU, or one engine at a time on the CPU" >/dev/null; \
		PATH="$(CURDIR)/$(BIN):$$PATH" exec airflow standalone

test-unit: $(INSTALLED) ## Unit tests, without PostgreSQL, TensorFlow, Great Expectations and Airflow
	$(PYTEST) $(PARALLEL) -q -p tests.lib.pure -m "not slow" tests/unit

test: lint ## Lint, type-check, and everything that a change can break
	$(PYTEST) $(PARALLEL) $(COVERED) -m "not slow" --ignore=tests/benchmarks

test-all: $(INSTALLED) ## The remaining tests: scheduler, coverage simulation, training to convergence
	$(PYTEST) $(PARALLEL) $(FLOOR) -m "slow or hypothesis" --hypothesis-profile thorough --timeout 3600 --ignore=tests/benchmarks

bench: $(INSTALLED) ## Benchmarks: ratios within one run
	$(BIN)/python -m pytest tests/benchmarks --ignore=tests/benchmarks/test_warehouse.py --timeout 3600 \
		--benchmark-columns=min,median,rounds --benchmark-sort=name --benchmark-time-unit=ms

bench-warehouse: $(INSTALLED) ## Example queries and nightly refresh with 1 and 10 million predictions, against their limits
	$(BIN)/python -m pytest tests/benchmarks/test_warehouse.py --timeout 14400

docs: $(INSTALLED) ## Regenerate the generated pages of docs/ from code and a synthetic warehouse
	WRITE_DOCS=1 $(BIN)/python -m pytest -q tests/acceptance/test_docs.py
	@git --no-pager diff --stat docs

site: $(INSTALLED) ## Build the documentation site into var/site; a warning is an error
	$(BIN)/python -m sphinx -W --keep-going -n -q -b html docs "$(VAR)/site"
	@echo "$(VAR)/site/index.html"

lint: $(INSTALLED) ## Ruff, mypy (strict), import rules, SQL
	@$(MAKE) --jobs=2 --output-sync lint-python lint-sql

lint-python:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache
	$(BIN)/mypy

lint-sql:
	$(BIN)/sqlfluff lint --disable-progress-bar --processes 2 sql

fix: $(INSTALLED) ## Format, and fix what ruff and sqlfluff can fix
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/sqlfluff fix --disable-progress-bar sql

lock: $(INSTALLED) ## Resolve the dependencies again (with hashes, without registry addresses)
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 \
		--extra s3 --extra sftp --upgrade pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 \
		--extra s3 --extra sftp --group dev pyproject.toml -c requirements.lock -o requirements-dev.lock

clean: ## Stop the embedded server; delete var/ (landing, warehouse, reports) and caches; keep the installation
	@if [ -x $(BIN)/scoring ]; then $(BIN)/scoring down; fi
	rm -rf "$(VAR)" .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage*
