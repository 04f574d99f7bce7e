# Everything here works from a fresh clone: the first target that runs installs the tested versions into .venv.
#
#   make demo    evaluate two trained methods and three floors on the embedded data set, print the comparison table
#   make test    run the tests
#   make lint    style and types
#   make wheel   build wheel and source archive into dist/
#   make clean   remove what the other targets made, the environment included
#
# Another interpreter: make PYTHON=/path/to/python3.12 demo

SHELL := /bin/bash
.DELETE_ON_ERROR:
.PHONY: demo test lint wheel clean

NEW_ENOUGH := -c 'import sys; sys.exit(sys.version_info < (3, 11))'
# The first of these that is new enough; python3 if none is, so that there is something to name in the complaint.
PYTHON ?= $(or $(firstword $(foreach python,python3 python3.11 python3.12 python3.13,\
	$(shell $(python) $(NEW_ENOUGH) 2>/dev/null && echo $(python)))),python3)

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq install --constraint constraints.txt

# Two processes of one thread each, on two cores and on more.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist loadscope --quiet

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) $(NEW_ENOUGH) 2>/dev/null || { \
		echo "fssbench needs Python 3.11 or newer, and $(PYTHON) is $$($(PYTHON) --version 2>&1 | tail -n 1)"; \
		echo "  try: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)"; exit 2; } >&2
	@echo "installing the tested versions into $(VENV) (once; a minute or two)"
	@$(PYTHON) -m venv $(VENV)
	@# The build backend comes first, in its tested version too, so that pip need not fetch another one.
	@$(PIP) hatchling
	@$(PIP) --no-build-isolation --editable '.[dev]'
	@touch $@

DEMO := runs/demo
# The slowest first: two at a time, of one thread each, keep two cores busy to the end.
METHODS := asnet hsnet prototype copy-mask all-foreground

demo: $(READY)
	@$(MAKE) --no-print-directory --jobs 2 $(METHODS:%=demo-%)
	$(BIN)/fssbench table --dataset shapes20i --source measured --runs $(DEMO)

demo-%: $(READY)
	@set -o pipefail; export OMP_NUM_THREADS=1; \
	(set -x; $(BIN)/fssbench eval --method $* --dataset shapes20i --fold all --shots 1 \
		--out $(DEMO)/$* --overwrite) 2>&1 | sed 's/^/$*: /'

test: $(READY)
	$(PYTEST)

lint: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

wheel: $(READY)
	$(BIN)/python -m build --no-isolation

clean:
	rm -rf $(VENV) dist build runs/demo .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
