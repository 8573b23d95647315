.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
UV := $(BIN)/uv
COMPILE := $(UV) pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-emit-find-links --no-annotate --no-header pyproject.toml

help: ## Show these verbs
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

demo: setup ## Set up, fetch the small models, ingest a video and documents, ask questions
	$(BIN)/sutradhar demo

test: $(BIN)/.test ## Set up and run every check and test
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/lint-imports && $(BIN)/mypy
	$(BIN)/sutradhar models fetch && $(BIN)/sutradhar models fetch sample-media smollm2-135m-instruct
	$(BIN)/pytest -n 2 --dist loadfile

setup: $(BIN)/.default ## Install the embedded default from the hashed lock

up: setup ## Start the platform on http://127.0.0.1:8600
	$(BIN)/sutradhar up

gpu: setup ## Add torch and the engines that need it
	$(UV) pip install $${PIP_FIND_LINKS:+--find-links $$PIP_FIND_LINKS} -e '.[gpu]'

lock: $(UV) ## Make the hashed locks from pyproject.toml again
	$(COMPILE) -o requirements/default.txt
	$(COMPILE) --extra test --extra dev -o requirements/test.txt

docs: $(BIN)/.test ## Make the generated documents again
	$(BIN)/python docs/configuration.py

clean: ## Remove the environment and caches of this checkout
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache

$(UV):
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check 'uv>=0.9'

# pip's resolver takes ten minutes on this set; uv installs the resolved lock in seconds
$(BIN)/.default: requirements/default.txt pyproject.toml | $(UV)
	$(UV) pip install --quiet --require-hashes -r $<
	$(UV) pip install --quiet --no-deps -e .
	@touch $@

$(BIN)/.test: requirements/test.txt pyproject.toml | $(UV)
	$(UV) pip install --quiet --require-hashes -r $<
	$(UV) pip install --quiet --no-deps -e .
	@touch $@ $(BIN)/.default

.PHONY: help demo test setup up gpu lock docs clean
