"""stackswap init [FOLDER]: an ops repository to start from."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import TextIO

from stackswap.errors import Usage
from stackswap.spec import Spec

HIDDEN = {"gitignore": ".gitignore"}  # a file of that name would be meant for this repository
NEXT = """\
Replace what says FILL IN in {services}
and in {hosts}, then:

  stackswap setup -i {inventory}
"""


def run(spec: Spec, out: TextIO) -> int:
    """Write the files and say what to do next. Nothing that is there is ever overwritten."""
    folder = Path(spec.service or ".")
    wanted = {folder / HIDDEN.get(name, name): text for name, text in starter().items()}
    there = [str(path) for path in wanted if path.exists()]
    if there:
        raise Usage(f"{', '.join(there)} would be overwritten: name a new folder, stackswap init FOLDER")
    try:
        for path, text in wanted.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise Usage(f"{error.filename} cannot be written: {error.strerror}") from error
    print("\n".join(f"wrote {path}" for path in wanted) + "\n", file=out)
    inventory = folder / "inventories/production"
    services, hosts = inventory / "group_vars/all/services.yml", inventory / "hosts.yml"
    print(NEXT.format(services=services, hosts=hosts, inventory=inventory), end="", file=out)
    return 0


def starter() -> dict[str, str]:
    """Each file by its path in the new repository."""
    root = Path(str(resources.files("stackswap") / "starter"))
    found = sorted(path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): path.read_text(encoding="utf-8") for path in found}
