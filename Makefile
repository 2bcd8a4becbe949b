# make run    a photo becomes a living head: writes out/performance.mp4, contact_sheet.png, run.json
# make test   every test
# make test-cuda  those that need an NVIDIA GPU
# make test-bridges  the engines' plugins, compiled and run against a live server
# make bench  milliseconds of every stage, into out/bench.json
# make check  lint and types
# Each sets up what it needs in .venv first. See README.md.

PYTHON ?= $(firstword $(shell command -v python3.11 python3.12 python3.13 python3))
VENV ?= .venv
OUT ?= out

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install -q --disable-pip-version-check
SOURCES := pyproject.toml constraints.txt setup.py $(wildcard flexavatar/render/native/*)

.PHONY: run test test-cuda test-bridges bench check clean
.NOTPARALLEL:

run: $(VENV)/.core
	$(BIN)/python -m flexavatar.demo --out $(OUT)

# Two files of tests at once: what waits for a server leaves a core to what computes.
test: $(VENV)/.dev
	$(BIN)/python -m pytest -n 2 --dist loadfile --durations=10 $(PYTEST_ARGS)

# What needs an NVIDIA GPU; `make test` skips it where there is none.
test-cuda: $(VENV)/.dev
	$(BIN)/python -m pytest -m cuda --durations=5 $(PYTEST_ARGS)

test-bridges: $(VENV)/.dev
	@sh .ci/system-packages $(BIN)/python bridges
	@$(BIN)/python -m tests.bridges.fetch
	$(BIN)/python -m pytest tests/bridges --durations=10 $(PYTEST_ARGS)

bench: $(VENV)/.core
	$(BIN)/python -m flexavatar.bench --out $(OUT)/bench.json

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/basedpyright --threads 2

clean:
	rm -rf $(VENV) $(OUT) build *.egg-info

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "error: Python 3.11 or newer is needed, found none" >&2; exit 1; }
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11))" || \
		{ echo "error: Python 3.11 or newer is needed, found $$($(PYTHON) -V)" >&2; exit 1; }
	@sh .ci/system-packages $(PYTHON)
	@$(PYTHON) -m venv $(VENV)

# torch is asked for first and exactly: a looser range would also match much larger builds of it.
$(VENV)/.core: $(SOURCES) | $(VENV)/bin/python
	@sh .ci/system-packages $(PYTHON)
	@echo "installing flexavatar and what it needs into $(VENV) (a few minutes the first time)"
	@$(PIP) -c constraints.txt setuptools torch==2.13.0 || $(call failed,torch 2.13.0)
	@$(PIP) -c constraints.txt --no-build-isolation --use-pep517 -e . || $(call failed,flexavatar)
	@$(BIN)/python -m flexavatar.render.device  # compiles what a GPU needs
	@touch $@

$(VENV)/.dev: $(VENV)/.core
	@echo "installing the tools for tests and checks"
	@$(PIP) -c constraints.txt --no-build-isolation --use-pep517 -e ".[dev]" || $(call failed,the tools)
	@touch $@

failed = { echo "error: pip could not install $(1): the lines above say why" >&2; exit 1; }
