# Set-up and the main jobs. PYTHON is any Python from 3.11 on; everything installs into VENV.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# What is installed follows CONSTRAINTS, so that installs are reproducible and torch is its CPU build.
CONSTRAINTS ?= constraints.txt
# Extras of the package that tests and checks are run with.
EXTRAS ?= dev
# Processes that share the tests.
JOBS ?= 2
# Modules are compiled when they are first imported, and most of 23,000 never are.
PIP_INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check --no-compile --constraint $(CONSTRAINTS)
PYTEST := $(BIN)/pytest -n $(JOBS) --dist worksteal

.PHONY: quickstart test test-slow test-all test-min fuzz docs lint hooks release-check clean
.NOTPARALLEL:
# Without compiled modules beside the sources, every process that a test starts compiles the package again.
unexport PYTHONDONTWRITEBYTECODE

quickstart: $(VENV)/.quickstart
	$(BIN)/geocell quickstart quickstart

# Flags of pytest-cov for the next two: coverage costs a quarter more time.
COVER ?=

# The tests but the slow ones.
test: $(VENV)/.dev
	$(PYTEST) -m "not slow" $(COVER)

test-slow: $(VENV)/.dev
	$(PYTEST) -m slow $(COVER)

# Both, and the coverage of both together. Fails below the limit in pyproject.toml.
test-all:
	$(MAKE) test COVER="--cov --cov-report= --cov-fail-under=0"
	$(MAKE) test-slow COVER="--cov --cov-append --cov-report=term"

# Mutated files for every reader; an hour by FUZZ_MINUTES=60.
FUZZ_MINUTES ?= 2
fuzz: $(VENV)/.dev
	$(BIN)/python -m fuzz --minutes $(FUZZ_MINUTES) --jobs $(JOBS)

# The tests with the lowest versions that pyproject.toml admits.
test-min:
	$(MAKE) test VENV=$(VENV)-min CONSTRAINTS=constraints-min.txt EXTRAS=test

# The pages into docs/_build/html; a warning is an error.
docs: $(VENV)/.dev
	$(BIN)/sphinx-build -q -W -E docs docs/_build/html

lint: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# Runs what `lint` runs before each commit.
hooks: $(VENV)/.dev
	$(BIN)/pre-commit install

# Builds the distributions, checks them, and runs the quickstart from the wheel in an environment of its own.
release-check: $(VENV)/.release
	$(BIN)/python tools/release_check.py --constraints $(CONSTRAINTS)

$(VENV)/.torch: $(CONSTRAINTS)
	$(PYTHON) -m venv $(VENV)
	# torch first and exactly: a later resolution would prefer a build with gigabytes of CUDA
	$(PIP_INSTALL) "$$(grep '^torch==' $(CONSTRAINTS))"
	touch $@

$(VENV)/.quickstart: $(VENV)/.torch pyproject.toml
	$(PIP_INSTALL) --editable '.[quickstart]'
	touch $@

$(VENV)/.dev: $(VENV)/.torch pyproject.toml
	$(PIP_INSTALL) --editable '.[$(EXTRAS)]'
	touch $@ $(VENV)/.quickstart

$(VENV)/.release:
	$(PYTHON) -m venv $(VENV)
	$(PIP_INSTALL) "build" "readme-renderer[md]" "twine"
	touch $@

clean:
	rm -rf $(VENV) $(VENV)-min quickstart dist docs/_build .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .hypothesis fuzz-findings
