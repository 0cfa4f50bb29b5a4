"""Three servers for each module of a fleet's tests; each test has them serve one of two versions before it begins."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab import images
from tests.lab.fleet import APPS, SHOP, VERSIONS, Fleet, fleet


@pytest.fixture(scope="module")
def servers() -> Iterator[Fleet]:
    """Three of them, the disk of the last one small; removed at the end."""
    for version in VERSIONS:
        images.app(version)
    with fleet(3, *APPS, small="server3", stackswap_services={"shop": dict(SHOP)}) as made:
        yield made
