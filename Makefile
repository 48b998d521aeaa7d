# Everything runs in .venv, which is made on first use. `make help` lists the targets.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PACKAGES = metrics callbacks tracking

.DEFAULT_GOAL := help
.PHONY: help install demo test test-fast check mutation docs bench gpu clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 12

install: $(STAMP) ## make .venv and install everything into it

$(STAMP): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed and was not found; set PYTHON=/path/to/python"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	@touch $(STAMP)

demo: $(STAMP) ## train on the built-in corpus through `mlflow run`, show scores and text
	@PATH="$(CURDIR)/$(BIN):$$PATH" sh scripts/demo.sh

test: $(STAMP) ## run the tests and the examples of the docstrings
	$(BIN)/python -m pytest -n 2 --dist worksteal

test-fast: $(STAMP) ## the same without the tests that start processes (tests/runs)
	$(BIN)/python -m pytest -n 2 --dist worksteal tests/unit pipeline datamodules tasks

check: $(STAMP) ## lint, types, import rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

mutation: $(VENV)/.mutation ## plant mistakes in metrics, callbacks and tracking; PACKAGES="metrics callbacks tracking"
	rm -rf mutants
	OMP_NUM_THREADS=1 $(BIN)/python scripts/mutation.py $(foreach package,$(PACKAGES),"pipeline.$(package).*")
	$(BIN)/mutmut results

$(VENV)/.mutation: $(STAMP)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[mutation]'
	@touch $@

docs: $(VENV)/.docs ## build the documentation site in docs/_build/html
	rm -rf docs/api
	$(BIN)/sphinx-build --fail-on-warning --quiet --jobs auto docs docs/_build/html

$(VENV)/.docs: $(STAMP)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[docs]'
	@touch $@

bench: $(STAMP) ## speed against plain baselines
	$(BIN)/python benchmarks/lm_step.py
	$(BIN)/python benchmarks/tagging_step.py
	$(BIN)/python benchmarks/vectors.py
	$(BIN)/python benchmarks/ngrams.py

gpu: $(if $(GPU_PYTHON),,$(STAMP)) ## tests, benchmarks and trainings for a GPU machine; PARTS="tests training parts medium awd"
	PYTHON=$${GPU_PYTHON:-$(BIN)/python} sh scripts/gpu.sh $(PARTS)

clean: ## remove .venv and caches (runs, data and mlflow.db stay)
	rm -rf $(VENV) mutants .pytest_cache .mypy_cache .ruff_cache .import_linter_cache build docs/_build docs/api *.egg-info
