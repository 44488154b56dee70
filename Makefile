# Everything from a fresh clone: needs Python 3.11+ and make.
PYTHON ?= python3
STAMP := .venv/.installed

.PHONY: venv demo test lint bench clean

venv: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	touch $@

demo: venv
	.venv/bin/hc-batch demo demo

test: venv
	.venv/bin/python -m pytest

lint: venv
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports

bench: venv
	.venv/bin/hc-batch bench

clean:
	rm -rf .venv demo
