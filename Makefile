.DEFAULT_GOAL := help
.PHONY: help run test test-compose test-clock overload audit fuzz chaos check quick bench docs lock format clean types imports
MAKEFLAGS += --no-print-directory

python := .venv/bin/python
# Browser tests run in separate processes, because Playwright's driver holds the event loop of its thread.
# Files run in their order, so that the many small ones come last; xdist's own order would put the longest ones last.
pytest := $(python) -m pytest -n 2 --dist loadfile --no-loadscope-reorder
fast := not rabbitmq and not postgresql and not e2e and not overload
# Modules without I/O, whose tests take milliseconds.
pure := $(wildcard tests/unit/*/domain tests/unit/*/rules tests/unit/chat_gateway/protocol tests/unit/shared/contracts)

help: ## List the available targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-13s%s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: ## Serve the embedded system until Ctrl-C (settings: BACKCHAT_… in the environment)
	@tools/environment runtime
	@tools/page
	@exec $(python) -m embedded

test: ## Run every test, on a private PostgreSQL and RabbitMQ
	@tools/environment dev
	@tools/test-machine
	@tools/page
	@export PATH=$(CURDIR)/.venv/node:$$PATH && cd web && npm run --silent check && npm test --silent
	@$(pytest) -m browser tests/browser $(PYTEST); page=$$?; \
		$(pytest) -m "not overload and not browser" $(PYTEST); rest=$$?; \
		for code in $$page $$rest; do [ $$code = 0 ] || [ $$code = 5 ] || exit $$code; done

test-compose: ## Build the images, run the end-to-end suite on the composed stack, inject FAULTS into its containers
	@tools/environment dev
	@exec tests/compose/run $(FAULTS)

test-clock: ## Run tests with the clock 40 days and 13 months ahead (SUITES)
	@SUITES="$(SUITES)" exec tests/clock/run $(PYTEST)

overload: ## Measure slow clients and ten times the capacity (run it on an idle machine)
	@tools/environment dev
	@tools/test-machine
	@exec $(python) -m pytest -m overload tests/integration/overload $(PYTEST)

check: ## Check format, lint, types and import layers; run unit and contract tests
	@tools/environment dev
	@$(python) -m ruff format --check --quiet .
	@$(python) -m ruff check --quiet .
	@$(MAKE) -j2 --output-sync types imports
	@$(python) -m pytest -n 2 -m "$(fast)" tests/unit tests/contract $(PYTEST)
	@exec $(python) tools/plain_english.py

types:
	@$(python) -m mypy

imports:
	@.venv/bin/lint-imports --no-logo

quick: ## Check format and lint; run the unit tests of modules without I/O (under 30 s)
	@tools/environment dev
	@$(python) -m ruff format --check --quiet .
	@$(python) -m ruff check --quiet .
	@exec $(python) -m pytest -n 2 -m "$(fast)" $(pure) $(PYTEST)

bench: ## Measure throughput, CPU and latency, next to two baselines (BENCH="--rounds 1 --no-streamed")
	@tools/environment dev
	@tools/test-machine
	@exec $(python) -m benchmarks $(BENCH)

docs: ## Generate the reference in docs/reference from the models
	@tools/environment dev
	@exec $(python) docs/generate.py

audit: ## Check the locked dependencies for known vulnerabilities
	@tools/environment dev
	@command -v npm >/dev/null || tools/node
	@tools/audit

fuzz: ## Send hostile frames to a running gateway (FRAMES SEED) and generated requests to auth (EXAMPLES)
	@tools/environment dev
	@FUZZ_EXAMPLES=$(or $(EXAMPLES),300) $(python) -m pytest -s tests/integration/auth_service/test_schemathesis.py
	@exec $(python) -m tests.integration.security.fuzz --frames $(or $(FRAMES),100000) --seed $(or $(SEED),1)

chaos: ## Inject faults while simulated users chat; report lost messages (FAULTS CLIENTS SECONDS SEED PROFILE)
	@tools/environment dev
	@tools/test-machine
	@exec $(python) -m tests.chaos $(if $(FAULTS),--faults $(FAULTS)) $(if $(CLIENTS),--clients $(CLIENTS)) \
		$(if $(SECONDS),--seconds $(SECONDS)) $(if $(SEED),--seed $(SEED)) $(if $(PROFILE),--profile $(PROFILE)) $(CHAOS)

lock: ## Update the lock files from pyproject.toml (LOCK=--upgrade: newest versions)
	@tools/environment dev
	@tools/lock $(LOCK)

format: ## Format the code and apply safe fixes
	@tools/environment dev
	@$(python) -m ruff check --fix --quiet . || true
	@$(python) -m ruff format .

clean: ## Remove what these targets created, except data
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache tests/e2e/javascript/node_modules web/node_modules web/dist
	@find . -name __pycache__ -prune -exec rm -rf {} +
