# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kinds of value an option may have, each a reader: it answers the value or what is wrong.

Nothing is converted silently: YAML has made 1.1 of 1.10 and 2013 of 33:33 before we see it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import BadInput
from ansible_collections.stackswap.bluegreen.plugins.module_utils.merge import absent

Reader = Callable[[Any], Any]
QUOTE = "quote it"
LONGEST_SHOWN = 60


class Wrong(BadInput):
    """A value is refused. path leads to it from where the reader was called."""

    def __init__(self, why: str, path: tuple[Any, ...] = ()) -> None:
        """why goes on from the path: ``must be ..``."""
        super().__init__(f"{spelt(path)} {why}".strip())
        self.why, self.path = why, path


def spelt(path: tuple[Any, ...]) -> str:
    """A path as people write it: ``routes[0].host``."""
    text = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path)
    return text.lstrip(".")


def at(key: Any, read: Reader, value: Any) -> Any:
    """What the reader makes of a value that stands under this key."""
    try:
        return read(value)
    except Wrong as wrong:
        raise Wrong(wrong.why, (key, *wrong.path)) from None


def named(value: Any) -> str:
    """What kind of thing it is, without telling it."""
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, (int, float)):
        return "a number"
    if isinstance(value, str):
        return "text"
    if isinstance(value, Mapping):
        return "a dictionary"
    return "a list" if isinstance(value, (list, tuple)) else f"of type {type(value).__name__}"


def shown(value: Any) -> str:
    """The value itself, where it is short."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (Mapping, list, tuple)):
        return named(value)
    text = repr(value if not isinstance(value, str) else str.__str__(value))
    return text if len(text) <= LONGEST_SHOWN else text[: LONGEST_SHOWN - 2] + ".."


# -- simple ones ----------------------------------------------------------------------------------


def plain(value: Any) -> Any:
    """Text as Python knows it; an encrypted value is an object in ansible-core 2.18."""
    if getattr(value, "yaml_tag", "") == "!vault":
        return str(value)
    return str.__str__(value) if isinstance(value, str) else value


def text(value: Any) -> str:
    """Text, and nothing that YAML took for something else."""
    value = plain(value)
    if not isinstance(value, str):
        raise Wrong(f"must be text, not {shown(value)}: {QUOTE}")
    if "\0" in value:
        raise Wrong("has a NUL character in it")
    return value


def secret(value: Any) -> str:
    """Text that is never told."""
    value = plain(value)
    if not isinstance(value, str) or "\0" in value:
        raise Wrong(f"must be text, not {named(value)}: {QUOTE}")
    return value


def matching(pattern: str, like: str) -> Reader:
    """Text of this form."""
    form = re.compile(pattern)

    def read(value: Any) -> str:
        found = text(value)
        if not form.fullmatch(found):
            raise Wrong(f"must be {like}, not {shown(found)}")
        return found

    return read


def choice(*words: str) -> Reader:
    """One of these words."""

    def read(value: Any) -> str:
        found = text(value)
        if found not in words:
            raise Wrong(f"must be one of {', '.join(words)}, not {shown(found)}")
        return found

    return read


def yes_no(value: Any) -> bool:
    """True or false, and no word for it."""
    if not isinstance(value, bool):
        raise Wrong(f"must be true or false, not {shown(value)}")
    return value


def number(low: int, high: int, unit: str = "") -> Reader:
    """A whole number in a range. Digits in quotes are one too: extra variables arrive so."""
    like = f"must be a whole number{unit} from {low} to {high}"

    def read(value: Any) -> int:
        digits = isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,9}", value)
        if not digits and (isinstance(value, bool) or not isinstance(value, int)):
            raise Wrong(f"{like}, not {shown(value)}")
        if not low <= int(value) <= high:
            raise Wrong(f"{like}, not {int(value)}")
        return int(value)

    return read


def seconds(least: float = 0) -> Reader:
    """A time in seconds."""
    like = f"must be a number of seconds, {least:g} or more"

    def read(value: Any) -> float:
        found = _float(value)
        if not least <= found < math.inf:
            raise Wrong(f"{like}, not {shown(value)}")
        return found

    return read


def share(value: Any) -> float:
    """A part of all, as 0.1 for a tenth."""
    found = _float(value)
    if not 0 <= found <= 1:
        raise Wrong(f"must be a share from 0 to 1, as 0.1 for a tenth, not {shown(value)}")
    return found


def rate(most: float) -> Reader:
    """How many in a second."""

    def read(value: Any) -> float:
        found = _float(value)
        if not 0 <= found <= most:
            raise Wrong(f"must be a number a second, from 0 to {most:g}, not {shown(value)}")
        return found

    return read


def _float(value: Any) -> float:
    """The number, and what is no number at all if it is none."""
    try:
        return float(value) if not isinstance(value, bool) else math.nan
    except (TypeError, ValueError, OverflowError):
        return math.nan


def cpus(value: Any) -> str:
    """A number of processors, always written alike: 1.50 is 1.5."""
    try:
        found = Decimal(str(value)) if not isinstance(value, bool) else Decimal("NaN")
    except InvalidOperation:
        found = Decimal("NaN")
    if not found.is_finite() or not 0 < found <= 4096:
        raise Wrong(f"must be a number of processors above 0, as 1.5, not {shown(value)}")
    return f"{found.normalize():f}"


# -- made of others -------------------------------------------------------------------------------


def items(read: Reader, *, keep_empty: bool = False) -> Reader:
    """A list of values that all read alike; empty texts count as absent unless they are kept."""

    def read_all(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, (list, tuple)):
            raise Wrong(f"must be a list, not {shown(value)}")
        given = [(n, one) for n, one in enumerate(value) if keep_empty or not absent(one)]
        return tuple(at(n, read, one) for n, one in given)

    return read_all


def pairs(key: Reader, read: Reader = text) -> Reader:
    """A dictionary of names and values, answered as sorted pairs; an empty value is absent."""

    def read_all(value: Any) -> tuple[tuple[str, Any], ...]:
        if not isinstance(value, Mapping):
            told = named(value) if read is secret else shown(value)
            raise Wrong(f"must be a dictionary, not {told}")
        given = {name: one for name, one in value.items() if not absent(one)}
        return tuple(sorted((at(n, key, n), at(n, read, one)) for n, one in given.items()))

    return read_all
