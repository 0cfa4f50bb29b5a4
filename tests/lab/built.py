"""An application's folder and the image that is built of it, as the module builds it."""

from __future__ import annotations

import itertools
import json
import os
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible_collections.stackswap.bluegreen.plugins.module_utils import building, folder, git
from ansible_collections.stackswap.bluegreen.plugins.module_utils.building import Result
from ansible_collections.stackswap.bluegreen.plugins.module_utils.buildx import Buildx
from ansible_collections.stackswap.bluegreen.plugins.module_utils.images import Images
from ansible_collections.stackswap.bluegreen.plugins.module_utils.project import Tools, Wanted
from ansible_collections.stackswap.bluegreen.plugins.module_utils.request import Request
from ansible_collections.stackswap.bluegreen.plugins.module_utils.source import Source
from tests.lab.building import docker

COUNT = itertools.count()


class Code:
    """An application's folder and its image."""

    def __init__(self, path: Path, names: Mapping[str, str]) -> None:
        """The folder, and what names after FROM stand for."""
        self.path, self.names = path, {name: f"docker-image://{image}" for name, image in names.items()}
        self.repository = f"stackswap-test/built-code-{os.getpid()}-{next(COUNT)}"
        self.tag = f"{self.repository}:1"

    def write(self, files: Mapping[str, str]) -> None:
        """Write files of the application."""
        for name, text in files.items():
            path = self.path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def build(self, version: str = "1", **other: Any) -> Result:
        """Build it as the module does."""
        self.tag = f"{self.repository}:{version}"
        labels = {"stackswap.test": "1", "stackswap.test.project": self.repository}
        request = Request("", "", (), contexts=self.names, labels=labels)
        wanted = Wanted("shop", version, self.tag, Source(path=str(self.path)), request, **other)
        return building.build(wanted, Tools(Buildx(), Images(), folder, git, token=uuid.uuid4().hex[:12]))

    def layers(self) -> list[str]:
        """The layers of the image, the base's first."""
        return list(json.loads(docker("image", "inspect", self.tag))[0]["RootFS"]["Layers"])

    def config(self) -> dict[str, Any]:
        """What the image says of its containers."""
        return dict(json.loads(docker("image", "inspect", self.tag))[0]["Config"])

    def remove(self) -> None:
        """Remove all that was built of it."""
        listed = f"--filter=label=stackswap.test.project={self.repository}"
        found = docker("image", "ls", "--quiet", "--no-trunc", listed).split()
        if found:
            docker("image", "rm", "--force", *set(found))
