VENV   := .venv
PYTHON := $(VENV)/bin/python
READY  := $(VENV)/.ready

.DEFAULT_GOAL := help

.PHONY: help
help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(READY): pyproject.toml
	python3 -m venv $(VENV)
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $(READY)

.PHONY: setup
setup: $(READY) ## create .venv and install everything into it

.PHONY: train
train: $(READY) ## train the default run: digits on the CPU in minutes
	@$(VENV)/bin/gan-train

.PHONY: test
test: lint $(READY) ## check style and types, then run the default tests
	$(PYTHON) -m pytest -n auto --maxprocesses 8

.PHONY: test-thorough
test-thorough: $(READY) ## run the tests of many combinations
	$(PYTHON) -m pytest -n auto --maxprocesses 8 -m "thorough and not slow"

.PHONY: test-slow
test-slow: $(READY) ## run the tests that take minutes: wheel, kill -9, downloads
	$(PYTHON) -m pytest -m slow

.PHONY: lint
lint: $(READY)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

.PHONY: docs
docs: $(READY) ## write the tables of docs/divergences.md from the docstrings
	$(PYTHON) scripts/divergence_tables.py

.PHONY: gallery
gallery: $(READY) ## draw docs/ring.png: the same ring, every divergence
	$(PYTHON) docs/gallery.py

.PHONY: theory
theory: $(READY) ## run the experiments of docs/theory.md and draw its figures
	$(PYTHON) docs/figures.py

.PHONY: reproductions
reproductions: $(READY) ## train and measure what docs/reproductions.md reports: hours
	$(PYTHON) docs/reproductions.py

.PHONY: choosing
choosing: $(READY) ## train every divergence on toys and digits for docs/choosing.md: hours
	$(PYTHON) docs/choosing.py

.PHONY: bench
bench: $(READY) ## time training beside a tutorial's script: an hour or two on a CPU
	$(PYTHON) bench/speed.py

.PHONY: intervals
intervals: $(READY) ## count how often each number's interval holds what it is about
	$(PYTHON) scripts/intervals.py

.PHONY: adversarial
adversarial: $(READY) ## train and attack the classifiers of docs/adversarial.md: two hours
	$(PYTHON) docs/adversarial.py

.PHONY: covering
covering: $(READY) ## draw docs/covering.png: one Gaussian for two, under six divergences
	$(PYTHON) docs/covering.py

.PHONY: mutants
mutants: $(READY) ## plant 300 faults and count what the tests catch: half an hour
	$(PYTHON) scripts/mutants.py

.PHONY: clean
clean: ## remove what the targets above made, but no run
	rm -rf $(VENV) dist build .mypy_cache .pytest_cache .ruff_cache
