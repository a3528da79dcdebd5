# Two commands: `make run` runs the main job on the embedded default, `make test` passes the tests.
# Everything lives in .venv; the plain pip lines for systems without make stand in README.md.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
TEXT ?= Eine Blume auf der Wiese
CONFIG ?= dada

.PHONY: run test lint types check clean

$(VENV)/.run: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "aipipe needs Python 3.11 or newer; name one with make PYTHON=python3.12 run"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --quiet -e ".[embedded]"
	@touch $@

$(VENV)/.dev: $(VENV)/.run
	$(BIN)/python -m pip install --disable-pip-version-check --quiet -e ".[all,dev]"
	@touch $@

run: $(VENV)/.run
	$(BIN)/aipipe models fetch --yes
	$(BIN)/aipipe run $(CONFIG) "$(TEXT)" --mode embedded

test: $(VENV)/.dev
	$(BIN)/python -m pytest -n auto --dist loadfile

lint: $(VENV)/.dev
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/lint-imports

types: $(VENV)/.dev
	$(BIN)/mypy

check: lint types test

clean:
	rm -rf $(VENV) build dist *.egg-info
