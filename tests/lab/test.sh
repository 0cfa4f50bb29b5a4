#!/usr/bin/env bash
# Everything: what reads the code behind, with what is left of the processor, and all tests, in lanes side by side, for
# those of the real engine wait more than they work. What takes long begins; tests/conftest.py says what stays together.
set -uo pipefail
cd "$(dirname "$0")/../.."
mkdir -p .build
failed=()

nice -n 19 tests/lab/lint.sh >.build/lint.log 2>&1 &
lint=$!
.venv/bin/pytest -n "${LANES:-4}" --dist loadscope --no-loadscope-reorder \
    tests/fleet tests/integration tests/mutants tests/contract tests/unit || failed+=(tests)
wait "$lint" || failed+=(lint)
cat .build/lint.log

if [ ${#failed[@]} -gt 0 ]; then
    echo "test: failed: ${failed[*]}"
    exit 1
fi
echo "test: all passed"
