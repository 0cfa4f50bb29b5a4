"""Base images that were in the platform's registry, and what stands for them now."""

from __future__ import annotations

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils.platform_images import notes, stand_ins

PHP = "registry.artifakt.io/php:8.1-apache"
CASES = {
    "a language": (f"FROM {PHP}\nCOPY . .\n", {PHP: "php:8.1-apache"}),
    "in a stage, for a platform": (f"FROM x\nfrom --platform=linux/amd64 {PHP} AS last", {PHP: "php:8.1-apache"}),
    "a framework, whose code was in it": ("FROM registry.artifakt.io/magento:2.4-apache\n", {}),
    "another registry": ("FROM registry.example.com/php:8.1-apache\n", {}),
    "not after FROM": (f"# FROM {PHP}\nRUN echo FROM {PHP}\n", {}),
    "by digest": (f"FROM {PHP}@sha256:{'1' * 64}\n", {}),
}


@pytest.mark.parametrize(("text", "found"), CASES.values(), ids=CASES)
def test_official_images_stand_for_those_of_languages(text: str, found: dict[str, str]) -> None:
    """Which is told; what the service says itself stands."""
    assert stand_ins(text, {}) == found
    assert stand_ins(text, {PHP: "docker-image://mine"}) == {}
    assert [PHP in note for note in notes(found)] == [True] * len(found)
