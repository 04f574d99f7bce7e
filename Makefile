# Everything here works from a fresh clone: the first target that runs installs the tested versions into .venv.
#
#   make demo    fssbench demo: three trained methods and a floor in one table, within a minute once it is installed
#   make demo-full  all trained methods and floors on the embedded data set, also FS-CS and under water; minutes
#   make test    run the tests of all behaviour, one case a method against its release; minutes
#   make test-all  run every test
#   make test-long  what test-all leaves out, since smaller tests hold it: plain forms and large inputs of golden cases,
#                variants of ablation tables; minutes
#   make test-random  the tests of make test in another order; SEED=7 for that one again
#   make coverage  the tests of make test, and which lines and branches of fssbench they run; below 92 % is a failure
#   make mutation  change the lines that decide numbers, and see that a test fails; hours, MODULES="metrics.counts" for one,
#                  RECORD=1 to keep the figures in tests/mutation/figures.csv
#   make lint    style, spelling and types
#   make check   evaluate a few methods on the embedded data set, and hold them against benchmarks/baselines
#   make fuzz    fifty times the examples of the property tests, then files from outside changed at random, MINUTES=10
#                long; what breaks a reader goes to tests/fuzz/findings
#   make fuzz-guided  the same by atheris, which looks for new paths (pip install atheris first)
#   make gpu     on a machine with a graphics card: its tests, and short benchmarks into benchmarks/speed/gpu*.csv
#   make check-speed  count what each step of each method does, and hold it against benchmarks/speed/operations.csv;
#                ACCEPT=1 writes what was counted; RATIOS=1 times a few methods, too, in units of a matrix product
#   make soak    kill commands at random moments for ten minutes, and see that nothing is lost; MINUTES=60 for longer
#   make docs    build the documentation as a site, strictly, into build/site
#   make wheel   build wheel and source archive into dist/
#   make lock    write the tested versions into constraints.txt, and with their hashes into locks/, from which all of this is
#                installed; UPGRADE=1 takes newer ones, TORCH=X.Y.Z another torch
#   make clean   remove what the other targets made, the environment included
#
# Another interpreter: make PYTHON=/path/to/python3.12 demo

SHELL := /bin/bash
.DELETE_ON_ERROR:
.PHONY: demo demo-full test test-all test-long test-random coverage mutation lint check fuzz fuzz-guided gpu check-speed soak docs wheel lock clean

NEW_ENOUGH := -c 'import sys; sys.exit(sys.version_info < (3, 11))'
# The first of these that is new enough; python3 if none is, so that there is something to name in the complaint.
PYTHON ?= $(or $(firstword $(foreach python,python3 python3.11 python3.12 python3.13,\
	$(shell $(python) $(NEW_ENOUGH) 2>/dev/null && echo $(python)))),python3)

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq install
# Each file is compared with its hash, and none is built here: that would run what a package brings.
LOCKED := $(PIP) --no-deps --require-hashes --only-binary :all: --requirement

# Two processes of one thread each (tests/conftest.py), on two cores and on more.
# The examples in docstrings are tests, too.
TESTS := pytest --numprocesses 2 --dist loadscope --quiet --doctest-modules tests fssbench
PYTEST := $(BIN)/python -m $(TESTS)

$(READY): pyproject.toml $(wildcard locks/*.txt)
	@$(PYTHON) $(NEW_ENOUGH) 2>/dev/null || { \
		echo "fssbench needs Python 3.11 or newer, and $(PYTHON) is $$($(PYTHON) --version 2>&1 | tail -n 1)"; \
		echo "  try: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)"; exit 2; } >&2
	@echo "installing the tested versions into $(VENV) (once; a minute or two)"
	@$(PYTHON) -m venv $(VENV)
	@# PyTorch's build for processors where pip finds it (an index or folder of its configuration), else the one of the
	@# package index, on Linux with CUDA and ten times as large. A file with another hash is no reason for that one.
	@$(LOCKED) locks/torch-cpu.txt 2> $(VENV)/torch-cpu.txt || { \
		grep -q 'DO NOT MATCH THE HASHES' $(VENV)/torch-cpu.txt && { cat $(VENV)/torch-cpu.txt >&2; exit 1; }; \
		echo "pip finds no build of PyTorch for processors alone; installing the one for graphics cards"; \
		$(LOCKED) locks/torch.txt; }
	@$(LOCKED) locks/runtime.txt --requirement locks/tests.txt
	@$(PIP) --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m pip --disable-pip-version-check check > $(VENV)/check.txt || { cat $(VENV)/check.txt >&2; exit 1; }
	@touch $@

demo: $(READY)
	@$(BIN)/fssbench demo

DEMO := runs/demo-full
# Jobs are METHODS.VARIANT: two at a time, of one thread each, keep two cores busy to the end. The methods of a job are
# evaluated together, so that each image is drawn, and encoded where they share a backbone, once for all of them.
FSS := asnet,panet,pfenet,prototype. hsnet,mmt,ntrenet,bam,copy-mask,all-foreground.
FSCS := asnet,pfenet,nothing. hsnet,panet.
WATER := mmt,hsnet,prototype. mmt.baseline

# A method's own name and, after --variant, its form.
form = --method $(word 1,$(subst ., ,$(1))) $(addprefix --variant ,$(word 2,$(subst ., ,$(1))))
# Evaluate $(1) with the options $(3) into the folder $(2) of the demo.
evaluate = @export OMP_NUM_THREADS=1; echo "$(2): evaluating $(1:.=)"; \
	$(BIN)/fssbench eval $(call form,$(1)) --fold all --shots 1 $(3) --quiet \
		--out $(DEMO)/$(2)/$(patsubst %.,%,$(1)) --overwrite > /dev/null && echo "$(2): $(1:.=) done"
table = @$(BIN)/fssbench table --source measured

demo-full: $(READY)
	@$(MAKE) --no-print-directory --jobs 2 \
		$(FSS:%=demo-fss-%) $(FSCS:%=demo-ways2-%) $(FSCS:%=demo-ways1-%) $(WATER:%=demo-water-%)
	@echo; echo "Segmentation, 1-way 1-shot:"
	$(table) --dataset shapes20i --runs $(DEMO)/fss
	@echo; echo "Classification and segmentation together (FS-CS), 1 and 2 ways:"
	$(table) --dataset shapes20i --layout fscs --ways 1,2 --runs $(DEMO)
	@echo; echo "The same episodes under water, by methods trained above it:"
	$(table) --dataset shapes20i_to_shapes20i-underwater --runs $(DEMO)/water

demo-fss-%: $(READY)
	$(call evaluate,$*,fss,--dataset shapes20i)

demo-ways1-%: $(READY)
	$(call evaluate,$*,ways1,--dataset shapes20i --task fs-cs --ways 1 --limit 50)

demo-ways2-%: $(READY)
	$(call evaluate,$*,ways2,--dataset shapes20i --task fs-cs --ways 2 --limit 50)

demo-water-%: $(READY)
	$(call evaluate,$*,water,--train-dataset shapes20i --dataset shapes20i-underwater --limit 100)

# Tests start hundreds of processes; each would compile fssbench where PYTHONDONTWRITEBYTECODE is set.
COMPILED = @$(BIN)/python -m compileall -q fssbench

test: $(READY)
	$(COMPILED)
	$(PYTEST) -m 'not slow'

test-all: $(READY)
	$(COMPILED)
	$(PYTEST)

test-long: $(READY)
	$(BIN)/python -m pytest --numprocesses 2 --dist load --quiet --long -m long tests

SEED := $(shell date +%s)

test-random: $(READY)
	$(PYTEST) -m 'not slow' --shuffle $(SEED)

coverage: $(READY)
	@$(LOCKED) locks/tools.txt
	@$(BIN)/python -m coverage erase
	$(BIN)/python -m coverage run -m $(TESTS) -m 'not slow'
	@$(BIN)/python -m coverage combine --quiet
	@$(BIN)/python -m coverage html --quiet
	$(BIN)/python -m coverage report

mutation: $(READY)
	@$(LOCKED) locks/tools.txt
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.mutation $(if $(RECORD),--record) $(MODULES)

lint: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/codespell
	$(BIN)/mypy

# A trained method, one that knows nothing but a backbone, and a floor: what moves the data, the episodes, the counts or
# a shipped weight moves one of them. The folder is written anew, so that nothing old is checked.
CHECKED := hsnet prototype copy-mask
CHECK := runs/check

check: $(READY)
	@rm -rf $(CHECK)
	@$(MAKE) --no-print-directory --jobs 2 $(CHECKED:%=check-%)
	$(BIN)/fssbench check --against baseline --junit $(CHECK)/junit.xml $(CHECK)

check-%: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/fssbench eval --method $* --dataset shapes20i --fold 0 --shots 1 --quiet --out $(CHECK)/$*

MINUTES := 10

fuzz: $(READY)
	FSSBENCH_EXAMPLES=50 OMP_NUM_THREADS=1 $(BIN)/python -m pytest --quiet tests/*/test_properties.py
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.fuzz --minutes $(MINUTES)

fuzz-guided: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.fuzz.guided --minutes $(MINUTES)

gpu: $(READY)
	$(BIN)/python -m pytest --quiet -m gpu tests/gpu
	$(BIN)/python benchmarks/speed/gpu.py --out benchmarks/speed/gpu.csv
	rm -f benchmarks/speed/gpu_engine.csv
	$(BIN)/python benchmarks/speed/gpu_engine.py --out benchmarks/speed/gpu_engine.csv

check-speed: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/speed/operations.py $(if $(ACCEPT),--accept)
	$(if $(RATIOS),OMP_NUM_THREADS=1 $(BIN)/python benchmarks/speed/ratios.py $(if $(ACCEPT),--accept))

soak: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.reliability.soak --minutes $(or $(MINUTES),10)
	$(BIN)/python -m pytest --quiet tests/reliability

docs: $(READY)
	@$(LOCKED) locks/tools.txt
	@# The theme warns of a version of mkdocs that pyproject.toml excludes.
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

wheel: $(READY)
	$(BIN)/python -m build --no-isolation

lock: $(READY)
	$(BIN)/python .ci/lock.py $(if $(UPGRADE),--upgrade) $(if $(TORCH),--torch $(TORCH))
	@$(PIP) uv==0.13.9
	$(BIN)/python .ci/hashes.py

clean:
	rm -rf $(VENV) dist build runs/demo runs/demo-full runs/check .coverage .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
