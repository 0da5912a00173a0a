# RetinaGAN: `make demo` starts the app, `make test` runs every test. Both set up .venv first (seconds the second time).
PYTHON ?= python3
PORT ?= 8501
# HOST=0.0.0.0 lets other machines in; the app has no log-in.
HOST ?= localhost
MODEL ?= checkpoints/default
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test test-large setup bench clean help

help:  ## what can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 14

$(VENV)/.app: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "RetinaGAN needs Python 3.11 or newer, this is " + sys.version.split()[0] + "; name another with make PYTHON=python3.12")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check -q -r requirements.txt
	@touch $@

$(VENV)/.test: requirements-test.txt $(VENV)/.app
	$(BIN)/python -m pip install --disable-pip-version-check -q -r requirements-test.txt
	@touch $@

setup: $(VENV)/.test  ## .venv with everything that app, training and tests need

demo: $(VENV)/.app  ## start the app (PORT=8501, HOST=localhost, MODEL=checkpoints/default)
	@echo "RetinaGAN: http://$(HOST):$(PORT)"
	@RETINAGAN_MODEL=$(MODEL) $(BIN)/streamlit run web_demo.py --server.address $(HOST) --server.port $(PORT) --server.headless true

test: setup  ## run every test (browser tests need a chromium on the PATH)
	$(BIN)/python -m pytest

test-large: setup  ## the slow tests: import of full-size original checkpoints (8 GB of disk), ten sessions for a minute
	$(BIN)/python -m pytest tests/large --no-cov -s

bench: setup  ## speed of sampling and rendering, as ratios and medians
	$(BIN)/python -m tests.bench

clean:  ## remove .venv and caches
	rm -rf $(VENV) .pytest_cache .coverage
