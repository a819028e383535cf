# SPDX-License-Identifier: BSD-2-Clause
# `make demo` and `make test` need nothing but make, bash and git: scripts/setup.sh fetches the rest.

SHELL := /bin/bash
VENV ?= .venv
DEMO_ARGS ?=
PYTEST_ARGS ?=
export VENV

.DEFAULT_GOAL := help
.PHONY: help setup build demo test lint clean distclean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install what is missing and compile the kernels
	@scripts/setup.sh

build: setup ## the same: setup compiles whatever changed

demo: ## stream bundled speech through a harsh burst loss, write WAVs and a report (DEMO_ARGS=...)
	@scripts/setup.sh
	@$(VENV)/bin/dredge demo $(DEMO_ARGS)

test: ## run the tests (PYTEST_ARGS="-k name")
	@scripts/setup.sh dev
	@$(VENV)/bin/python -m pytest $(PYTEST_ARGS)

lint: ## ruff and mypy
	@scripts/setup.sh dev
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/mypy

clean: ## remove build outputs and caches, keep .venv
	@rm -rf build dist *.egg-info cython_kernels/dredge_kernels/*.so $(VENV)/.dredge
	@rm -f $(patsubst %.pyx,%.c,$(wildcard cython_kernels/dredge_kernels/*.pyx))
	@rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +

distclean: clean ## clean, and remove .venv too
	@rm -rf $(VENV)
