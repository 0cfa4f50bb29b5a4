#!/usr/bin/env bash
# Everything: what reads the code beside what needs no engine; then what uses this machine's engine beside servers with
# engines of their own. Each runs to its end; of two that run at once, one shows its output when both are over.
set -uo pipefail
cd "$(dirname "$0")/../.."
mkdir -p .build
failed=()

beside() { # NAME COMMAND...: starts the command, its output kept
    "${@:2}" >".build/$1.log" 2>&1 &
    pid=$!
}

over() { # NAME: waits for it and shows what it said
    wait "$pid" || failed+=("$1")
    cat ".build/$1.log"
}

beside lint tests/lab/lint.sh
.venv/bin/pytest tests/unit || failed+=(unit)
over lint

.venv/bin/python -m tests.lab.ready || failed+=(ready)
beside fleet .venv/bin/pytest tests/fleet tests/mutants
.venv/bin/pytest tests/contract tests/integration || failed+=(engine)
over fleet

if [ ${#failed[@]} -gt 0 ]; then
    echo "test: failed: ${failed[*]}"
    exit 1
fi
echo "test: all passed"
