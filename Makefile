# `make reproduce` and `make test` work on a bare machine with Python 3.11 or later; both install into .venv.

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
SOURCES = setup.cfg pyproject.toml

.PHONY: reproduce test test-slow lint benchmark benchmark-growth docs clean

reproduce: $(VENV)/.installed
	$(BIN)/kseg reproduce metricgan --metric pesq

test: $(VENV)/.installed lint
	$(BIN)/python -m pytest --numprocesses=auto --maxprocesses=4 --dist=loadfile

test-slow: $(VENV)/.installed
	$(BIN)/python -m pytest -m slow

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

benchmark: $(VENV)/.installed
	$(BIN)/python benchmarks/run.py

benchmark-growth: $(VENV)/.installed
	$(BIN)/python benchmarks/growth.py

docs: $(VENV)/.installed
	$(BIN)/python tools/update_docs.py

$(VENV)/.installed: $(SOURCES)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[test,plot]"
	touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .ruff_cache
