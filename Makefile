# Every target sets up what it needs from a bare clone. `make help` lists them.
SHELL := /bin/bash
# The first Python that is new enough: .venv's own, else `python3`, else one with its version in its name (Ubuntu 22.04 has it so).
PYTHON ?= $(firstword $(foreach python,$(BIN)/python python3 python3.14 python3.13 python3.12 python3.11,\
	$(shell $(python) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $(python))) python3)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
RUST_SOURCES := $(shell find crates -name '*.rs' -o -name Cargo.toml) Cargo.toml Cargo.lock

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-long races clients matrix opa agentdojo check lint bench docs sdist wheel clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  \1\t/' | expand -t 16

setup: $(STAMP) ## build Interlock into .venv

$(STAMP): pyproject.toml $(RUST_SOURCES)
	@bash tools/prerequisites.sh $(PYTHON)
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "building Interlock into $(VENV): some minutes at first, seconds later"
	@# The stamp is as old as the build's beginning: a source that changes meanwhile is newer.
	@touch $@.begun
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test,docs]'
	@# An editable install compiles nothing, and where PYTHONDONTWRITEBYTECODE is set each start would: 60 ms.
	$(BIN)/python -m compileall -q -j 0 src
	@mv $@.begun $@

demo: setup ## the main job on both planes: an agent works, then misbehaves
	@$(BIN)/python examples/demo/demo.py

test: setup ## the tests; JOBS=2 shares them between two processes, INTERLOCK_TURN=0 or 1 takes half of the rows for two users, as CI does
	$(BIN)/python -m pytest $(if $(JOBS),--numprocesses $(JOBS) --dist loadfile --no-loadscope-reorder --durations 30)

test-long: setup ## the same with the long counts (hours)
	INTERLOCK_LONG=1 $(BIN)/python -m pytest --timeout=14400

races: setup ## every race with 10⁶ tries, one after the other (hours); RACES='-k bound' chooses
	INTERLOCK_LONG=1 $(BIN)/python -m pytest -s -m race --timeout=14400 $(RACES)

clients: setup ## the table of network clients; brings those that are not installed; ROWS="-k curl" chooses
	bash tools/clients.sh
	$(BIN)/python -m pytest -rs tests/workloads/test_clients.py $(ROWS)

matrix: setup ## clients and servers from the registries through the gateway, one table: docs/compatibility.md; ROWS='-k inspector' chooses
	INTERLOCK_MATRIX_PAGE=$(if $(ROWS),,docs/compatibility.md) $(BIN)/python -m pytest -m matrix tests/matrix $(ROWS)

agentdojo: setup ## AgentDojo's banking and slack through the gateway, without a model, under several policies; some minutes
	bash tests/agentdojo.sh
	$(BIN)/python -m tests.agentdojo build/agentdojo/bin/python

opa: ## the OPA server that tests of Rego ask, in build/opa; needs Go
	bash tests/opa.sh

check: lint test ## lint, types, floors, tests

lint: setup ## ruff, mypy --strict, import floors, rustfmt, clippy
	$(BIN)/ruff check src tests bench examples
	$(BIN)/mypy
	$(BIN)/lint-imports
	cargo fmt --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cargo test --workspace --locked --quiet

bench: setup ## ratios to native and to direct, in one run
	$(BIN)/python -m bench

docs: setup ## the documentation site, built offline into site/
	$(BIN)/mkdocs build --strict --quiet
	@echo "site/index.html"

sdist: setup ## the source distribution, in dist/
	@log=$$($(BIN)/python -m build --sdist --outdir dist . 2>&1) || { echo "$$log" >&2; exit 1; }
	@ls dist/*.tar.gz

wheel: setup ## the source distribution, and from it one wheel for Python 3.11 and later, in dist/
	@rm -rf dist
	@bash tools/package.sh $(BIN)/python dist
	@ls dist/*.whl

clean: ## remove what was built
	rm -rf $(VENV) target build dist site src/interlock/_bin src/interlock/*.so
