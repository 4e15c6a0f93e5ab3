# `make demo` and `make test` set themselves up; nothing else is needed than Python 3.11+ and a C++ compiler.
PYTHON ?= python3
# Of the tests: each takes 1.5 GB. One thread for each, or they wait for one another half of the time.
JOBS ?= 2
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
DEMO_INDEX := .demo/index

.PHONY: demo test check lint format man clean

demo: $(READY)
	@BIN=$(BIN) INDEX=$(DEMO_INDEX) sh benchmarks/demo.sh

test: $(READY)
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadfile

check: lint test

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# The manual page, from what --help says.
man: $(READY)
	$(BIN)/python docs/man_page.py > docs/notesearch.1

# torch goes first, so that nothing pulls in another release of it. On Linux, PyPI's is the CUDA build; where a CPU
# build is to be had (PIP_FIND_LINKS, PIP_INDEX_URL), pip takes that.
$(READY): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) .demo build dist *.egg-info .mypy_cache .ruff_cache .import_linter_cache .hypothesis
