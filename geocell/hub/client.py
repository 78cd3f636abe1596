"""The Hub: files of a repository at a revision, one commit back, and every refusal as one sentence.

Logins are huggingface_hub's own (`hf auth login`, HF_TOKEN): no token is taken, printed or stored here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from geocell._version import __version__
from geocell.files import printable
from geocell.hub.names import MAIN, HubName

if TYPE_CHECKING:
    from huggingface_hub import HfApi

CARD_FILE = "README.md"

RepoKind = Literal["model", "space"]
"""What a repository is: weights, or an app that runs on the Hub."""

_TIMEOUT_S = 10.0
_PICKLES = (".bin", ".ckpt", ".joblib", ".pickle", ".pkl", ".pt", ".pth")


@dataclass(frozen=True)
class Snapshot:
    """Files of a repository at one commit.

    Attributes:
        name: where they are from.
        commit: the commit that the revision meant.
        folder: in huggingface_hub's cache, read-only.
    """

    name: HubName
    commit: str
    folder: Path


@dataclass(frozen=True)
class Remote:
    """A repository that is about to get a commit.

    Attributes:
        name: repository and branch.
        commit: where the branch is.
        files: what it holds.
        card: its model card in huggingface_hub's cache, unchecked; None when there is none.
        kind: what it is.
    """

    name: HubName
    commit: str
    files: tuple[str, ...]
    card: Path | None
    kind: RepoKind = "model"


def download(name: HubName, files: Sequence[str]) -> Snapshot:
    """Fetch the files of a repository that match patterns; what is cached is not fetched again.

    Args:
        name: repository and revision.
        files: names or patterns as `*.json`; nothing else is downloaded.

    Raises:
        FileNotFoundError: for no such repository or revision, or offline without a copy.
        PermissionError: when it is gated.
        ConnectionError: when the Hub cannot be reached, or fails.
    """
    from huggingface_hub import snapshot_download

    with _one_sentence(name):
        folder = Path(
            snapshot_download(
                name.repo,
                revision=name.revision,
                allow_patterns=list(files),
                library_name="geocell",
                library_version=__version__,
            )
        )
    return Snapshot(name, folder.name, folder)


def is_offline() -> bool:
    """Return whether HF_HUB_OFFLINE keeps every request from being sent."""
    from huggingface_hub.constants import is_offline_mode

    return is_offline_mode()


def pickles(snapshot: Snapshot) -> tuple[str, ...]:
    """Return the names of the pickles in a repository; none are known offline, or while the Hub does not answer."""
    if is_offline():
        return ()
    try:
        with _one_sentence(snapshot.name):
            info = _api().model_info(snapshot.name.repo, revision=snapshot.commit, timeout=_TIMEOUT_S)
    except OSError:
        return ()  # what is cached can be used without the Hub, and this is only a remark
    names = (sibling.rfilename for sibling in info.siblings or ())
    return tuple(name for name in names if name.lower().endswith(_PICKLES))


def open_repository(
    name: HubName, *, private: bool = False, create_pr: bool = False, kind: RepoKind = "model"
) -> Remote:
    """Make a repository and a branch where they do not exist, and look at what is there.

    Args:
        name: repository and branch.
        private: whether it must be private.
        create_pr: whether the commit will be a pull request, which needs no branch of its own.
        kind: what it is; a Space runs Gradio.

    Raises:
        PermissionError: without a login or the right to write, or when `private` is asked of a public repository.
        ValueError: when the revision is a tag.
        ConnectionError: when the Hub cannot be reached, or fails.
    """
    from huggingface_hub import hf_hub_download

    with _one_sentence(name, write=True):
        api = _api()
        sdk = "gradio" if kind == "space" else None
        api.create_repo(name.repo, repo_type=kind, space_sdk=sdk, private=private or None, exist_ok=True)
        if private and not api.repo_info(name.repo, repo_type=kind).private:
            raise PermissionError(
                f"{name.repo} was to be private and is public: change that in its settings, or push to another name."
            )
        if name.revision != MAIN and not create_pr:
            refs = api.list_repo_refs(name.repo, repo_type=kind)
            if name.revision in {tag.name for tag in refs.tags}:
                raise ValueError(f"{name} is a tag, which stays where it is: push to a branch.")
            if name.revision not in {branch.name for branch in refs.branches}:
                api.create_branch(name.repo, branch=name.revision, repo_type=kind, exist_ok=True)
        info: Any = api.repo_info(name.repo, revision=name.revision, repo_type=kind)
        files = tuple(sibling.rfilename for sibling in info.siblings or ())
        card = None
        if CARD_FILE in files:
            card = Path(hf_hub_download(name.repo, CARD_FILE, repo_type=kind, revision=info.sha))
    return Remote(name, str(info.sha), files, card, kind)


def commit(
    remote: Remote, add: Mapping[str, Path | bytes], remove: Iterable[str], message: str, *, create_pr: bool = False
) -> str:
    """Put files into a repository as one commit, and return its address.

    Large files that arrived before a failure are not sent again. When nothing differs there is no new commit, and the
    address is that of the last one.

    Args:
        remote: what `open_repository` returned; a branch that moved since is refused.
        add: name in the repository -> file or content.
        remove: names to delete.
        message: of the commit.
        create_pr: open a pull request instead.

    Raises:
        PermissionError: without the right to write.
        ConnectionError: when the Hub cannot be reached, or fails.
    """
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    operations: list[Any] = [CommitOperationAdd(name, source) for name, source in add.items()]
    operations += [CommitOperationDelete(name) for name in remove]
    with _one_sentence(remote.name, write=True):
        done = _api().create_commit(
            remote.name.repo,
            operations,
            repo_type=remote.kind,
            commit_message=message,
            revision=remote.name.revision,
            parent_commit=remote.commit,
            create_pr=create_pr,
        )
    return str(done.pr_url or done.commit_url)


def _api() -> HfApi:
    from huggingface_hub import HfApi

    return HfApi(library_name="geocell", library_version=__version__)


@contextmanager
def _one_sentence(name: HubName, write: bool = False) -> Iterator[None]:
    """Turn what huggingface_hub and the connection raise into a builtin exception that says what to do next."""
    from huggingface_hub import errors

    connection = errors.HfHubHTTPError.__bases__[0]  # the HTTP library's base of all its errors
    try:
        yield
    except Exception as error:
        causes = list(_causes(error))
        for cause in causes:
            if isinstance(cause, errors.HfHubHTTPError):
                raise _answered(name, cause, write) from error
        if write and any(isinstance(cause, errors.OfflineModeIsEnabled) for cause in causes):
            raise ConnectionError(f"{name} cannot be written to while HF_HUB_OFFLINE is set: unset it.") from error
        if any(isinstance(cause, errors.OfflineModeIsEnabled | errors.LocalEntryNotFoundError) for cause in causes):
            raise _not_here(name, any(isinstance(cause, errors.OfflineModeIsEnabled) for cause in causes)) from error
        if any(isinstance(cause, connection | json.JSONDecodeError) for cause in causes):
            raise _not_here(name, offline=False) from error
        raise


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _not_here(name: HubName, offline: bool) -> OSError:
    if offline:
        return FileNotFoundError(
            f"{name} is not wholly in the local cache, and HF_HUB_OFFLINE is set: "
            "fetch it once with the network on (`geocell pull`), or name a folder."
        )
    return ConnectionError(f"the Hub could not be reached for {name}: check the network and run the same again.")


def _answered(name: HubName, error: Any, write: bool) -> OSError:  # noqa: ANN401 - HfHubHTTPError, whose library is lazy
    """Return what a refusal of the Hub means for the user."""
    from huggingface_hub import errors
    from huggingface_hub.constants import ENDPOINT

    status, repo = error.response.status_code, name.repo
    missing = isinstance(error, errors.RepositoryNotFoundError)
    cases: list[tuple[bool, type[OSError], str]] = [
        (
            isinstance(error, errors.GatedRepoError),
            PermissionError,
            f"{repo} is gated: ask for access on {ENDPOINT}/{repo}, then log in with `hf auth login`.",
        ),
        (
            isinstance(error, errors.RevisionNotFoundError),
            FileNotFoundError,
            f"{repo} has no revision {name.revision!r}: its branches and tags are on {ENDPOINT}/{repo}.",
        ),
        (
            status == 401 and (write or not missing),
            PermissionError,
            f"the Hub wants a login for {repo}: run `hf auth login` with a token that is valid.",
        ),
        (
            missing,
            FileNotFoundError,
            f"there is no repository {repo} on the Hub that this login may see: check the name, and run "
            "`hf auth login` if it is private.",
        ),
        (
            status == 403 and write,
            PermissionError,
            f"this login may not write to {repo}: log in with a token that may (`hf auth login`), name a repository of "
            "your own, or propose it with --pr.",
        ),
        (
            status == 403,
            PermissionError,
            f"this login may not read {repo}: log in with a token that may (`hf auth login`).",
        ),
        (status in {409, 412}, ConnectionError, f"{name} changed while it was written to: run the same again."),
        (status == 429, ConnectionError, f"the Hub has had too many requests: wait some minutes, then ask for {name}."),
        (status >= 500, ConnectionError, f"the Hub failed with status {status} on {name}: run the same again later."),
    ]
    reason = printable(error.server_message or "no reason given")
    default = ConnectionError(f"the Hub refused {name} with status {status}: {reason}.")
    return next((kind(text) for applies, kind, text in cases if applies), default)
