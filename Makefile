# Plimsoll: everything a developer calls. `make help` lists it.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
BIN := .venv/bin
RUN := PYTHONPATH=operator $(BIN)/python
SOURCES := operator tests helm
STAMP := .venv/.installed-$(shell cat requirements-dev.lock 2>/dev/null | sha256sum | cut -c1-16)

# Tests are compiled once, and not by every worker of every run: that was a tenth of the time of `make check`.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

# ---- the two commands -------------------------------------------------------------------------------------------------
.PHONY: demo demo-down test
demo: $(STAMP) ## A real model answers a real request in a real cluster, from nothing
	@$(RUN) -m plimsoll_dev.demo up

demo-down: $(STAMP) ## Remove what `make demo` made
	@$(RUN) -m plimsoll_dev.demo down

test: $(STAMP) ## All rings, the real cluster included
	$(RUN) -m plimsoll_dev.cluster prerequisites
	$(MAKE) --no-print-directory check check-compiled
	$(BIN)/python -m pytest tests -m "textmodel or triton" -q -n 2 --dist loadgroup
	$(BIN)/python -m pytest tests -m "scale" -q
	$(BIN)/python -m pytest tests -m "cluster" -q --durations 25

# ---- development ------------------------------------------------------------------------------------------------------
.PHONY: check check-compiled verify generate format lint lock clean
check: $(STAMP) ## Rings 1 to 3: no cluster, no Triton, about three minutes
	$(BIN)/python -m pytest tests -m "not cluster and not scale and not textmodel and not triton" -q -n 3 --dist worksteal --timeout 300

# Compiled modules come first on the path; what hot_path.form says is compared with the variable.
DATA_PATH := tests/unit/gateway tests/unit/core_routing tests/contract/gateway
check-compiled: $(STAMP) ## The gateway's tests once more, on the compiled hot path that the image has
	folder=$$($(RUN) -m plimsoll_dev.images compile); \
	PLIMSOLL_HOT_PATH=compiled $(BIN)/python -m pytest $(DATA_PATH) -o pythonpath="$$folder operator ." \
	  -m "not triton and not interpreted" -q -n 3 --dist worksteal --timeout 300

verify: $(STAMP) generate format lint check ## Regenerate, format, lint, type-check, test; fail when that changes a file
	@test -z "$$(git status --porcelain)" || { git status --short; echo "Commit what 'make generate format' wrote, or ignore it."; exit 1; }

generate: $(STAMP) ## Write every generated file from its source
	$(RUN) -m plimsoll_dev.generate

format: $(STAMP)
	$(BIN)/ruff format --quiet $(SOURCES)
	$(BIN)/ruff check --quiet --fix-only $(SOURCES)

lint: $(STAMP) ## ruff, mypy, import contracts, chart
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/mypy
	PYTHONPATH=operator $(BIN)/lint-imports
	$(RUN) -m plimsoll_dev.cluster helm lint helm/plimsoll --quiet --set triton.image=example.com/triton@sha256:$(shell printf '0%.0s' {1..64})

lock: ## Resolve the lock files anew
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" pyproject.toml -o requirements.lock
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" pyproject.toml --group dev --group models -o requirements-dev.lock
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" --constraint requirements-dev.lock --group compile -o requirements-compile.lock
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" --no-deps operator/triton-cpu/requirements.in -o requirements-triton.lock

clean: ## Remove caches and the virtual environment
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

# ---- benchmarks: the last line is one JSON object ---------------------------------------------------------------------
.PHONY: bench-controller bench-collect bench-gateway bench-preflight bench-verdicts
bench-controller: $(STAMP) ## Writes, CPU and memory of the controller at 5,000 objects; latency and readiness
	@$(RUN) -m tests.scale.bench_controller

bench-collect: $(STAMP) ## One controller core against the record streams of 1,000 simulated gateways
	@$(RUN) -m tests.scale.bench_collect

bench-gateway: $(STAMP) ## The gateway beside nginx and HAProxy, one core each; BENCH="--only memory" for 10 million requests
	@$(RUN) -m tests.scale.bench_gateway $(BENCH)

bench-preflight: $(STAMP) ## The promised capacity of four models against load; the load generator against k6
	@$(RUN) -m tests.scale.bench_preflight

bench-verdicts: $(STAMP) ## How often the preflight is right about planted leaks, cliffs and wrong answers; over an hour
	@$(RUN) -m tests.scale.bench_verdicts

# ---- the virtual environment ------------------------------------------------------------------------------------------
$(STAMP):
	@echo "Setting up .venv from requirements-dev.lock"
	@rm -rf .venv
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; set PYTHON=..."; exit 1; }
	@$(PYTHON) -m venv .venv || { echo "Install the venv module first: apt-get install python3-venv"; exit 1; }
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@
