#!/usr/bin/env bash
# Runs every check that reads the code, each to its end, and names those that failed.
set -uo pipefail
cd "$(dirname "$0")/../.."
PATH=$PWD/.venv/bin:$PATH
failed=()

check() {
    local name=$1 began=$SECONDS
    shift
    if "$@"; then
        echo "lint: $name ok ($((SECONDS - began)) s)"
    else
        echo "lint: $name FAILED ($((SECONDS - began)) s)"
        failed+=("$name")
    fi
}

in_collection() { (cd collection && "$@"); }

check ruff ruff check --quiet --output-format concise
check format ruff format --check --quiet --output-format concise
check mypy mypy
check imports pytest -q --no-header tests/unit/test_imports.py
check ansible-lint ansible-lint -q --nocolor
check changelog in_collection antsibull-changelog lint
check docs antsibull-docs lint-collection-docs collection --plugin-docs --skip-rstcheck --validate-collection-refs=self
check sanity python -m tests.lab.sanity

if [ ${#failed[@]} -gt 0 ]; then
    echo "lint: failed: ${failed[*]}"
    exit 1
fi
