"""The command and the surroundings in which ansible-playbook runs: the caller's, with few additions.

What the caller has set stays, in the environment or in ansible.cfg: a default of ours goes only
where neither says anything, for a variable would win over the file.
"""

from __future__ import annotations

import configparser
import json
import os
import shutil
import stat
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from stackswap.errors import StackswapError
from stackswap.spec import Spec

COLLECTION = ("ansible_collections", "stackswap", "bluegreen")
# variable: (value, the other variables that say the same, the key in ansible.cfg, its sections)
DEFAULTS = {
    "ANSIBLE_PIPELINING": (
        "1", ("ANSIBLE_SSH_PIPELINING",), "pipelining", ("connection", "ssh_connection", "defaults"),
    ),
    "ANSIBLE_SSH_ARGS": (
        "-C -o ControlMaster=auto -o ControlPersist=120s -o ServerAliveInterval=5 -o ServerAliveCountMax=3",
        (), "ssh_args", ("ssh_connection",),
    ),
    "ANSIBLE_GATHERING": ("explicit", (), "gathering", ("defaults",)),
}  # fmt: skip
LONGEST_HOME = 60  # a control path is a socket: 108 bytes, 17 of them for ssh itself


@dataclass(frozen=True)
class Play:
    """What runs: ansible-playbook, its arguments, the variables added to the caller's."""

    binary: str
    arguments: tuple[str, ...]
    playbook: str
    environment: Mapping[str, str]


def plan(spec: Spec, job: str, stop: Path, environ: Mapping[str, str], playbook: str = "") -> Play:
    """The play for what was asked. playbook: another than the job's own."""
    extra, cfg = json.dumps(spec.extra_vars(job)), configuration(environ)
    return Play(
        binary=ansible_playbook(),
        arguments=("-e", extra, *spec.options),
        playbook=playbook or f"stackswap.bluegreen.{spec.kind.replace('-', '_')}",
        environment={
            **surroundings(environ, cfg, sys.stdout.isatty()),
            **collections(environ, cfg),
            "STACKSWAP_STOP": str(stop),
        },
    )


def surroundings(environ: Mapping[str, str], cfg: configparser.RawConfigParser, terminal: bool) -> dict[str, str]:
    """The defaults that the caller has not set otherwise."""
    added = {
        name: value
        for name, (value, others, key, sections) in DEFAULTS.items()
        if not any(other in environ for other in (name, *others))
        and not any(cfg.has_option(section, key) for section in sections)
    }
    # ansible-runner puts these two before ansible.cfg, and turns the check of host keys off.
    if "ANSIBLE_HOST_KEY_CHECKING" not in environ:
        added["ANSIBLE_HOST_KEY_CHECKING"] = _option(cfg, "defaults", "host_key_checking") or "True"
    callbacks = _option(cfg, "defaults", "callback_plugins")
    if callbacks and "ANSIBLE_CALLBACK_PLUGINS" not in environ:
        added["ANSIBLE_CALLBACK_PLUGINS"] = _absolute(callbacks, cfg)
    if not terminal and not {"ANSIBLE_FORCE_COLOR", "ANSIBLE_NOCOLOR"} & set(environ):
        added["ANSIBLE_NOCOLOR"] = "1"
    return {**added, **_control_path(environ, cfg)}


def configuration(environ: Mapping[str, str]) -> configparser.RawConfigParser:
    """The ansible.cfg that Ansible will read, in its order; empty if there is none."""
    cfg = configparser.RawConfigParser(inline_comment_prefixes=(";",), strict=False)
    here = Path.cwd()
    given = environ.get("ANSIBLE_CONFIG", "")
    if given:
        path = Path(given).expanduser()
        places = [path / "ansible.cfg" if path.is_dir() else path]
    else:
        places = []
    if not here.stat().st_mode & stat.S_IWOTH:
        places.append(here / "ansible.cfg")
    places += [Path("~/.ansible.cfg").expanduser(), Path("/etc/ansible/ansible.cfg")]
    found = next((place for place in places if place.is_file()), None)
    if found:
        try:
            cfg.read_string(found.read_text(encoding="utf-8"), str(found))
        except (OSError, ValueError, configparser.Error):
            return configparser.RawConfigParser()  # Ansible itself will say what is wrong with it
        cfg.folder = str(found.parent)  # type: ignore[attr-defined]
    return cfg


def collections(environ: Mapping[str, str], cfg: configparser.RawConfigParser) -> dict[str, str]:
    """Where the collection is, if ansible-playbook would not find it by itself.

    It looks through the path of its interpreter: a wheel or an editable install needs nothing.
    """
    root = _checkout()
    if root is None or _on_path(root):
        return {}
    home = environ.get("ANSIBLE_HOME", "~/.ansible")
    known = (
        environ.get("ANSIBLE_COLLECTIONS_PATH")
        or environ.get("ANSIBLE_COLLECTIONS_PATHS")
        or _absolute(_option(cfg, "defaults", "collections_path"), cfg)
        or _absolute(_option(cfg, "defaults", "collections_paths"), cfg)
        or f"{home}/collections:/usr/share/ansible/collections"
    )
    return {"ANSIBLE_COLLECTIONS_PATH": f"{known}:{root}"}


def ansible_playbook() -> str:
    """The ansible-playbook of the interpreter that runs us, else the first on the path."""
    scripts = Path(sysconfig.get_path("scripts"))
    for place in (Path(sys.executable).parent, Path(sys.prefix) / "bin", scripts):
        if os.access(place / "ansible-playbook", os.X_OK):
            return str(place / "ansible-playbook")
    found = shutil.which("ansible-playbook")
    if found is None:
        raise StackswapError("ansible-playbook is not installed beside stackswap: pip install ansible-core")
    return found


def _checkout() -> Path | None:
    """The folder that holds ansible_collections, in a checkout; None where a wheel holds it."""
    package = Path(__file__).resolve().parent
    if package.parent.joinpath(*COLLECTION).is_dir():
        return None
    root = package.parents[1] / "playbooks" / "collections"
    return root if root.joinpath(*COLLECTION).is_dir() else None


def _on_path(root: Path) -> bool:
    """Whether an editable install put the folder on the interpreter's path."""
    named = Path(sysconfig.get_path("purelib")).glob("*.pth")
    return any(str(root) in pth.read_text(errors="replace").split("\n") for pth in named)


def _option(cfg: configparser.RawConfigParser, section: str, key: str) -> str:
    return cfg.get(section, key, fallback="").strip()


def _absolute(paths: str, cfg: configparser.RawConfigParser) -> str:
    """Paths of a configuration are relative to it; those of a variable to where one is."""
    folder = getattr(cfg, "folder", "")
    split = (os.path.expanduser(path.strip()) for path in paths.split(":"))
    return ":".join(os.path.join(folder, path) for path in split if path)


def _control_path(environ: Mapping[str, str], cfg: configparser.RawConfigParser) -> dict[str, str]:
    """Where a home is too long for a socket's name, the sockets go to the runtime directory."""
    names = ("ANSIBLE_SSH_CONTROL_PATH", "ANSIBLE_SSH_CONTROL_PATH_DIR", "ANSIBLE_HOME")
    keys = ("control_path", "control_path_dir")
    said = any(name in environ for name in names) or any(cfg.has_option("ssh_connection", key) for key in keys)
    runtime = environ.get("XDG_RUNTIME_DIR", "")
    if said or not runtime or len(os.path.expanduser("~")) <= LONGEST_HOME:
        return {}
    return {"ANSIBLE_SSH_CONTROL_PATH_DIR": f"{runtime}/stackswap-cp"}
