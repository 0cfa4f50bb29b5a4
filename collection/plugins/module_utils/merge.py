# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How an inventory's layers become one, and how a word that is not known is answered.

Kept apart from the options: neither needs to know what they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any


def absent(value: Any) -> bool:
    """Whether it counts as not given: null, and the empty text that a survey sends."""
    return value is None or (isinstance(value, str) and value == "")


def clean(value: Any) -> Any:
    """The same without what is absent, at every level of dictionaries; texts in lists stay."""
    if isinstance(value, Mapping):
        return {key: clean(one) for key, one in value.items() if not absent(one)}
    return [clean(one) for one in value] if isinstance(value, (list, tuple)) else value


def merged(base: Mapping[Any, Any], over: Mapping[Any, Any]) -> dict[Any, Any]:
    """The base with the other laid over it: dictionaries merge, all else replaces, null deletes.

    An empty text lays nothing over.
    """
    laid = {key: value for key, value in base.items() if key not in over or over[key] is not None}
    for key, value in over.items():
        if absent(value):
            continue
        below = laid.get(key)
        under = below if isinstance(below, Mapping) else {}
        laid[key] = merged(under, value) if isinstance(value, Mapping) else value
    return laid


def closest(word: Any, known: Iterable[str], synonyms: Mapping[str, str] | None = None) -> str:
    """The known word that was most likely meant, '' if none is near."""
    names = sorted(known)
    foreign = (synonyms or {}).get(str(word), "")
    return foreign if foreign in names else next(iter(get_close_matches(str(word), names, 1)), "")


def nearest(word: Any, known: Iterable[str], synonyms: Mapping[str, str] | None = None) -> str:
    """A sentence that helps from a word that is not known to one that is."""
    names = sorted(known)
    close = closest(word, names, synonyms)
    listed = f"known are {', '.join(names)}" if names else "none is known"
    return f"did you mean {close}?" if close else listed
