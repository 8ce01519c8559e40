# make demo | test | bench | fuzz. Each sets up what it needs in .venv; PYTHON names another Python (3.11 or newer).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
export PIP_CONSTRAINT := $(CURDIR)/constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test check bench fuzz programs clean

demo: $(READY)
	@.ci/programs demo
	@$(BIN)/mqproxy demo

test: $(READY)
	@.ci/programs test
	$(MAKE) check
	$(BIN)/python -m pytest

# Everything that is fast: format, lint, types, import contracts.
check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(READY)
	@.ci/programs bench
	$(BIN)/python -m tests.bench $(BENCH)

fuzz: $(READY)
	$(BIN)/pip install --quiet --editable '.[fuzz]'
	$(BIN)/python tests/fuzz/fuzz_parser.py -max_total_time=$(or $(SECONDS),60)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "mqproxy needs Python 3.11 or newer; name one with make PYTHON=...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --editable '.[dev,http,mysql,postgresql]'
	@touch $@

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
