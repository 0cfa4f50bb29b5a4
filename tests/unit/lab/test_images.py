"""The test images are made from nothing and do what tests ask of them."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator

import pytest

from tests.lab import building, images
from tests.lab.client import Load

pytestmark = pytest.mark.engine
APPLETS = "sh httpd sleep cat kill nc wget env id ls mkdir chmod test tail head grep sed"
USERS_FILE = b"""FROM python:3.12-slim
RUN pip install --quiet flask gunicorn && python -c 'import flask'
"""


def run(image: str, *words: str) -> str:
    """Run words in a container and return what they print."""
    return building.docker("run", "--rm", f"--label={building.LABEL}", image, *words)


def test_busybox_has_what_tests_use() -> None:
    found = run(images.busybox(), "sh", "-c", f"which {APPLETS} | wc -l; stat -c %a /tmp")
    assert found.split() == [str(len(APPLETS.split())), "1777"]


def test_versions_differ_in_one_small_layer() -> None:
    asked = "--format={{json .RootFS.Layers}}"
    tags = images.app("lab-1"), images.app("lab-2")
    one, two = (json.loads(building.docker("image", "inspect", asked, tag)) for tag in tags)
    assert one[:-1] == two[:-1] and one[-1] != two[-1]


def test_what_was_made_is_removed_by_its_label() -> None:
    label, tag = "stackswap.test.removal=1", "stackswap-test/removal:1"
    kept = images.busybox()
    packed = building.context({"Dockerfile": f"FROM {kept}\nLABEL {label}\n".encode()})
    building.build(tag, packed, {kept: kept})
    container = building.docker("create", tag)
    images.remove(label=label)
    assert not building.exists(tag) and container not in building.docker("ps", "-aq", "--no-trunc")
    assert building.exists(kept)


@pytest.mark.slow
def test_a_users_dockerfile_may_pip_install() -> None:
    packed = building.context({"Dockerfile": USERS_FILE})
    tag = building.build("stackswap-test/pip:1", packed, images.contexts())
    assert "gunicorn" in run(tag, "gunicorn", "--version")
    building.docker("image", "rm", tag)


@pytest.fixture
def app() -> Iterator[str]:
    """Run the application and yield its container's id."""
    tag = images.app("lab-1", exit_code=4)
    container = building.docker("run", "-d", f"--label={building.LABEL}", tag)
    yield container
    building.docker("rm", "--force", container)


def test_the_application_is_served_and_goes_when_told(app: str) -> None:
    asked = "--format={{.NetworkSettings.IPAddress}}"
    address = building.docker("inspect", asked, app)
    until = time.monotonic() + 10
    while "listens" not in building.docker("logs", app) and time.monotonic() < until:
        time.sleep(0.05)
    with Load(address, 8080, rate=100, websocket=True, session=0.3) as load:
        time.sleep(1)
    report = load.report()
    assert report.lost == 0 and list(report.versions) == ["lab-1"], report
    begun = time.monotonic()
    subprocess.run(["docker", "stop", app], check=True, capture_output=True)
    assert time.monotonic() - begun < 9
    assert building.docker("inspect", "--format={{.State.ExitCode}}", app) == "4"
