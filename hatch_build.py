"""Metadata that is made as the package is built: the README as a package index shows it, and the project's addresses.

An index shows README.md away from its repository, where relative links and images lead nowhere. With the environment
variable GEOCELL_PROJECT_URL (the address of the repository on a GitHub or GitLab server) they become absolute, at the
tag of the version, and the metadata names the repository. Without it they are replaced by their text.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

VARIABLE = "GEOCELL_PROJECT_URL"

# A code block or span, which stays as it is, or a link or image, whose text may hold one more pair of brackets.
_PARTS = re.compile(
    r"(?P<code>^```.*?^```|`[^`\n]+`)|(?P<image>!?)\[(?P<text>(?:[^\[\]]|\[[^\]]*\])*)\]\((?P<target>[^()\s]+)\)",
    re.MULTILINE | re.DOTALL,
)


class ProjectMetadataHook(MetadataHookInterface):
    """Fills the dynamic fields `readme` and `urls`."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set both, from README.md and GEOCELL_PROJECT_URL.

        Raises:
            ValueError: when GEOCELL_PROJECT_URL is not an http(s) URL.
        """
        url = project_url(os.environ.get(VARIABLE, ""))
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        metadata["readme"] = {
            "content-type": "text/markdown",
            "text": for_package_index(text, url, f"v{metadata['version']}"),
        }
        metadata["urls"] = urls(url)


def project_url(text: str) -> str:
    """Return the address of the repository without a slash at its end; "" where none is given.

    Raises:
        ValueError: when it is not an http(s) URL.
    """
    url = text.strip().rstrip("/")
    if url and not re.fullmatch(r"https?://[^\s/]+/\S+", url):
        raise ValueError(f"{VARIABLE} must be the http(s) URL of the repository, got {text!r}: correct it or unset it.")
    return url


def urls(url: str) -> dict[str, str]:
    """Return the addresses that an index lists beside the README."""
    if not url:
        return {}
    pages = {"Documentation": "tree/HEAD/docs", "Changelog": "blob/HEAD/CHANGELOG.md", "Issues": "issues"}
    return {"Repository": url, **{name: f"{url}/{page}" for name, page in pages.items()}}


def for_package_index(text: str, url: str, tag: str) -> str:
    """Return Markdown whose relative links and images are absolute, or their text where no URL is given.

    Args:
        text: Markdown of the repository's root.
        url: address of the repository, or "".
        tag: revision that absolute links lead to.
    """

    def replaced(match: re.Match[str]) -> str:
        if match["code"] is not None:
            return match[0]
        label, target = for_package_index(match["text"], url, tag), match["target"]
        if re.match(r"[a-z][a-z0-9+.-]*:", target):
            return f"{match['image']}[{label}]({target})"
        if not url:
            return label
        path = f"README.md{target}" if target.startswith("#") else target
        return f"{match['image']}[{label}]({url}/{'raw' if match['image'] else 'blob'}/{tag}/{path})"

    return _PARTS.sub(replaced, text)
