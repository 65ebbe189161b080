.DEFAULT_GOAL := help
.PHONY: help run test test-compose overload audit fuzz chaos check bench docs lock format clean
MAKEFLAGS += --no-print-directory

python := .venv/bin/python
# The browser's tests have processes of their own: its driver holds the thread's event loop as long as it is there.
# In the order of the files, in which the many small ones come last: by their number of tests the longest ones would.
pytest := $(python) -m pytest -n 2 --dist loadfile --no-loadscope-reorder
fast := not rabbitmq and not postgresql and not e2e and not overload

help: ## Say what there is
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

test-compose: ## Build the images, run the end-to-end suite on the composed stack, break its containers (FAULTS)
	@tools/environment dev
	@exec tests/compose/run $(FAULTS)

overload: ## Measure slow clients and ten times the capacity; wants the machine to itself
	@tools/environment dev
	@tools/test-machine
	@exec $(python) -m pytest -m overload tests/integration/overload $(PYTEST)

check: ## Format, lint, types, imports, unit and contract tests, in under a minute
	@tools/environment dev
	@$(python) -m ruff format --check --quiet .
	@$(python) -m ruff check --quiet .
	@$(python) -m mypy
	@.venv/bin/lint-imports --no-logo
	@exec $(python) -m pytest -n 2 -m "$(fast)" tests/unit tests/contract $(PYTEST)

bench: ## Measure throughput and latency, beside two baselines
	@tools/environment dev
	@exec $(python) -m benchmarks $(BENCH)

docs: ## Write the generated pages of the reference anew
	@tools/environment dev
	@exec $(python) docs/generate.py

audit: ## Look for known vulnerabilities in what the locks name
	@tools/environment dev
	@command -v npm >/dev/null || tools/node
	@tools/audit

fuzz: ## Send hostile frames at a running gateway (FRAMES SEED), and requests of all kinds at auth (EXAMPLES)
	@tools/environment dev
	@FUZZ_EXAMPLES=$(or $(EXAMPLES),300) $(python) -m pytest -s tests/integration/auth_service/test_schemathesis.py
	@exec $(python) -m tests.integration.security.fuzz --frames $(or $(FRAMES),100000) --seed $(or $(SEED),1)

chaos: ## Break everything while clients chat, and see that nothing is lost (FAULTS CLIENTS SECONDS SEED PROFILE)
	@tools/environment dev
	@tools/test-machine
	@exec $(python) -m tests.chaos $(if $(FAULTS),--faults $(FAULTS)) $(if $(CLIENTS),--clients $(CLIENTS)) \
		$(if $(SECONDS),--seconds $(SECONDS)) $(if $(SEED),--seed $(SEED)) $(if $(PROFILE),--profile $(PROFILE)) $(CHAOS)

lock: ## Pin the dependencies anew from pyproject.toml (LOCK=--upgrade: the newest)
	@tools/environment dev
	@tools/lock $(LOCK)

format: ## Format the code and apply the safe fixes
	@tools/environment dev
	@$(python) -m ruff check --fix --quiet . || true
	@$(python) -m ruff format .

clean: ## Remove what the targets above made, except data
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache tests/e2e/javascript/node_modules web/node_modules web/dist
	@find . -name __pycache__ -prune -exec rm -rf {} +
