# Few verbs. `make demo` and `make test` make what they need in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
COMPILED := .venv-compiled

.PHONY: demo test check setup bench docs golden test-long compiled test-compiled clean

demo: setup-run  ## Hunt a broken Raft, shrink and show the failure; then hunt the real one.
	$(BIN)/quorate demo
	@echo 'To go on, let your shell know the command:  . $(BIN)/activate'

test: setup check  ## Style, types and every test that takes seconds.
	$(BIN)/python -m pytest -n 2

check: setup  ## Style and types only.
	$(BIN)/ruff format --check src tests hatch_build.py
	$(BIN)/ruff check src tests hatch_build.py
	$(BIN)/mypy

setup: $(VENV)/dev.stamp  ## The environment, with everything that tests need.

setup-run: $(VENV)/run.stamp  ## The environment, with what users need.

$(VENV)/run.stamp: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Quorate needs Python 3.11 or newer: make PYTHON=python3.12")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	touch $@

$(VENV)/dev.stamp: $(VENV)/run.stamp
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@

bench: setup  ## The speed goals, each beside its peer.
	$(BIN)/quorate bench

docs: setup  ## Regenerate the reference from docstrings.
	$(BIN)/python -m tests.regenerate docs

golden: setup  ## Rewrite golden transcripts; commit only changes that you understand.
	$(BIN)/python -m pytest -n 2 tests/golden --rewrite

test-long: setup  ## Campaigns that take minutes.
	$(BIN)/python -m pytest -m long

compiled:  ## An environment of its own, in which the hot modules are machine code.
	test -x $(COMPILED)/bin/python || $(PYTHON) -m venv $(COMPILED)
	QUORATE_COMPILE=1 $(COMPILED)/bin/python -m pip install --quiet --disable-pip-version-check '.[dev]'

test-compiled: setup compiled  ## The compiled package finds what the pure one finds, to the bit.
	$(BIN)/python -m tests.identity > $(COMPILED)/pure.txt
	$(COMPILED)/bin/python -m tests.identity | diff $(COMPILED)/pure.txt -
	$(COMPILED)/bin/python -m pytest tests/check tests/explore tests/simulate tests/test_compiled.py

clean:
	rm -rf $(VENV) $(COMPILED) .mypy_cache .ruff_cache .pytest_cache .hypothesis out
