# Needs make and Python 3.11 or newer with venv and pip; all else goes into $(VENV), pinned with hashes.

VENV ?= .venv
# The first that runs, is new enough and can make environments (a name on the PATH alone says little: pyenv's
# shims, Debian without python3-venv).
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	"$$p" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$p" && break; done)

CONFIG ?= $(or $(DEFIB_CONFIG),defib.yaml)
PYTEST_WORKERS ?= auto
PYTEST_ARGS ?=
BENCH_ARGS ?=
LOCK_ARGS ?=

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check

# Where this is set, each start of Defib would compile all of it anew: a third of the time that a start takes.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help run demo test lint check format bench wheel lock clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(VENV)/.runtime ## serve the dashboard; CONFIG=FILE for another configuration
	@test -e "$(CONFIG)" || $(BIN)/defib init --discover -o "$(CONFIG)"
	@DEFIB_CONFIG="$(CONFIG)" exec $(BIN)/defib serve

demo: $(VENV)/.runtime ## a little world of agents that break, to look at
	@exec $(BIN)/defib demo

test: $(VENV)/.test ## the whole suite; PYTEST_ARGS='-k NAME', PYTEST_WORKERS=0, DEFIB_TEST_REQUIRE=all
	@$(BIN)/pytest -n $(PYTEST_WORKERS) --dist loadgroup $(PYTEST_ARGS)

lint: $(VENV)/.dev ## format, lint, types, imports, shell scripts; changes nothing
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/shellcheck .ci/run recovery_scripts/*.sh

check: lint ## lint, and the unit tests
	$(BIN)/pytest -q tests/unit

format: $(VENV)/.dev ## format, and mend what the linter can
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: $(VENV)/.test ## the table of figures against their goals; BENCH_ARGS
	@$(BIN)/python -m benchmarks $(BENCH_ARGS)

wheel: $(VENV)/.runtime ## build dist/defib-*.whl
	@$(BIN)/python -m hatchling build -t wheel

# dev holds test holds runtime: the smaller sets take their versions from the larger. The build tools are in
# all three, because the checkout is installed without build isolation.
COMPILE = $(BIN)/uv pip compile pyproject.toml --group build --universal --python-version 3.11 --generate-hashes \
	--no-annotate --no-header --no-emit-index-url --no-emit-find-links --quiet --no-progress

lock: $(VENV)/.dev ## write requirements/*.lock anew; LOCK_ARGS=--upgrade for the newest versions
	$(COMPILE) --extra dev $(LOCK_ARGS) -o requirements/dev.lock >/dev/null
	$(COMPILE) --extra test -c requirements/dev.lock $(LOCK_ARGS) -o requirements/test.lock >/dev/null
	$(COMPILE) -c requirements/dev.lock $(LOCK_ARGS) -o requirements/runtime.lock >/dev/null

clean: ## remove what make made; configurations and data stay
	rm -rf $(VENV) dist build .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -path ./.git -prune -o -type d -name __pycache__ -prune -exec rm -rf {} +

$(VENV)/.created:
	@test -n "$(PYTHON)" || { echo "make: no Python 3.11 or newer with venv and pip found." \
		"On Debian or Ubuntu: apt install python3-venv. Elsewhere: make PYTHON=/path/to/python3" >&2; exit 1; }
	@"$(PYTHON)" -m venv --clear $(VENV)
	@touch $@

# $(call install,SET,STAMPS): a set holds the smaller ones, so it marks them too.
define install
	@echo "Installing Defib and its $(1) requirements into $(VENV) …"
	@$(PIP) install --require-hashes -r requirements/$(1).lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $(addprefix $(VENV)/,$(2))
endef

$(VENV)/.runtime: requirements/runtime.lock pyproject.toml | $(VENV)/.created
	$(call install,runtime,.runtime)

$(VENV)/.test: requirements/test.lock pyproject.toml | $(VENV)/.created
	$(call install,test,.test .runtime)

$(VENV)/.dev: requirements/dev.lock pyproject.toml | $(VENV)/.created
	$(call install,dev,.dev .test .runtime)
