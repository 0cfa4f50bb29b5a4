"""Applications of the platform start unchanged: their Dockerfiles, their base images' entrypoints."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils import service as services
from ansible_collections.stackswap.bluegreen.plugins.module_utils.custom_build_args import FILE
from ansible_collections.stackswap.bluegreen.plugins.module_utils.rawjson import BuildFailed
from ansible_collections.stackswap.bluegreen.plugins.module_utils.service import Definition
from tests.integration.test_build import SECRET, SH, Project, everything_in
from tests.lab import images
from tests.lab.building import build, context
from tests.lab.calls import Place, inside
from tests.lab.stack import Stack

pytestmark = pytest.mark.engine
BASE = "registry.artifakt.io/php:8.1-apache"

# Their Dockerfile, as most of their sample applications have it.
DOCKERFILE = f"""\
FROM {BASE}

ARG CODE_ROOT=.

COPY --chown=www-data:www-data $CODE_ROOT /var/www/html/

WORKDIR /var/www/html/

# copy the artifakt folder on root
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
RUN  if [ -d .artifakt ]; then cp -rp /var/www/html/.artifakt /.artifakt; fi

# run custom scripts build.sh
# hadolint ignore=SC1091
RUN --mount=source={FILE},target=/tmp/build-args \\
  if [ -f /tmp/build-args ]; then source /tmp/build-args; fi && \\
  if [ -f /.artifakt/build.sh ]; then /.artifakt/build.sh; fi
"""

# What the entrypoints of their base images do: link folders, then the application's own script.
LINKS = """\
#!/bin/bash
set -e
for folder in public/uploads; do
  rm -rf /var/www/html/$folder && mkdir -p /data/$folder &&
    mkdir -p $(dirname /var/www/html/$folder) && ln -sfn /data/$folder /var/www/html/$folder &&
    chown -h www-data:www-data /var/www/html/$folder /data/$folder
done
"""
STARTS = {
    "sourced if executable": '[[ -x "/.artifakt/entrypoint.sh" ]] && source /.artifakt/entrypoint.sh',
    "made executable and sourced": "chmod u+x /.artifakt/entrypoint.sh; source /.artifakt/entrypoint.sh",
    "run under a lock": "(flock -x -w 60 200; /.artifakt/entrypoint.sh) 200>/data/artifakt-entrypoint-lock",
}


@cache
def base(start: str) -> str:
    """A stand-in for one of their base images, with the entrypoint of its kind."""
    entry = f'{LINKS}{start}\nexec "$@"\n'
    text = (
        "FROM python:full\nCOPY docker-entrypoint.sh /usr/local/bin/\nRUN mkdir -p /data /var/www/html\n"
        'ENTRYPOINT ["docker-entrypoint.sh"]\nCMD ["echo", "started"]\n'
    )
    files = {"Dockerfile": text.encode(), "docker-entrypoint.sh": entry.encode()}
    tag = f"stackswap-test/platform:{hashlib.sha256(entry.encode()).hexdigest()[:12]}"
    return build(tag, context(files), {"python:full": images.python()})


class App(Project):
    """One of their applications."""

    start = STARTS["sourced if executable"]

    def build(self, **other: Any) -> Any:
        """Build it upon the stand-in."""
        return super().build(bases={BASE: base(self.start)}, **other)


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    """One with both callbacks; they say what they see."""
    made = App(tmp_path / "app")
    made.write("Dockerfile", DOCKERFILE, 0o644)
    made.write(".artifakt/build.sh", f'{SH}echo built >>ran; echo "$COLOR,$TOKEN" | sha256sum >seen\n')
    made.write(".artifakt/entrypoint.sh", f"{SH}echo entered\n")
    yield made
    made.remove()


def seen(color: str, token: str) -> str:
    """What build.sh leaves of the values it was given."""
    return hashlib.sha256(f"{color},{token}\n".encode()).hexdigest()


@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
def test_neither_script_runs_twice(app: App, start: str) -> None:
    """Their Dockerfile runs the one, their base image the other; the service says nothing of it."""
    app.start = start
    result = app.build()
    assert (result.choice.build, result.choice.entrypoint) == ("theirs", "theirs")
    assert app.run().stdout == "entered\nstarted\n"
    assert app.run("cat", "/var/www/html/ran").stdout == "entered\nbuilt\n"


def test_the_build_arguments_are_there_for_the_step_alone(app: App) -> None:
    """env and secrets, with no file in the context, nor anything of them in the image."""
    env, secrets = {"COLOR": "it's quite-blue"}, {"TOKEN": SECRET}
    first = app.build(env=env, secrets=secrets).after.id
    assert app.run("cat", "seen").stdout.split()[1] == seen("it's quite-blue", SECRET)
    kept = everything_in(app.tag)
    assert not [value for value in (SECRET, "quite-blue") if value.encode() in kept]
    assert app.run("ls", "/.stackswap", "/tmp/build-args", FILE).stdout == "entered\n"
    assert not (app.path / FILE).exists()
    assert (app.path / "Dockerfile").read_text() == DOCKERFILE
    assert app.build(env=env, secrets=secrets).after.id == first
    app.build(env=env, secrets={"TOKEN": "x" * len(SECRET)})
    assert app.run("cat", "seen").stdout.split()[1] == seen("it's quite-blue", "x" * len(SECRET))
    for label in ("1", "2"):  # as long as before: the builder must not take it for the one it has
        app.write("Dockerfile", f"{DOCKERFILE}LABEL changed={label}\n")
        assert dict(app.build(env=env, secrets=secrets).after.labels)["changed"] == label


def test_a_file_of_that_name_for_use_at_home_is_not_taken(app: App) -> None:
    """The platform ignored it too; what is said of a context's files still holds."""
    app.write(FILE, "export COLOR=home\n")
    app.write("Dockerfile.dockerignore", f"{FILE}\nnotes\n")
    app.write("notes", "x")
    app.build(env={"COLOR": "blue"}, secrets={"TOKEN": SECRET})
    assert app.run("cat", "seen").stdout.split()[1] == seen("blue", SECRET)
    assert app.run("ls", FILE, "notes").stdout == "entered\n"


def test_a_dockerfile_at_the_top_builds_the_folder_that_is_the_code(app: App) -> None:
    """By its argument CODE_ROOT, unless the service gives another."""
    app.write("shop/index.php", "<?php")
    app.build(folder="shop")
    assert app.run("ls").stdout.split() == ["entered", "index.php", "public"]
    app.build(folder="shop", args={"CODE_ROOT": "."})
    assert app.run("ls", "shop").stdout.split() == ["entered", "index.php"]


def test_their_folders_and_ours_are_the_same_links(app: App) -> None:
    """The base image links at each start what we linked at the build: no link leads to a link."""
    app.write("public/uploads/logo", "x\n")
    result = app.build(persistent=("public/uploads", "var"))
    assert result.after.entrypoint == ("/.stackswap/entrypoint", "docker-entrypoint.sh")
    shown = "readlink public/uploads var; cat public/uploads/logo; ls -d /data/*; touch var/x"
    for flags in ((), ("--tmpfs=/data",)):
        said = app.run("sh", "-c", shown, flags=flags)
        assert said.stdout.split() == ["entered", "/data/public/uploads", "/data/var", "x", "/data/public", "/data/var"]


def test_a_build_sh_that_their_dockerfile_cannot_run_is_told(app: App) -> None:
    """With the failure, since the platform gave a bare 126."""
    app.write(".artifakt/build.sh", SH, 0o644)
    with pytest.raises(BuildFailed) as failed:
        app.build()
    assert failed.value.facts["exit_code"] == 126
    assert ".artifakt/build.sh, which is not executable: chmod +x it" in failed.value.facts["hint"]


def test_a_base_that_is_nowhere_names_the_table(app: App) -> None:
    """Their registry is gone; the table says what stands for its images."""
    app.write("Dockerfile", DOCKERFILE.replace(BASE, "nosuch.invalid/php:7"))
    with pytest.raises(BuildFailed) as failed:
        app.build()
    assert (failed.value.cause, "nosuch.invalid/php:7" in failed.value.what) == ("base_image", True)
    assert "base_images" in failed.value.facts["hint"]


# -- on a stack

TOLD = "$ARTIFAKT_IS_MAIN_INSTANCE $ARTIFAKT_ENVIRONMENT_NAME $ARTIFAKT_MYSQL_HOST $ARTIFAKT_REPLICA_LIST $COLOR"
ENTERED = f"""#!/bin/bash
set -e
echo "{TOLD}" >/var/www/html/told
date >/var/www/html/public/uploads/entered
"""
ATTACHED = {"mysql": {"host": "db.test", "user": "shop", "password": "p"}}


class Shop(Place):
    """One of their applications as an inventory has it, with a database attached."""

    def wanted(self, **options: Any) -> Definition:
        """The definition, and what is attached."""
        return services.equipped(super().wanted(**options), None, ATTACHED)


@pytest.mark.slow
@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
def test_one_of_their_applications_is_deployed_and_swapped_under_load(app: App, start: str, tmp_path: Path) -> None:
    """On port 80, with what the platform told it and its folders in /data; both scripts are left to theirs."""
    app.start = start
    app.write(".artifakt/entrypoint.sh", ENTERED)
    repository, data = app.tag.rpartition(":")[0], tmp_path / "data"
    options = {"image": repository, "port": 80, "attach": ["mysql"], "env": {"COLOR": "green"}}
    options |= {"volumes": [f"{data}:/data"], "command": ["python3", "-u", "-m", "http.server", "80"]}
    local = {"ARTIFAKT_IS_MAIN_INSTANCE": "1", "ARTIFAKT_REPLICA_LIST": "192.0.2.11"}
    with Stack.made() as stack:
        shop = Shop(
            stack, "theirs", **{**options, "health": {"path": "/told", "deadline": 30, "min_healthy_time": 0.2}}
        )
        app.build()
        assert shop.call("1", local_env=local).result.error is None
        app.tag = f"{repository}:2"
        app.write("new", "x")
        app.build()
        with shop.load(30, path="/told", mix={"get": 2, "new": 2}) as load:
            assert shop.call("2", local_env=local).result.error is None
        (live,) = shop.live()
        told = inside(live, "cat", "/var/www/html/told")
    report = load.report()
    assert report.requests > 20 and report.lost == 0, (str(report), report.kinds)
    assert (told, live.version) == (f"1 {stack.name} db.test 192.0.2.11 green", "2")
    assert (data / "public/uploads/entered").exists()
