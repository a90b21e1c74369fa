# `make reproduce` and `make test` work on a bare machine with Python 3.11 or later; both install into .venv.

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
SOURCES = setup.cfg pyproject.toml
PYTEST = $(BIN)/python -m pytest --numprocesses=auto --maxprocesses=4 --dist=loadfile
BACKENDS = jax torch
BACKEND_TESTS = tests/backends tests/layers tests/fidelity tests/training tests/reproductions/test_games.py

.PHONY: reproduce test test-backends test-slow lint benchmark benchmark-growth docs clean

reproduce: $(VENV)/.installed
	$(BIN)/kseg reproduce metricgan --metric pesq

test: $(VENV)/.installed lint
	KERAS_BACKEND=tensorflow $(PYTEST)

# What is computed otherwise on other backends, on those that are installed.
test-backends: $(VENV)/.installed
	@for backend in $(BACKENDS); do \
	    if $(BIN)/python -c "import $$backend" 2> /dev/null; then \
	        echo "Tests on $$backend:"; \
	        KERAS_BACKEND=$$backend $(PYTEST) $(BACKEND_TESTS) || exit 1; \
	    else \
	        echo "No tests on $$backend, which is not installed in $(VENV); README.md says how, under Backends."; \
	    fi; \
	done

test-slow: $(VENV)/.installed
	KERAS_BACKEND=tensorflow $(BIN)/python -m pytest -m slow

lint: $(VENV)/.installed
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m mypy

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
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache
