# Set-up and the main jobs. PYTHON is any Python from 3.11 on; everything installs into VENV.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# What is installed follows constraints.txt, so that installs are reproducible and torch is its CPU build.
# Processes that share the tests.
JOBS ?= 2
PIP_INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt
PYTEST := $(BIN)/pytest -n $(JOBS) --dist worksteal

.PHONY: quickstart test test-slow test-all coverage lint clean
.NOTPARALLEL:

quickstart: $(VENV)/.quickstart
	$(BIN)/geocell quickstart quickstart

# The tests but the slow ones.
test: $(VENV)/.dev
	COVERAGE_FILE=.coverage.fast $(PYTEST) -m "not slow" --cov --cov-report= --cov-fail-under=0

test-slow: $(VENV)/.dev
	COVERAGE_FILE=.coverage.slow $(PYTEST) -m slow --cov --cov-report= --cov-fail-under=0

# What `test` and `test-slow` covered together; fails below the limit in pyproject.toml.
coverage: $(VENV)/.dev
	$(BIN)/coverage combine --keep --data-file=.coverage .coverage.fast .coverage.slow
	$(BIN)/coverage report

test-all: test test-slow coverage

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
	rm -rf $(VENV) quickstart .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .hypothesis
