# Short names for what one does here; the work itself is in tests/.
.DEFAULT_GOAL := help
.PHONY: help venv lint unit test demo bench clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-6s %s\n", $$1, $$2}' Makefile

venv: .venv/.made ## .venv with all tools, from the newest fitting Python
.venv/.made: pyproject.toml tests/lab/venv.sh
	@tests/lab/venv.sh

lint: venv ## ruff, mypy, import table, ansible-lint, changelog, docs, sanity
	@tests/lab/lint.sh

unit: venv ## what needs no engine: seconds
	.venv/bin/pytest tests/unit

test: venv ## everything: lint, then all tests; sets up what it needs (as root on Debian)
	@tests/lab/test.sh

demo: venv ## a stack on this machine, deployed to before your eyes
	.venv/bin/python -m tests.demo

bench: venv ## measure beside the anchors; ONLY=name for one
	.venv/bin/python -m tests.bench $(ONLY)

clean: venv ## take away what the demo made
	.venv/bin/python -m tests.demo clean
