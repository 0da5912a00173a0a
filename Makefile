# RetinaGAN: `make demo` starts the app, `make test` runs every test. Both set up .venv first (seconds the second time).
PYTHON ?= python3
PORT ?= 8501
# HOST=0.0.0.0 lets other machines in; the app has no log-in.
HOST ?= localhost
MODEL ?= checkpoints/default
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --disable-pip-version-check -q -c constraints.txt

.PHONY: demo check test test-large fuzz setup bench clean help

help:  ## what can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 14

$(VENV)/.app: requirements.txt constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "RetinaGAN needs Python 3.11 or newer, this is " + sys.version.split()[0] + "; name another with make PYTHON=python3.12")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) -r requirements.txt
	@touch $@

$(VENV)/.dev: pyproject.toml $(VENV)/.app
	$(PIP) -e '.[dev]'
	@touch $@

setup: $(VENV)/.dev  ## .venv with everything that app, training, evaluation and tests need

demo: $(VENV)/.app  ## start the app (PORT=8501, HOST=localhost, MODEL=checkpoints/default)
	@echo "RetinaGAN: http://$(HOST):$(PORT)"
	@RETINAGAN_MODEL=$(MODEL) $(BIN)/streamlit run web_demo.py --server.address $(HOST) --server.port $(PORT) --server.headless true

check: setup  ## format, lint, types and the order of the rooms
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

test: setup  ## run every test (browser tests need a chromium on the PATH)
	$(BIN)/python -m pytest --durations=10 --cov=retinagan --cov-report=term

test-large: setup  ## the slow tests: import of full-size original checkpoints (8 GB of disk), ten sessions for a minute, 120 kills
	$(BIN)/python -m pytest tests/large -s

fuzz: setup  ## hostile files, canvas messages and addresses, CASES=100000 a door
	RETINAGAN_FUZZ=$(or $(CASES),100000) $(BIN)/python -m pytest tests/doors

bench: setup  ## how long everything takes here (BENCH='--original --browser', MODEL=checkpoints/default)
	$(BIN)/python -m retinagan bench --model $(MODEL) $(BENCH)

clean:  ## remove .venv and caches
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .coverage
