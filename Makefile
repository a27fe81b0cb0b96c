.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
INSTALLED_DEV := $(VENV)/.installed-dev
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable

.PHONY: help run test test-fast soak lint format bench docs site image chart clean

help: ## list the tasks
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# pip comes last: without it the environment was left half made, and is made again.
$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Aura needs Python 3.11 or newer; name one that you have: make PYTHON=python3.12 run"; exit 1; }
	@$(PYTHON) -m venv $(VENV)

$(INSTALLED): pyproject.toml constraints.txt | $(BIN)/pip
	@echo "installing into $(VENV) (once) ..."
	@$(PIP_INSTALL) .
	@touch $@

$(INSTALLED_DEV): pyproject.toml constraints.txt | $(BIN)/pip
	@echo "installing into $(VENV) (once) ..."
	@$(PIP_INSTALL) '.[dev]'
	@touch $(INSTALLED) $@

run: $(INSTALLED) ## serve the quickstart on 127.0.0.1:8080
	@$(BIN)/python examples/quickstart/run.py

test: $(INSTALLED_DEV) ## run the suite, without what only `make soak` runs
	@$(BIN)/python -m pytest -n 2 -m "not soak"

test-fast: $(INSTALLED_DEV) ## run everything but the slow tests
	@$(BIN)/python -m pytest -n 2 -m "not slow and not soak"

soak: $(INSTALLED_DEV) ## run what takes minutes or installs clients
	@$(BIN)/python -m pytest -n 2 -m soak

lint: $(INSTALLED_DEV) ## ruff, formatting, mypy --strict, import-linter
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

format: $(INSTALLED_DEV) ## put the code in shape
	@$(BIN)/ruff check --fix --quiet .
	@$(BIN)/ruff format .

bench: $(INSTALLED_DEV) ## measure; prints ratios against things measured in the same run
	@$(BIN)/python -m benchmarks

docs: $(INSTALLED_DEV) ## write the generated references anew
	@$(BIN)/python -m docs.references.configuration docs/configuration.md
	@$(BIN)/python -m docs.references.command_line docs/cli.md
	@$(BIN)/python -m docs.references.providers docs/providers.md
	@$(BIN)/python -m docs.references.openapi docs/openapi.md
	@$(BIN)/python -m docs.references.chart
	@$(BIN)/python -m docs.references.pictures
	@$(BIN)/aura schema > examples/agent.schema.json

site: $(INSTALLED_DEV) ## build the documentation into site/
	@$(BIN)/zensical build --clean --strict --config-file mkdocs.yml

image: ## build the container image
	docker build --build-arg REVISION=$$(git rev-parse HEAD) --tag aura:$$(sed -n 's/^__version__ = "\(.*\)"/\1/p' aura_py/__init__.py) .

chart: $(INSTALLED_DEV) ## lint, render and package the chart into dist/, with helm
	@helm lint --strict deployment/helm/aura --values deployment/helm/aura/values-dev.yaml
	@helm template aura deployment/helm/aura --values deployment/helm/aura/values-prod.yaml > /dev/null
	@helm package deployment/helm/aura --destination dist

clean: ## remove what the other tasks made
	@rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis
