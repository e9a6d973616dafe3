# `make` lists what there is. All of it works on a fresh machine with Python 3.11 and nothing installed.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules

BIN := .venv/bin
LOCKED := .venv/.locked
INSTALLED := .venv/.installed
# Pythons to make .venv with, best first; PYTHON=... on the command line goes before them.
PYTHONS := $(PYTHON) python3.11 python3 python3.12 python3.13 python3.14
WITH_PROMETHEUS = folder=$$($(BIN)/python tests/rig/find_prometheus.py) && PATH="$$folder:$$PATH"
UV_LOCK = uv pip compile --quiet --python-version 3.11 --generate-hashes --no-emit-index-url --no-header

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: check
check: $(INSTALLED) ## lint, format, types, import rules
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: fix
fix: $(INSTALLED) ## repair what the linter and the formatter can
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

.PHONY: test
test: $(INSTALLED) ## all tests that need no server (ARGS="-k quote" for some)
	$(BIN)/pytest $(ARGS)

.PHONY: integration
integration: $(INSTALLED) ## tests with a real Prometheus, fetched if there is none
	@$(WITH_PROMETHEUS) $(BIN)/pytest tests/integration $(ARGS)

.PHONY: e2e
e2e: $(INSTALLED) ## tests behind a real kube-apiserver, which Go builds once (5 minutes)
	@PYTHONPATH=tests $(BIN)/python -m e2e.rig.programs
	@$(WITH_PROMETHEUS) $(BIN)/pytest tests/e2e -s $(ARGS)

.PHONY: image-test
image-test: $(INSTALLED) ## the image's steps in a scratch root, the packages, the SBOM (wants root; no engine)
	$(BIN)/pytest tests/image tests/release -rs $(ARGS)

.PHONY: dist
dist: $(INSTALLED) ## wheel and sdist into dist/, dated by the commit
	@SOURCE_DATE_EPOCH=$${SOURCE_DATE_EPOCH:-$$(git log -1 --format=%ct)} $(BIN)/python -m hatchling build

.PHONY: sbom
sbom: $(INSTALLED) ## CycloneDX of the image's Python parts into dist/, one file for each platform
	@$(BIN)/python deploy/image/sbom.py dist

.PHONY: demo
demo: $(INSTALLED) ## what an HPA sees of a small workload, no cluster (ONCE=1: one round, PORT=8443)
	@$(WITH_PROMETHEUS) PYTHONPATH=tests $(BIN)/python -m demo $(if $(ONCE),--once) $(if $(PORT),--port $(PORT))

.PHONY: bench
bench: $(INSTALLED) ## what it costs and saves, beside its baselines (QUICK=1: all of it small)
	@$(WITH_PROMETHEUS) PYTHONPATH=tests $(BIN)/python -m bench $(if $(QUICK),--quick) $(ARGS)

.PHONY: run
run: $(INSTALLED) ## the adapter itself (ARGS="--config config/demo.yaml ...")
	$(BIN)/tidegauge $(ARGS)

.PHONY: lock
lock: ## pin the dependencies again (needs uv)
	@command -v uv >/dev/null || { echo "make lock: uv is not on PATH; install it (pipx install uv)" >&2; exit 3; }
	$(UV_LOCK) --output-file requirements.txt pyproject.toml
	$(UV_LOCK) --extra dev --output-file requirements-dev.txt pyproject.toml
	sed -n 's/^requires = \["\(.*\)"\]$$/\1/p' pyproject.toml | \
	  $(UV_LOCK) --no-annotate --constraint requirements-dev.txt --output-file deploy/image/requirements-build.txt -

# The packages, again only when the lock changes; then the command, which `pip` need not go to the network for.
$(LOCKED): requirements-dev.txt
	@python=; unfit=; \
	for candidate in $(PYTHONS); do \
	  "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
	  if "$$candidate" -c 'import ensurepip, venv' 2>/dev/null; then python=$$candidate; break; fi; \
	  unfit=$$candidate; \
	done; \
	if [ -z "$$python" ] && [ -n "$$unfit" ]; then \
	  echo "$$unfit cannot make virtual environments (Debian, Ubuntu: apt-get install python3-venv)." >&2; exit 3; \
	fi; \
	if [ -z "$$python" ]; then \
	  echo "Python 3.11 or newer is needed, and none of these is: $(strip $(PYTHONS))." >&2; \
	  echo "Install it (Debian, Ubuntu: apt-get install python3 python3-venv) or name it: make PYTHON=/path/to/python3.11" >&2; \
	  exit 3; \
	fi; \
	if ! $(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	  echo "making .venv with $$("$$python" --version) ..."; "$$python" -m venv --clear .venv; \
	fi; \
	echo "installing the locked packages into .venv (about half a minute) ..."; \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

$(INSTALLED): $(LOCKED) pyproject.toml
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-index --no-deps --no-build-isolation -e .
	@touch $@
