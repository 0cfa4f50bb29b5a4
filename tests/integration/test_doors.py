"""A deploy hangs a service's door: before anything else if it cannot, and without a restart if it can."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.fragments import CheckRefused
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import Bake, Door, Route
from tests.lab import images
from tests.lab.client import Load
from tests.lab.stack import Stack

pytestmark = [pytest.mark.engine, pytest.mark.slow]
BOGUS = Door(raw=("http-request bogus",))


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """One server with its proxy."""
    with Stack.made() as made:
        yield made


def test_a_door_changes_under_load_and_restarts_nothing(stack: Stack) -> None:
    """No request is lost to the reload, and every container is the one that it was; a bad one changes nothing."""
    service = stack.service("shop", bake=Bake(0.1))
    release = stack.release(service, "1.0", images.app("1.0"))
    with pytest.raises(CheckRefused, match="bogus"):
        stack.run(replace(service, door=BOGUS), release)
    assert stack.look(service).replicas == () and not stack.look(service).seen.registered
    assert stack.run(service, release).error is None
    before = stack.look(service).replicas
    with Load("127.0.0.1", stack.port, host="shop.test", rate=100, seconds=600, websocket=1, session=0.5) as load:
        for door in (Door(deny=("203.0.113.0/24",)), Door(raw=("http-response set-header x-own yes",)), Door()):
            wanted = replace(service, door=door)
            done = stack.run(wanted, release)
            assert done.error is None and "open" in [step.verb for step, _ in done.done]
            assert not {"start", "stop", "route"} & {step.verb for step, _ in done.done}
            assert [step.verb for step, _ in stack.run(wanted, release).done] == ["confirm"]
        with pytest.raises(CheckRefused):
            stack.run(replace(service, door=BOGUS), stack.release(service, "1.1", images.app("1.1")))
        report = load.report()
    assert report.lost == 0, report.kinds
    assert [(r.id, r.started) for r in stack.look(service).replicas] == [(r.id, r.started) for r in before]


def test_services_and_replicas_come_and_go_unnoticed(stack: Stack) -> None:
    """Each is a reload or two of the proxy, beside a service that is asked all the time."""
    shop, blog = (
        stack.service("shop", bake=Bake(0.1)),
        stack.service("blog", routes=(Route("blog.test"),), bake=Bake(0.1)),
    )
    image = images.app("1.0")
    assert stack.run(shop, stack.release(shop, "1.0", image)).error is None
    with Load("127.0.0.1", stack.port, host="shop.test", rate=100, seconds=600, websocket=1, session=0.5) as load:
        assert stack.run(blog, stack.release(blog, "1.0", image)).error is None
        for count in (2, 1):
            wanted = replace(shop, replicas=count)
            assert stack.run(wanted, stack.release(wanted, "1.0", image)).error is None
            assert len([r for r in stack.look(wanted).replicas if r.running]) == count
        assert stack.effects().proxy.remove(blog.key) is True
        report = load.report()
    assert report.lost == 0, report.kinds
    assert report.requests > 200
