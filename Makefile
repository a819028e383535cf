# SPDX-License-Identifier: BSD-2-Clause
# `make demo` and `make test` need nothing but make, bash and git: scripts/setup.sh fetches the rest.

SHELL := /bin/bash
VENV ?= .venv
DEMO_ARGS ?=
PYTEST_ARGS ?=
# Tests wait half of their time, for clocks, sockets and other programs: one more runs at once than there are processors.
TEST_JOBS ?= $(shell echo $$(($$(nproc) + 1)))
FUZZ_ARGS ?=
EXTRAS ?=
SOAK_ARGS ?=
ARM_ARGS ?=
PI_ARGS ?=
export VENV

.DEFAULT_GOAL := help
.PHONY: help setup build demo test test-nightly test-arm test-pi count-pi board-costs wheel wheel-aarch64 wheels micropython lint clean distclean fuzz sbom lock site soak

help: ## show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install what is missing and compile the kernels (EXTRAS="metrics report")
	@scripts/setup.sh $(EXTRAS)

build: setup ## the same: setup compiles whatever changed

demo: ## stream bundled speech through a harsh burst loss, write WAVs and a report (DEMO_ARGS=...)
	@scripts/setup.sh
	@$(VENV)/bin/dredge demo $(DEMO_ARGS)

test: ## run the tests, TEST_JOBS of them at once (PYTEST_ARGS="-k name")
	@scripts/setup.sh dev
	@$(VENV)/bin/python -m pytest -n $(TEST_JOBS) --dist worksteal $(PYTEST_ARGS)

test-nightly: ## what takes hours: every test, a minute per fuzz target, the arm64 wheel and the virtual Pi in every form
	@scripts/setup.sh dev
	@$(VENV)/bin/python -m pytest -n $(TEST_JOBS) --dist worksteal --nightly $(PYTEST_ARGS)
	@$(MAKE) --no-print-directory fuzz FUZZ_ARGS="--target all --seconds 60"
	@$(MAKE) --no-print-directory test-arm
	@$(MAKE) --no-print-directory test-pi PI_ARGS="--check"

wheel: ## a wheel for this machine in dist/, with libopus inside
	@scripts/setup.sh
	@scripts/wheel.sh native

wheel-aarch64: ## a wheel for 64-bit Raspberry Pi OS in dist/, cross-compiled
	@scripts/setup.sh
	@scripts/wheel.sh aarch64

wheels: ## both wheels: one each for x86-64 and 64-bit ARM serves Python 3.11, 3.12 and 3.13
	@scripts/setup.sh
	@scripts/wheel.sh native
	@scripts/wheel.sh aarch64

test-arm: ## the arm64 wheel on emulated Pi 3, 4 and 5 processors (ARM_ARGS="--short")
	@scripts/setup.sh dev
	@$(VENV)/bin/python scripts/test_arm.py $(ARM_ARGS)

test-pi: ## the real agent on a virtual Pi that counts instructions (PI_ARGS="--mips 500 --model standard --json")
	@scripts/setup.sh dev >&2
	@PYTHONPATH=scripts $(VENV)/bin/python -m virtual_pi $(PI_ARGS)

count-pi: ## instructions per 20 ms of the receive path on an emulated arm64 processor (COUNT_ARGS="--model small --json")
	@scripts/setup.sh dev >&2
	@PYTHONPATH=scripts $(VENV)/bin/python -m instruction_count $(COUNT_ARGS)

board-costs: ## milliseconds of the whole receive path on each board, from counted instructions
	@scripts/setup.sh dev >&2
	@$(VENV)/bin/python tests/arm/cycles/board_costs.py $(BOARD_ARGS)

fuzz: ## 10 million hostile packets through kernels with sanitisers, or guided (FUZZ_ARGS="--target all --seconds 60")
	@scripts/setup.sh dev
	@scripts/fuzz.sh $(FUZZ_ARGS)

micropython: ## the board programs: fetch MicroPython, test with it, print the size of each .mpy file
	@scripts/setup.sh dev
	@$(VENV)/bin/python scripts/mpy.py

sbom: ## bills of materials (CycloneDX) of a board's packages and of the base install in dist/
	@scripts/setup.sh dev
	@mkdir -p dist
	@for l in host/dredge_host/assets/device-lock.txt locks/base.txt; do \
		$(VENV)/bin/uv tool run -q --from cyclonedx-bom cyclonedx-py requirements --pyproject pyproject.toml $$l \
			-o dist/$$(basename $$l .txt).cdx.json; done

lock: ## pin the packages anew from pyproject.toml (locks/)
	@scripts/setup.sh dev
	@scripts/lock.sh

soak: ## an hour of changing hosts on a device process (SOAK_ARGS="--minutes 2 --streams 4")
	@scripts/setup.sh dev
	@$(VENV)/bin/python scripts/soak.py $(SOAK_ARGS)

site: ## the documents as a site in dist/site, every link checked
	@scripts/setup.sh docs
	@NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --strict --quiet --site-dir dist/site
	@echo "open dist/site/index.html"

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
