# Everything builds its own environment in .venv from uv.lock; nothing is installed outside the checkout.
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.locked
PORT ?= 8080
DATA ?= ./data

.PHONY: run test test-long check format setup bench bench-full clean

setup: $(STAMP)

$(STAMP): pyproject.toml uv.lock
	@test -x $(BIN)/python || python3 -m venv $(VENV)
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@UV_PROJECT_ENVIRONMENT=$(VENV) $(BIN)/uv sync --locked --quiet --inexact --extra server
	@touch $(STAMP)

run: setup
	@$(BIN)/tallybook serve --port $(PORT) --data-dir $(DATA)

test: setup
	@$(BIN)/pytest

test-long: setup
	@TALLYBOOK_TEST_LONG=1 $(BIN)/pytest

check: setup
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: setup
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: setup
	@$(BIN)/python -m bench

# Makes stores of 10 and 50 million events in bench/.cache, once; SIZES="--events 1000000" tries it small.
bench-full: setup
	@$(BIN)/python -m bench.full $(SIZES)

clean:
	rm -rf $(VENV) .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis
