# Every target sets up what it needs from a bare clone. `make help` lists them.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
RUST_SOURCES := $(shell find crates -name '*.rs' -o -name Cargo.toml) Cargo.toml Cargo.lock

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-long check lint bench docs wheel clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  \1\t/' | expand -t 16

setup: $(STAMP) ## build Interlock into .venv

$(STAMP): pyproject.toml $(RUST_SOURCES)
	@bash tools/prerequisites.sh $(PYTHON)
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test,docs]'
	@touch $@

demo: setup ## the main job on both planes: an agent works, then misbehaves
	@$(BIN)/python examples/demo/demo.py

test: setup ## the tests, as CI runs them
	$(BIN)/python -m pytest

test-long: setup ## the same with the long counts (hours)
	INTERLOCK_LONG=1 $(BIN)/python -m pytest --timeout=14400

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

wheel: setup ## a wheel that carries everything
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .
	@ls dist/*.whl

clean: ## remove what was built
	rm -rf $(VENV) target build dist site src/interlock/_bin src/interlock/*.so
