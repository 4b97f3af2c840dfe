# Everything runs from a virtual environment in .venv; `make lock` renews the hash-locked files.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
# The tests wait more than they work: three at once keep two cores busy.
WORKERS := 3
LOCKED := install --quiet --require-hashes

# A target never waits for an answer of a person.
PREFECT := $(BIN)/prefect --no-prompt

# What the tour listens on; Prefect's own names for it.
PREFECT_SERVER_API_PORT ?= 4200
PREFECT_API_URL ?= http://127.0.0.1:$(PREFECT_SERVER_API_PORT)/api

# What is on this machine is never asked through a proxy. Without one the variable is not set: on
# macOS it alone would hide the system's proxies.
comma := ,
THIS_MACHINE := 127.0.0.1,localhost,::1,127.0.0.0/8
ifneq ($(http_proxy)$(HTTP_PROXY)$(https_proxy)$(HTTPS_PROXY)$(all_proxy)$(ALL_PROXY),)
NOT_BY_PROXY := $(or $(no_proxy),$(NO_PROXY))
ifneq ($(NOT_BY_PROXY),*)
export no_proxy := $(if $(NOT_BY_PROXY),$(NOT_BY_PROXY)$(comma))$(THIS_MACHINE)
export NO_PROXY := $(no_proxy)
endif
endif

.PHONY: help run test test-crashes test-kills test-signals test-endings test-answers test-machines test-janitor test-az test-azure test-clients test-accelerator test-browser screenshots test-pythons check lint-docker fix local-azure server worker deploy accelerator benchmark-words lock clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

run: $(VENV)/.run node_modules/.installed ## the main job on the laptop: count the words of data/*.txt
	env -u PREFECT_API_URL -u prefect_api_url $(BIN)/python flows/top_words.py --local data/*.txt

test: $(VENV)/.dev node_modules/.installed ## the test-suite, without what needs more than pip brings or very long
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile -m "not az and not browser and not old_client and not accelerator and not kills and not endings and not signals and not answers and not machines" $(ARGS)

test-crashes: $(VENV)/.dev ## the Batch emulator killed with -9 a hundred times under load
	CRASHES=100 $(BIN)/python -m pytest tests/emulator/state/test_crashes.py $(ARGS)

test-kills: $(VENV)/.dev node_modules/.installed ## the flow killed with -9 after each of its steps, and resumed
	$(BIN)/python -m pytest -m kills tests/pipeline/engine/test_kills.py $(ARGS)

test-signals: $(VENV)/.dev node_modules/.installed ## a signal at each of many lines, and SIGNALS at random ones
	SIGNALS=$(SIGNALS) $(BIN)/python -m pytest -m signals -n 8 --dist load --maxschedchunk 1 -o timeout=14400 tests/pipeline/clean_up $(ARGS)
SIGNALS ?= 2000

test-endings: $(VENV)/.dev node_modules/.installed ## every ending of a run in each of its phases, and what is left
	$(BIN)/python -m pytest -m endings -n $(WORKERS) --dist load --maxschedchunk 1 -o timeout=600 $(ARGS)

test-machines: $(VENV)/.dev node_modules/.installed ## --local beside each kind of Prefect, home and proxy of the user
	$(BIN)/python -m pytest -m machines -n $(WORKERS) --dist loadfile $(ARGS)

test-answers: $(VENV)/.dev node_modules/.installed ## each kind of call of a run, answered badly in each way
	$(BIN)/python -m pytest -m answers -n $(WORKERS) --dist load --maxschedchunk 1 tests/pipeline $(ARGS)

test-janitor: $(VENV)/.dev node_modules/.installed ## the janitor held at each of its calls beside a live run
	HELD=36 $(BIN)/python -m pytest tests/pipeline/janitor/test_janitor_beside_runs.py $(ARGS)

test-az: $(VENV)/.dev node_modules/.installed ## `az batch` against the emulator (needs the Azure CLI)
	@command -v az >/dev/null || { echo "test-az needs the Azure CLI: put az on the PATH (pip install azure-cli, in an environment of its own)"; exit 1; }
	$(BIN)/python -m pytest -m az $(ARGS)

test-azure: $(VENV)/.dev node_modules/.installed ## the pipeline on the account of .env: costs money
	$(BIN)/python -m pytest -m azure tests/azure $(ARGS)

test-clients: $(VENV)/.dev $(VENV)-old/.installed ## azure-batch 14.2 against the emulator
	OLD_CLIENT_PYTHON=$(VENV)-old/bin/python $(BIN)/python -m pytest -m old_client $(ARGS)

test-accelerator: $(VENV)/.dev accelerator ## the node program with its C kernel
	$(BIN)/python -m pytest -m accelerator $(ARGS)

test-browser: $(VENV)/.dev $(VENV)/.browser node_modules/.installed ## Prefect's pages in headless Chromium (needs chromium)
	@command -v chromium >/dev/null || { echo "test-browser needs chromium on the PATH"; exit 1; }
	SCREENSHOTS=$(SCREENSHOTS) $(BIN)/python -m pytest -m browser $(ARGS)

screenshots: ## renew the pictures of docs/ui.md
	$(MAKE) test-browser SCREENSHOTS=$(CURDIR)/docs/images

test-pythons: ## the test-suite under each of PYTHONS, in environments of their own
	for version in $(PYTHONS); do $(MAKE) test PYTHON=python$$version VENV=$(VENV)-$$version || exit 1; done
PYTHONS ?= 3.11 3.12 3.13

check: $(VENV)/.dev lint-docker ## format, lint, types, docstrings, spelling
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/interrogate --quiet flows blocks prefect_azure_batch local_azure tasks_node tests benchmarks
	$(BIN)/codespell $$(git ls-files '*.py' '*.md' '*.toml' '*.yaml' Makefile)

lint-docker: $(VENV)/.docker ## the Dockerfile, by hadolint
	$(BIN)/hadolint Dockerfile

fix: $(VENV)/.dev ## format, and fix what can be fixed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

local-azure: $(VENV)/.run node_modules/.installed ## tour, 1: Azurite and the Batch emulator, until Ctrl-C
	@echo 'next, in another terminal: make server'
	$(BIN)/python -m local_azure up --env-file local-azure.env

# A server migrates the database that it finds in its home: nobody's but this checkout's own.
server worker deploy: export PREFECT_HOME ?= $(CURDIR)/.prefect
server worker deploy: export PREFECT_API_URL := $(PREFECT_API_URL)
server worker deploy: export PREFECT_SERVER_API_PORT := $(PREFECT_SERVER_API_PORT)
server worker deploy: export PREFECT_SERVER_ANALYTICS_ENABLED ?= false
server worker deploy: export DO_NOT_TRACK ?= 1
# In memory, a restart of the server would lose who holds a place of a concurrency limit.
server: export PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE ?= prefect.server.concurrency.lease_storage.filesystem

server: $(VENV)/.run ## tour, 2: Prefect's server and its pages, until Ctrl-C
	@echo 'next, in another terminal: make worker'
	$(PREFECT) server start

worker: $(VENV)/.run ## tour, 3: a worker for the deployments, until Ctrl-C
	@$(SERVER_ANSWERS)
	@echo 'next, in another terminal: make deploy'
	$(PREFECT) worker start --pool top-words --type process

deploy: $(VENV)/.run ## tour, 4: blocks, work pool and deployments for this machine
	@test -s local-azure.env || { echo 'error: no local-azure.env, which make local-azure writes: run it in another terminal'; exit 1; }
	@$(SERVER_ANSWERS)
	$(BIN)/python -m blocks save local --env-file local-azure.env
	@$(SHOW_WORK_POOL) || $(PREFECT) work-pool create top-words --type process || $(SHOW_WORK_POOL)
	$(PREFECT) deploy -n local
	@echo 'the pages, with the next scheduled runs of janitor/local: $(PREFECT_API_URL:/api=)/runs'
	@echo 'next: PREFECT_API_URL=$(PREFECT_API_URL) $(BIN)/prefect deployment run top-words/local --watch'

# Twice, because a worker that starts meanwhile makes it too.
SHOW_WORK_POOL = $(PREFECT) work-pool inspect top-words >/dev/null
# It may have been started just now, and takes up to half a minute.
SERVER_WAIT_S := 60
SERVER_ANSWERS = $(PREFECT) server status --wait --timeout $(SERVER_WAIT_S) >/dev/null || { echo "error: no Prefect server at $$PREFECT_API_URL: run make server in another terminal"; exit 1; }

accelerator: $(VENV)/.accelerator ## the node program's optional C kernel, for x86-64 and aarch64
	$(BIN)/python tasks_node/accelerator/build.py

benchmark-words: $(VENV)-benchmarks/.installed ## how fast the node program counts, beside DuckDB, polars and others
	$(VENV)-benchmarks/bin/python -m benchmarks.word_count $(ARGS)

lock: ## renew requirements/*.txt and Azurite's package-lock.json (needs uv)
	for group in setup node old-client accelerator benchmarks docker; do uv pip compile --group $$group $(UV_FLAGS) -o requirements/$$group.txt; done
	uv pip compile pyproject.toml local_azure/pyproject.toml $(UV_FLAGS) -o requirements/run.txt
	uv pip compile pyproject.toml local_azure/pyproject.toml --group pyproject.toml:dev --constraint requirements/run.txt $(UV_FLAGS) -o requirements/dev.txt
	uv pip compile --group browser --constraint requirements/run.txt $(UV_FLAGS) -o requirements/browser.txt
	rm local_azure/npm/package-lock.json
	npm install --prefix local_azure/npm --package-lock-only --omit-lockfile-registry-resolved=true
UV_FLAGS := --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header

clean: ## remove what make has made
	rm -rf $(VENV) $(VENV)-* node_modules .azurite-* .prefect

$(VENV)/.setup: requirements/setup.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)
	$(PIP) $(LOCKED) -r requirements/setup.txt
	touch $@

# One line in the environment puts the checkout on Python's path: flows, blocks and local_azure are
# not installed. The library is, for its command and its version.
$(VENV)/.run: requirements/run.txt pyproject.toml $(VENV)/.setup
	$(PIP) $(LOCKED) -r requirements/run.txt
	$(PIP) install -qq --no-deps --no-build-isolation --editable .
	$(BIN)/python -c 'import pathlib, sysconfig; pathlib.Path(sysconfig.get_path("purelib"), "checkout.pth").write_text("$(CURDIR)\n")'
	touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.run
	$(PIP) $(LOCKED) -r requirements/dev.txt
	touch $@

$(VENV)-old/.installed: requirements/old-client.txt
	$(PYTHON) -m venv $(VENV)-old
	$(VENV)-old/bin/python -m pip --disable-pip-version-check $(LOCKED) -r $<
	touch $@

$(VENV)-benchmarks/.installed: requirements/benchmarks.txt
	$(PYTHON) -m venv $(VENV)-benchmarks
	$(VENV)-benchmarks/bin/python -m pip --disable-pip-version-check $(LOCKED) -r $<
	touch $@

$(VENV)/.accelerator: requirements/accelerator.txt $(VENV)/.setup
	$(PIP) $(LOCKED) -r $<
	touch $@

$(VENV)/.browser: requirements/browser.txt $(VENV)/.setup
	$(PIP) $(LOCKED) -r $<
	touch $@

$(VENV)/.docker: requirements/docker.txt $(VENV)/.setup
	$(PIP) $(LOCKED) -r $<
	touch $@

node_modules/.installed: local_azure/npm/package.json local_azure/npm/package-lock.json $(VENV)/.run
	$(BIN)/python -c 'from local_azure.azurite import find_npm; find_npm()' 2>/dev/null || $(PIP) $(LOCKED) -r requirements/node.txt
	$(BIN)/python -m local_azure install
	touch $@
