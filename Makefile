# Two commands for a newcomer: `make serve` and `make test`.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
UV := $(shell command -v uv 2>/dev/null)

.PHONY: help install serve test check lint types test-long bench bench-quick bench-scale bench-retire bench-certificates bench-import bench-estimates bench-webhooks lock clean

help: ## List the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

install: $(STAMP) ## Set up the virtual environment and its pinned dependencies

$(STAMP): requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Tonne needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Name another: make PYTHON=python3.12 …")'
ifneq ($(UV),)
	uv venv --quiet --allow-existing --python "$$($(PYTHON) -c 'import sys; print(sys.executable)')" $(VENV)
	uv pip sync --quiet --require-hashes --python $(BIN)/python requirements-dev.lock
	uv pip install --quiet --no-deps --no-build-isolation --python $(BIN)/python -e .
else
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
endif
	@touch $@

serve: install ## Serve on http://127.0.0.1:8080 with a demo catalogue and keys
	@exec $(BIN)/tonne serve --demo

test: check ## Lint, types and all tests

check: lint types ## What CI runs
	$(BIN)/python -m pytest -m "not long" --numprocesses logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install
	$(BIN)/mypy

test-long: install ## The longer proofs: crashes and long property runs
	$(BIN)/python -m pytest -m long --timeout 3600

bench: install ## Orders and reads beside a plain service, pgbench and our own ceiling
	$(BIN)/python bench/compare.py

bench-quick: install ## The same in under a minute
	$(BIN)/python bench/compare.py --quick

ORDERS ?= 10000000
bench-scale: install ## The same figures with ORDERS orders in the database
	$(BIN)/python bench/scale.py --orders $(ORDERS)

bench-retire: install ## A million small orders from paid to retired
	$(BIN)/python bench/retire_a_million.py

bench-certificates: install ## Milliseconds to set, sign and check a certificate
	$(BIN)/python bench/certificates.py

bench-import: install ## A hundred thousand lots from a file into stock
	$(BIN)/python bench/import_lots.py

bench-estimates: install ## An estimate beside a quote, and ten thousand purchases in one request
	$(BIN)/python bench/estimates.py

bench-webhooks: install ## How soon events are delivered, and what an endpoint that hangs costs
	$(BIN)/python bench/webhooks.py

lock: install ## Pin the dependencies anew (needs uv)
	uv pip compile --quiet --universal --generate-hashes --no-header --no-emit-index-url --python-version 3.11 pyproject.toml -o requirements.lock
	uv pip compile --quiet --universal --generate-hashes --no-header --no-emit-index-url --python-version 3.11 --extra dev pyproject.toml -o requirements-dev.lock

clean: ## Remove what install and the tools made; data folders stay
	rm -rf $(VENV) .mypy_cache .ruff_cache .hypothesis
