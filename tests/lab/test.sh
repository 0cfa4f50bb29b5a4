#!/usr/bin/env bash
# Everything: what reads the code beside what needs no engine, then all on the real engine. Each runs to its end.
# Tests on the engine wait about as long as they work: three lanes of them fill two cores, more get in each other's way.
set -uo pipefail
cd "$(dirname "$0")/../.."
mkdir -p .build
failed=()

tests/lab/lint.sh >.build/lint.log 2>&1 &
lint=$!
.venv/bin/pytest tests/unit || failed+=(unit)
wait "$lint" || failed+=(lint)
cat .build/lint.log
.venv/bin/pytest -n 3 --dist loadscope tests/contract tests/integration tests/fleet tests/mutants || failed+=(engine)

if [ ${#failed[@]} -gt 0 ]; then
    echo "test: failed: ${failed[*]}"
    exit 1
fi
echo "test: all passed"
