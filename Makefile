.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: help run test test-fast lint format bench docs clean

help: ## list the tasks
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(STAMP): pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

run: $(STAMP) ## serve the quickstart on 127.0.0.1:8080
	@$(BIN)/python examples/quickstart/run.py

test: $(STAMP) ## run the whole suite
	@$(BIN)/python -m pytest -n 2

test-fast: $(STAMP) ## run everything but the slow tests
	@$(BIN)/python -m pytest -n 2 -m "not slow"

lint: $(STAMP) ## ruff, formatting, mypy --strict, import-linter
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

format: $(STAMP) ## put the code in shape
	@$(BIN)/ruff check --fix --quiet .
	@$(BIN)/ruff format .

bench: $(STAMP) ## measure; prints ratios against things measured in the same run
	@$(BIN)/python -m benchmarks

clean: ## remove what the other tasks made
	@rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis
