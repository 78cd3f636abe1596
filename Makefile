# Set-up and the main job. PYTHON is any Python from 3.11 on; everything installs into .venv.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# What is installed follows constraints.txt, so that installs are reproducible and torch is its CPU build.
PIP_INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: quickstart test lint bench clean

quickstart: $(VENV)/.quickstart
	$(BIN)/geocell quickstart quickstart

test: $(VENV)/.dev
	$(BIN)/pytest --cov --cov-report=term

lint: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

$(VENV)/.torch: constraints.txt
	$(PYTHON) -m venv $(VENV)
	# torch first and exactly: a later resolution would prefer a build with gigabytes of CUDA
	$(PIP_INSTALL) "$$(grep '^torch==' constraints.txt)"
	touch $@

$(VENV)/.quickstart: $(VENV)/.torch pyproject.toml
	$(PIP_INSTALL) --editable '.[quickstart]'
	touch $@

$(VENV)/.dev: $(VENV)/.torch pyproject.toml
	$(PIP_INSTALL) --editable '.[dev]'
	touch $@ $(VENV)/.quickstart

clean:
	rm -rf $(VENV) quickstart .mypy_cache .ruff_cache .pytest_cache .hypothesis
