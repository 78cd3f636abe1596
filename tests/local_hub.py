"""A small Hub on loopback: the endpoints that huggingface_hub's client uses, kept in memory, failing on demand."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN = "hf_a_secret_that_nobody_may_read"  # noqa: S105 - of a Hub that lives for one test
USER = "me"
CUT = 0
"""The status of a failure that closes the connection in the middle of an answer."""

_ERROR_CODES = {"RepoNotFound": 404, "RevisionNotFound": 404, "EntryNotFound": 404, "GatedRepo": 403}
_LFS_SUFFIXES = (".safetensors", ".png", ".pt", ".bin", ".pkl")


@dataclass
class Repo:
    """A repository: every commit is a whole tree."""

    private: bool = False
    gated: bool = False
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Begin with an empty commit, as a new repository has one."""
        self.commit("main", {}, "initial commit")

    def commit(self, branch: str, tree: dict[str, bytes], message: str) -> str:
        """Put a tree on a branch and return the commit."""
        content = "\n".join([message, str(len(self.messages)), *sorted(tree)]).encode()
        sha = hashlib.sha1(content, usedforsecurity=False).hexdigest()
        self.commits[sha] = tree
        self.messages.append(message)
        self.branches[branch] = sha
        return sha

    def resolve(self, revision: str) -> str | None:
        """Return the commit that a branch, tag or commit means."""
        known = {**self.tags, **self.branches, **{sha: sha for sha in self.commits}}
        return known.get(revision)


@dataclass
class Failure:
    """A way to fail: requests that match get `status`, `times` times."""

    method: str
    path: str
    status: int
    times: int
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Request:
    """What a client asked."""

    method: str
    path: str
    token: str
    body: bytes


class Hub:
    """The state of the Hub, and what a test does to it."""

    def __init__(self) -> None:
        """Begin without repositories."""
        self.repos: dict[str, Repo] = {}
        self.blobs: dict[str, bytes] = {}
        self.requests: list[Request] = []
        self.failures: list[Failure] = []
        self.url = ""

    def put(self, repo_id: str, files: dict[str, bytes] | Path, branch: str = "main", **kw: Any) -> str:
        """Commit files, or those of a folder, to a repository, which is made if need be; return the commit."""
        if isinstance(files, Path):
            files = {p.relative_to(files).as_posix(): p.read_bytes() for p in files.rglob("*") if p.is_file()}
        repo = self.repos.setdefault(repo_id, Repo(**kw))
        tree = repo.commits[repo.branches.get(branch, repo.branches["main"])]
        return repo.commit(branch, {**tree, **files}, "put")

    def files(self, repo_id: str, revision: str = "main") -> dict[str, bytes]:
        """Return the tree of a repository at a revision."""
        repo = self.repos[repo_id]
        return repo.commits[str(repo.resolve(revision))]

    def fail(self, path: str, status: int, method: str = "", times: int = 10**6, **headers: str) -> None:
        """Fail requests whose path matches a regular expression, from now on."""
        self.failures.append(Failure(method, path, status, times, headers))

    def asked(self, path: str) -> list[Request]:
        """Return the requests whose path matches a regular expression."""
        return [request for request in self.requests if re.search(path, request.path)]


class _Refused(Exception):  # noqa: N818 - it is an answer, not an error
    def __init__(self, code: str, status: int = 0, message: str = "") -> None:
        super().__init__(code)
        self.code, self.status, self.message = code, status or _ERROR_CODES[code], message or code


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else the end of an answer waits 40 ms for an acknowledgement of its head
    hub: Hub

    def log_message(self, *_args: object) -> None:
        """Say nothing."""

    def _handle(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = self._chunks()
        self.token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        self.hub.requests.append(Request(self.command, self.path, self.token, body))
        self.cut = False
        parts = urlsplit(self.path)
        for failure in self.hub.failures:
            if failure.times and failure.method in ("", self.command) and re.search(failure.path, self.path):
                failure.times -= 1
                if failure.status != CUT:
                    self._send(failure.status, b'{"error": "asked to fail"}', failure.headers)
                    return
                self.cut = True
        try:
            self._route(unquote(parts.path), {k: v[0] for k, v in parse_qs(parts.query).items()}, body)
        except _Refused as error:
            headers = {"X-Error-Code": error.code, "X-Error-Message": error.message}
            self._send(error.status, json.dumps({"error": error.message}).encode(), headers)

    do_GET = do_HEAD = do_POST = do_PUT = _handle  # noqa: N815 - names of http.server

    def _chunks(self) -> bytes:
        body = b""
        while size := int(self.rfile.readline().strip(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _send(self, status: int, content: bytes = b"", headers: dict[str, str] | None = None) -> None:
        if self.cut and self.command != "HEAD":
            content, whole = content[: len(content) // 2], len(content)
            self.close_connection = True
            if not content:
                return
        else:
            whole = len(content)
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name.replace("_", "-"), value)
        if "Content-Length" not in (headers or {}):
            self.send_header("Content-Length", str(whole))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _json(self, value: object) -> None:
        self._send(200, json.dumps(value).encode())

    def _repo(self, repo_id: str, write: bool = False) -> Repo:
        mine = self.token == TOKEN and repo_id.split("/", maxsplit=1)[0] == USER
        repo = self.hub.repos.get(repo_id)
        if self.token not in ("", TOKEN):
            raise _Refused("", 401, "Invalid credentials in Authorization header")
        if repo is None or (repo.private and not mine):
            raise _Refused("RepoNotFound", 404 if self.token else 401)
        if write and not mine:
            raise _Refused("", 403, f"You don't have the rights to write to {repo_id}.")
        return repo

    def _commit_of(self, repo: Repo, revision: str) -> str:
        sha = repo.resolve(revision)
        if sha is None:
            raise _Refused("RevisionNotFound")
        return sha

    def _route(self, path: str, query: dict[str, str], body: bytes) -> None:
        for method, pattern, answer in _ROUTES:
            found = re.fullmatch(pattern, path)
            if found and self.command in method.split():
                answer(self, *found.groups(), query, body)
                return
        self._send(404, b'{"error": "no such endpoint"}')

    def create_repo(self, _query: dict[str, str], body: bytes) -> None:
        value = json.loads(body)
        repo_id = f"{value['organization'] or USER}/{value['name']}"
        if self.token != TOKEN:
            raise _Refused("", 401, "Invalid username or password.")
        if repo_id.split("/", maxsplit=1)[0] != USER:
            raise _Refused("", 403, f"You don't have the rights to create a model under {value['organization']}.")
        if repo_id in self.hub.repos:
            self._send(409, json.dumps({"url": f"{self.hub.url}/{repo_id}", "error": "exists"}).encode())
            return
        self.hub.repos[repo_id] = Repo(private=value.get("visibility") == "private" or bool(value.get("private")))
        self._json({"url": f"{self.hub.url}/{repo_id}"})

    def validate_card(self, _query: dict[str, str], body: bytes) -> None:
        from huggingface_hub import ModelCard

        errors = []
        try:
            asked = json.loads(body)
            data = ModelCard(asked["content"]).data
            needed = ("sdk", "app_file") if asked["repoType"] == "space" else ("license", "library_name")
            missing = [key for key in needed if not data.get(key)]
            errors = [{"message": f'"{key}" is required'} for key in missing]
        except Exception as error:  # whatever a card breaks is the answer
            errors = [{"message": str(error)}]
        self._send(400 if errors else 200, json.dumps({"errors": errors, "warnings": []}).encode())

    def model_info(self, repo_id: str, revision: str | None, _query: dict[str, str], _body: bytes) -> None:
        repo = self._repo(repo_id)
        sha = self._commit_of(repo, revision or "main")
        names = [{"rfilename": name} for name in sorted(repo.commits[sha])]
        self._json({"id": repo_id, "modelId": repo_id, "sha": sha, "private": repo.private, "siblings": names})

    def refs(self, repo_id: str, _query: dict[str, str], _body: bytes) -> None:
        repo = self._repo(repo_id)
        branches = [{"name": n, "ref": f"refs/heads/{n}", "targetCommit": c} for n, c in repo.branches.items()]
        tags = [{"name": n, "ref": f"refs/tags/{n}", "targetCommit": c} for n, c in repo.tags.items()]
        self._json({"branches": branches, "tags": tags, "converts": []})

    def branch(self, repo_id: str, name: str, _query: dict[str, str], _body: bytes) -> None:
        repo = self._repo(repo_id, write=True)
        if name in repo.branches:
            raise _Refused("", 409, "Reference already exists")
        repo.branches[name] = repo.branches["main"]
        self._json({})

    def paths_info(self, repo_id: str, revision: str, _query: dict[str, str], body: bytes) -> None:
        repo = self._repo(repo_id)
        files = repo.commits[self._commit_of(repo, revision)]
        entries: list[dict[str, Any]] = []
        for path in json.loads(body)["paths"]:
            if path in files:
                oid = _git_oid(files[path])
                entries.append({"type": "file", "path": path, "size": len(files[path]), "oid": oid})
            elif any(name.startswith(f"{path}/") for name in files):
                entries.append({"type": "directory", "path": path, "oid": _git_oid(path.encode())})
        self._json(entries)

    def tree(self, repo_id: str, revision: str, _query: dict[str, str], _body: bytes) -> None:
        repo = self._repo(repo_id)
        if repo.gated:
            raise _Refused("GatedRepo")
        entries = []
        for name, content in sorted(repo.commits[self._commit_of(repo, revision)].items()):
            entry: dict[str, Any] = {"type": "file", "path": name, "size": len(content), "oid": _git_oid(content)}
            if name.endswith(_LFS_SUFFIXES):
                sha256 = hashlib.sha256(content).hexdigest()
                entry["lfs"] = {"oid": sha256, "size": len(content), "pointerSize": 134}
            entries.append(entry)
        self._json(entries)

    def resolve(self, repo_id: str, revision: str, name: str, _query: dict[str, str], _body: bytes) -> None:
        repo = self._repo(repo_id)
        if repo.gated:
            raise _Refused("GatedRepo")
        sha = self._commit_of(repo, revision)
        content = repo.commits[sha].get(name)
        if content is None:
            self._send(404, b"", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": sha})
            return
        lfs = name.endswith(_LFS_SUFFIXES)
        etag = hashlib.sha256(content).hexdigest() if lfs else _git_oid(content)
        headers = {"X-Repo-Commit": sha, "ETag": f'"{etag}"', "Content-Type": "application/octet-stream"}
        if lfs:
            headers |= {"X-Linked-ETag": f'"{etag}"', "X-Linked-Size": str(len(content))}
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if asked:
            start, last = int(asked[1]), min(int(asked[2] or len(content)), len(content) - 1)
            headers["Content-Range"] = f"bytes {start}-{last}/{len(content)}"
            self._send(206, content[start : last + 1], headers)
        elif self.command == "HEAD":
            self._send(200, b"", {**headers, "Content-Length": str(len(content))})
        else:
            self._send(200, content, headers)

    def preupload(self, repo_id: str, revision: str, query: dict[str, str], body: bytes) -> None:
        repo = self._repo(repo_id, write="create_pr" not in query)
        tree = repo.commits[self._commit_of(repo, revision)]
        files = []
        for file in json.loads(body)["files"]:
            lfs = file["path"].endswith(_LFS_SUFFIXES)
            old = tree.get(file["path"])
            answer = {"path": file["path"], "uploadMode": "lfs" if lfs else "regular", "shouldIgnore": False}
            if old is not None:
                answer["oid"] = hashlib.sha256(old).hexdigest() if lfs else _git_oid(old)
            files.append(answer)
        self._json({"files": files})

    def lfs_batch(self, repo_id: str, _query: dict[str, str], body: bytes) -> None:
        self._repo(repo_id)
        objects = []
        for item in json.loads(body)["objects"]:
            entry = {"oid": item["oid"], "size": item["size"]}
            if item["oid"] not in self.hub.blobs:
                hrefs = {"upload": f"{self.hub.url}/lfs/{item['oid']}", "verify": f"{self.hub.url}/lfs-verify"}
                entry["actions"] = {name: {"href": href} for name, href in hrefs.items()}
            objects.append(entry)
        self._json({"objects": objects, "transfer": "basic"})

    def lfs_upload(self, oid: str, _query: dict[str, str], body: bytes) -> None:
        if hashlib.sha256(body).hexdigest() != oid:
            raise _Refused("", 400, "sha256 does not match")
        if not self.cut:
            self.hub.blobs[oid] = body
        self._send(200)

    def lfs_verify(self, _query: dict[str, str], body: bytes) -> None:
        self._send(200 if json.loads(body)["oid"] in self.hub.blobs else 404, b"{}")

    def commit(self, repo_id: str, revision: str, query: dict[str, str], body: bytes) -> None:
        repo = self._repo(repo_id, write="create_pr" not in query)
        parent = self._commit_of(repo, revision)
        tree = dict(repo.commits[parent])
        message = ""
        for line in body.splitlines():
            item = json.loads(line)
            value = item["value"]
            if item["key"] == "header":
                message = value["summary"]
                if value.get("parentCommit", parent) != parent:
                    raise _Refused("", 412, "A commit has happened since. Please refresh and try again.")
            elif item["key"] == "file":
                tree[value["path"]] = base64.b64decode(value["content"])
            elif item["key"] == "lfsFile":
                tree[value["path"]] = self.hub.blobs[value["oid"]]
            elif item["key"] == "deletedFile":
                del tree[value["path"]]
        pull_request = f"refs/pr/{len(repo.branches)}"
        sha = repo.commit(pull_request if query.get("create_pr") else revision, tree, message)
        self._json(
            {
                "commitUrl": f"{self.hub.url}/{repo_id}/commit/{sha}",
                "commitOid": sha,
                "pullRequestUrl": f"{self.hub.url}/{repo_id}/discussions/1" if query.get("create_pr") else None,
            }
        )


def _git_oid(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


_ID = r"([\w.-]+/[\w.-]+)"
_ROUTES: list[tuple[str, str, Callable[..., None]]] = [
    ("POST", r"/api/repos/create", _Handler.create_repo),
    ("POST", r"/api/validate-yaml", _Handler.validate_card),
    ("GET", rf"/api/(?:models|datasets|spaces)/{_ID}(?:/revision/(.+))?", _Handler.model_info),
    ("POST", rf"/api/datasets/{_ID}/paths-info/([^/]+)", _Handler.paths_info),
    ("GET", rf"/api/(?:models|spaces)/{_ID}/refs", _Handler.refs),
    ("POST", rf"/api/(?:models|spaces)/{_ID}/branch/(.+)", _Handler.branch),
    ("GET", rf"/api/(?:models|datasets)/{_ID}/tree/([^/]+)", _Handler.tree),
    ("POST", rf"/api/(?:models|spaces)/{_ID}/preupload/(.+)", _Handler.preupload),
    ("POST", rf"/api/(?:models|spaces)/{_ID}/commit/(.+)", _Handler.commit),
    ("POST", rf"(?:/spaces)?/{_ID}\.git/info/lfs/objects/batch", _Handler.lfs_batch),
    ("PUT", r"/lfs/(\w+)", _Handler.lfs_upload),
    ("POST", r"/lfs-verify", _Handler.lfs_verify),
    ("GET HEAD", rf"(?:/datasets|/spaces)?/{_ID}/resolve/([^/]+)/(.+)", _Handler.resolve),
]


@contextmanager
def serve() -> Iterator[Hub]:
    """Run a Hub on a free port of loopback until the block ends."""
    hub = Hub()
    handler = type("Handler", (_Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
