# Every target prepares what it needs, with nothing but python3 on the machine.
#   make test PYTHON=python3.13 VENV=.venv313     another interpreter, beside the first

VENV ?= .venv
BIN := $(VENV)/bin
SHELL := /bin/bash

# The newest Python that can make a virtual environment, else the newest one at all.
find_python = for p in python3.14 python3.13 python3.12 python3.11 python3; do \
	"$$p" -c 'import sys; sys.version_info >= (3, 11) or sys.exit(1); $(1)' >/dev/null 2>&1 \
	&& echo "$$p" && break; done
PYTHON ?= $(shell ($(call find_python,import ensurepip, venv)) | grep . || ($(call find_python,pass)))

.DEFAULT_GOAL := help
.PHONY: help demo test lint types check format bench lock clean

help: ## Say what there is to make
	@grep -hE '^[a-z]+:.*## ' Makefile | sed -E 's/:.*## /\t/' | expand -t 10

demo: $(VENV)/.runtime ## Run the shipped workflow, without a key or network
	@$(BIN)/stretto run account_analysis -i account_id=ACC-1188 --model offline:15

test: $(VENV)/.dev ## Run the tests
	@$(BIN)/pytest -n auto

lint: $(VENV)/.dev ## Look for faults and for format
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check

types: $(VENV)/.dev ## Check the types, with mypy and pyright
	@$(BIN)/mypy
	@PYRIGHT_PYTHON_IGNORE_WARNINGS=1 $(BIN)/pyright --pythonpath $(BIN)/python

check: lint types test ## Everything a change has to pass

format: $(VENV)/.dev ## Repair format and what can be repaired
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

bench: $(VENV)/.dev ## Measure
	@$(BIN)/python -m benchmarks

lock: ## Write requirements.lock anew (needs uv)
	uv pip compile pyproject.toml --group dev --universal --python-version 3.11 --upgrade \
		--no-emit-index-url --no-annotate --no-header --quiet -o requirements.lock

clean: ## Remove the environment and what tools left behind
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage htmlcov

# uv is faster, but knows nothing of pip's settings: where it cannot install, pip does.
define install
	@$(BIN)/python -c pass 2>/dev/null || $(MAKE) --no-print-directory venv
	@if command -v uv >/dev/null && uv pip install --quiet --python $(BIN)/python $(1); then :; else \
		$(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip -q || exit 1; \
		echo "Installing into $(VENV) with pip"; \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1' \
		&& $(BIN)/python -m pip install --quiet --disable-pip-version-check $(1); fi
	@touch $@
endef

$(VENV)/.runtime: pyproject.toml requirements.lock
	$(call install,-c requirements.lock -e .)

$(VENV)/.dev: pyproject.toml requirements.lock
	$(call install,-c requirements.lock -e . --group dev)
	@touch $(VENV)/.runtime

.PHONY: venv
venv:
	@"$(or $(PYTHON),false)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "Stretto needs Python 3.11 or newer; '$(or $(PYTHON),python3)' is not."; \
		echo "Install one, or name it: make test PYTHON=/path/to/python3"; exit 1; }
	@"$(PYTHON)" -m venv --clear $(VENV) || { rm -rf $(VENV); \
		echo "$(PYTHON) cannot make a virtual environment."; \
		echo "On Debian and Ubuntu: apt install python3-venv"; exit 1; }
