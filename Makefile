# One command for each thing one does here. `make` alone lists them.
#
# Needs python3 >= 3.10 with pip, and make; everything else goes into $(VENV).

PYTHON ?= python3
VENV ?= .venv
ARGS ?=
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup: $(READY) ## Create the virtual environment (does nothing when it is up to date)

# Distributions that split off ensurepip cannot give a new environment its pip; ours then comes in
# from outside. pip is brought up to date since the ones in old Pythons miss wheels of new builds.
$(READY): pyproject.toml streamix_queue/__about__.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or newer is needed")'
	$(PYTHON) -m venv --clear $(VENV) || { \
	  $(PYTHON) -m venv --clear --without-pip $(VENV) && \
	  $(PYTHON) -m pip --python $(BIN)/python install --quiet pip; }
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[all,dev]'
	@touch $@

.PHONY: servers
servers: $(READY) ## Fetch the server binaries that the tests run against
	$(BIN)/python -m tests.support.servers prefetch

.PHONY: demo
demo: $(READY) ## See a message go round, fail, retry, be dead-lettered and replayed
	$(BIN)/streamix demo $(ARGS)

# In the order of the files: xdist would begin those with few tests last, and they take longest.
# Three at a time on two cores: the suite waits more than it computes.
.PHONY: test
test: $(READY) servers ## Run the test suite (ARGS='-k name', ARGS='--server valkey9')
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder $(ARGS)

.PHONY: lint
lint: $(READY) ## Check style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

.PHONY: format
format: $(READY) ## Mend style and formatting where that can be done by machine
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: types
types: $(READY) ## Check types, and that the public surface is fully typed
	$(BIN)/mypy
	$(BIN)/python -m tests.support.public_types

.PHONY: check
check: lint types test ## Everything that has to pass before a change lands

.PHONY: bench
bench: $(READY) servers ## Run a load test (ARGS='consume'; without, a list of them)
	$(BIN)/python -m load $(ARGS)

.PHONY: peers
peers: $(READY) servers ## Measure the other libraries beside this one, each in an environment of its own
	$(BIN)/python -m load peers $(ARGS)

.PHONY: dashboards
dashboards: $(READY) ## Make the Grafana dashboards, and the tables in telemetry/README.md, anew
	$(BIN)/python -m grafana.generator
	$(BIN)/python -m tests.observability.reference

.PHONY: options
options: $(READY) ## Make anew what docstrings and the README say of the options
	$(BIN)/python -m tests.docs.options

.PHONY: pictures
pictures: $(READY) servers ## Make the pictures of the dashboards anew (needs chromium, prometheus, npm)
	$(BIN)/python -m grafana.preview

.PHONY: clean
clean: ## Remove the virtual environment, caches and builds
	rm -rf $(VENV) build dist grafana/preview/node_modules .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
