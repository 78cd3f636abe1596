"""Names of repositories on the Hub, checked before anybody is asked about them."""

from __future__ import annotations

import re
from dataclasses import dataclass

MAIN = "main"

_NAME = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+))?", re.ASCII)


@dataclass(frozen=True)
class HubName:
    """A repository at a revision, written `user/repo@revision`.

    Attributes:
        repo: `user/repo`.
        revision: branch, tag or commit.
    """

    repo: str
    revision: str = MAIN

    def __str__(self) -> str:
        """Return `user/repo@revision`."""
        return f"{self.repo}@{self.revision}"

    @classmethod
    def parse(cls, text: str) -> HubName:
        """Read `user/repo` or `user/repo@revision`.

        Raises:
            ValueError: for anything else, and for a name that the Hub does not have.
        """
        found = _NAME.fullmatch(text)
        if found is None:
            raise ValueError(f"a repository on the Hub is written user/repo or user/repo@revision, got {text!r}.")
        if reason := why_no_name(found["repo"]):
            raise ValueError(f"a repository on the Hub needs a name that the Hub takes, got {text!r}: {reason}")
        return cls(found["repo"], found["revision"] or MAIN)


def why_no_name(repo: str) -> str:
    """Return why a repository or data set on the Hub cannot be called this, "" when it can; huggingface_hub says."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]  # public, and not in __all__

    try:
        validate_repo_id(repo)
    except HFValidationError as error:
        return str(error)
    return ""
