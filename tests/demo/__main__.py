"""`python -m tests.demo`: a stack on this machine, deployed to while a strict client asks.

`python -m tests.demo clean` takes it away.
"""

from __future__ import annotations

import json
import sys

from tests.demo import clean, story
from tests.demo.story import Failed


def main(words: list[str]) -> int:
    """Tell the story, its result as the last line; or clean up."""
    if words == ["clean"]:
        clean.everything()
        return 0
    if words:
        print("usage: python -m tests.demo [clean]", file=sys.stderr)
        return 2
    try:
        result = story.tell()
    except Failed as failed:
        print(f"\nThe demo failed: {failed}", flush=True)
        result = {"ok": False, "why": str(failed)}
    print(json.dumps(result), flush=True)
    return 0 if result["ok"] else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
