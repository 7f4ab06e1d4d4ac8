# Everything a person types. `make nightly` and `make test` set up what they need themselves.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
VAR := $(or $(SCORING_VAR_DIR),$(CURDIR)/var)

# The first Python that the locks cover; a pyenv shim may exist without its Python, so each is tried.
PYTHON ?= $(shell for python in python3.12 python3.13 python3.11 python3; do \
	$$python -c 'import sys, venv; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null \
	&& echo $$python && break; done)

# uv, Airflow and matplotlib want a home to write to, also for a service account that has none.
ifeq ($(and $(HOME),$(wildcard $(HOME)/.)),)
export HOME := $(VAR)/home
$(shell mkdir -p "$(HOME)")
endif

export AIRFLOW_HOME := $(VAR)/airflow
export AIRFLOW__CORE__DAGS_FOLDER := $(CURDIR)/dags
export AIRFLOW__CORE__LOAD_EXAMPLES := False
export AIRFLOW__CORE__EXECUTOR := LocalExecutor
export AIRFLOW__CORE__PARALLELISM := 4
# For every target: the first command that meets the DAG decides, and a paused one lets no backfill begin.
export AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION := False
export AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL := 30
# The scheduler may start a task before the API server answers; five seconds are too few on a small machine.
export AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT := 60
export AIRFLOW__WORKERS__EXECUTION_API_RETRIES := 10
export SCORING_VAR_DIR := $(VAR)
export TF_CPP_MIN_LOG_LEVEL ?= 2

# Airflow's own tables live beside the warehouse, in a database of their own.
AIRFLOW_METADATA = metadata=$$($(BIN)/scoring up --url airflow); export AIRFLOW__DATABASE__SQL_ALCHEMY_CONN="$$metadata"; \
	mkdir -p "$(AIRFLOW_HOME)"; $(BIN)/airflow db check-migrations --migration-wait-timeout 0 >/dev/null 2>&1 \
	|| $(BIN)/airflow db migrate >"$(AIRFLOW_HOME)/db-migrate.log" 2>&1

.PHONY: help setup nightly airflow test test-slow bench bench-warehouse docs lint fix lock clean

help: ## This list
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed -E 's/:.*## /\t/' | expand -t 17

$(INSTALLED): requirements-dev.lock requirements-uv.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 is needed (set PYTHON=... to name it)" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-uv.lock
	@# uv is several times as quick; pip also knows a mirror that is set in pip.conf only.
	$(BIN)/uv pip sync --quiet --python $(BIN)/python requirements-dev.lock \
		|| $(BIN)/python -m pip install --require-hashes -r requirements-dev.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --offline --editable .
	@touch $@

setup: $(INSTALLED) ## Install the locked dependencies into .venv

nightly: $(INSTALLED) ## Run the nightly DAG for every landed night that has not run (synthetic nights if none landed)
	@$(BIN)/scoring up
	@$(BIN)/scoring migrate
	@$(BIN)/scoring phantom --if-empty
	@$(AIRFLOW_METADATA); nights=$$($(BIN)/scoring pending); failed=; for night in $$nights; do \
		log="$(AIRFLOW_HOME)/dags-test-$$night.log"; \
		echo "nightly_scoring $$night (log: $$log)"; \
		$(BIN)/airflow dags test nightly_scoring --conf "{\"batch_date\": \"$$night\"}" >"$$log" 2>&1 \
			|| failed="$$failed $$night"; \
	done; \
	$(BIN)/scoring status --digest; \
	if [ -n "$$failed" ]; then echo "failed nights:$$failed; why stands above and on their pages" >&2; exit 1; fi

airflow: $(INSTALLED) ## Start Airflow (scheduler, UI on port 8080) with its metadata in PostgreSQL; Ctrl-C stops it
	@$(BIN)/scoring up
	@$(BIN)/scoring migrate
	@$(BIN)/scoring phantom --if-empty
	@$(AIRFLOW_METADATA); \
		$(BIN)/airflow pools set gpu 1 "One slot a GPU, or one engine at a time on the CPU" >/dev/null; \
		PATH="$(CURDIR)/$(BIN):$$PATH" exec airflow standalone

test: lint ## Lint, type-check, all tests but the slow ones
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow" --ignore=tests/benchmarks

test-slow: $(INSTALLED) ## The tests that take minutes
	$(BIN)/python -m pytest -m slow --ignore=tests/benchmarks --timeout 3600

bench: $(INSTALLED) ## Benchmarks: ratios side by side in one run
	$(BIN)/python -m pytest tests/benchmarks --ignore=tests/benchmarks/test_warehouse.py --timeout 3600 \
		--benchmark-columns=min,median,rounds --benchmark-sort=name --benchmark-time-unit=ms

bench-warehouse: $(INSTALLED) ## Documented queries and nightly refresh with 1 and 10 million predictions, against their limits
	$(BIN)/python -m pytest tests/benchmarks/test_warehouse.py --timeout 14400

docs: $(INSTALLED) ## Write docs/dictionary.md, er.md and queries.md anew, from a fresh synthetic warehouse
	WRITE_DOCS=1 $(BIN)/python -m pytest -q tests/acceptance/test_docs.py
	@git --no-pager diff --stat docs

lint: $(INSTALLED) ## Ruff, mypy strict, import arrows, SQL
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/sqlfluff lint --disable-progress-bar sql

fix: $(INSTALLED) ## Format and mend what ruff and sqlfluff can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/sqlfluff fix --disable-progress-bar sql

lock: $(INSTALLED) ## Resolve the dependencies anew (hashes, no registry addresses)
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 \
		--extra s3 --extra sftp --upgrade pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 \
		--extra s3 --extra sftp --group dev pyproject.toml -c requirements.lock -o requirements-dev.lock

clean: ## Stop the embedded server and delete var/ (landing, warehouse, reports) and caches; the installation stays
	@if [ -x $(BIN)/scoring ]; then $(BIN)/scoring down; fi
	rm -rf "$(VAR)" .pytest_cache .mypy_cache .ruff_cache .hypothesis
