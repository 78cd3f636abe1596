"""What has to hold before a release: builds the distributions and checks them as their users get them.

Usage: python tools/release_check.py [--constraints constraints.txt], with `build` and `twine` installed. The checked
distributions are left in dist/. Whether the README's links are absolute depends on GEOCELL_PROJECT_URL, see
hatch_build.py.
"""

from __future__ import annotations

import argparse
import email
import email.message
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterable
from html.parser import HTMLParser
from pathlib import Path
from typing import NoReturn, cast

ROOT = Path(__file__).resolve().parents[1]
DIST = ROOT / "dist"
INSTALLED = "datasets,maps,quickstart,remote"
"""Extras that are installed; the others are resolved only, because they are large or need another build of torch."""
N_LOCATIONS = 60


def main() -> None:
    """Build, check and install; end with exit status 1 and one sentence where something does not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--constraints", type=Path, default=ROOT / "constraints.txt")
    constraints = parser.parse_args().constraints.resolve()
    sdist, wheel = build()
    require_contents(sdist, wheel)
    metadata = read_metadata(wheel)
    require_versions(metadata["Version"])
    require_absolute_links(metadata)
    with tempfile.TemporaryDirectory() as folder:
        run_from_the_wheel(wheel, metadata, constraints, Path(folder))
    say(f"{sdist.name} and {wheel.name} in {DIST.name}/ can be released")


def build() -> tuple[Path, Path]:
    """Return the sdist, and the wheel that was built from it, both accepted by `twine check`."""
    shutil.rmtree(DIST, ignore_errors=True)
    run([sys.executable, "-m", "build", "--outdir", DIST, ROOT])
    (sdist,), (wheel,) = DIST.glob("*.tar.gz"), DIST.glob("*.whl")
    run([sys.executable, "-m", "twine", "check", "--strict", sdist, wheel])
    return sdist, wheel


def require_contents(sdist: Path, wheel: Path) -> None:
    """Require every tracked file in the sdist, hidden ones aside, and those of the package in the wheel."""
    tracked = run(["git", "-C", ROOT, "ls-files", "-z"]).split("\0")[:-1]
    with tarfile.open(sdist) as archive:
        in_sdist = {name.partition("/")[2] for name in archive.getnames()}
    in_wheel = set(zipfile.ZipFile(wheel).namelist())
    require_all((name for name in tracked if not name.startswith(".")), in_sdist, sdist)
    require_all([*(name for name in tracked if name.startswith("geocell/")), "geocell/py.typed"], in_wheel, wheel)
    say(f"contents: {len(in_sdist)} files in the sdist, {len(in_wheel)} in the wheel, none is missing")


def require_all(wanted: Iterable[str], found: set[str], archive: Path) -> None:
    """End when a file is missing in an archive."""
    missing = sorted(set(wanted) - found)
    if missing:
        fail(f"{archive.name} must contain {', '.join(missing[:5])} ({len(missing)} missing): see pyproject.toml")


def read_metadata(wheel: Path) -> email.message.Message:
    """Return the metadata of a wheel; its payload is the README."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return email.message_from_bytes(archive.read(name))


def require_versions(version: str) -> None:
    """Require the version in CITATION.cff and CHANGELOG.md, and that a tag of this commit names it as released."""
    cited = re.search(r"^version: (.*)$", (ROOT / "CITATION.cff").read_text(encoding="utf-8"), re.MULTILINE)
    if cited is None or cited[1] != version:
        fail(f"CITATION.cff must have the version {version}, got {cited and cited[1]}")
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    heading = re.search(rf"^## {re.escape(version)}\b.*$", changes, re.MULTILINE)
    if heading is None:
        fail(f"CHANGELOG.md must have a section on {version}")
    tags = [tag for tag in run(["git", "-C", ROOT, "tag", "--points-at", "HEAD"]).split() if tag.startswith("v")]
    if not tags:
        say(f"version: {version}, not tagged yet")
    elif tags != [f"v{version}"] or "unreleased" in heading[0]:
        fail(f"the tag v{version} and a released section of CHANGELOG.md must agree, got {tags} and {heading[0]!r}")
    else:
        say(f"version: {version}, tagged {tags[0]}")


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.targets: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002 - its caller's
        self.targets += [value or "" for name, value in attrs if name in {"href", "src", "srcset"}]


def require_absolute_links(metadata: email.message.Message) -> None:
    """Require a README without relative links or images, as the index renders it."""
    from readme_renderer.markdown import render

    html = render(cast("bytes", metadata.get_payload(decode=True)).decode("utf-8"))
    if not html:
        fail("README.md must be Markdown that the package index renders")
    links = _Links()
    links.feed(html)
    relative = [target for target in links.targets if not re.match(r"https?://|mailto:|#", target)]
    if relative:
        fail(f"README.md must have no relative link on the package index, got {', '.join(relative[:5])}")
    repository = [url for url in metadata.get_all("Project-URL", []) if url.startswith("Repository, ")]
    if repository:
        say(f"README: relative links were made absolute, {len(links.targets)} links; {repository[0]}")
    else:
        say("README: relative links and images were replaced by their text, because GEOCELL_PROJECT_URL is not set")


def run_from_the_wheel(wheel: Path, metadata: email.message.Message, constraints: Path, folder: Path) -> None:
    """Install a wheel with its extras in an empty environment, and run the command in an empty folder."""
    run([sys.executable, "-m", "venv", folder / "venv"])
    python, command = folder / "venv/bin/python", folder / "venv/bin/geocell"
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--constraint", constraints]
    torch = re.search(r"^torch==.*$", constraints.read_text(encoding="utf-8"), re.MULTILINE)
    run([*pip, torch[0] if torch else "torch"])  # first and exactly, as in the Makefile
    run([*pip, f"{wheel}[{INSTALLED}]"])
    for extra in sorted(set(metadata.get_all("Provides-Extra", [])) - set(INSTALLED.split(","))):
        run([*pip, "--dry-run", f"{wheel}[{extra}]"])
    (folder / "empty").mkdir()
    version = run([command, "--version"], folder / "empty").strip()
    if version != metadata["Version"]:
        fail(f"geocell --version must print {metadata['Version']}, got {version!r}")
    if "quickstart" not in run([command, "--help"], folder / "empty"):
        fail("geocell --help must list its commands")
    quickstart = [command, "quickstart", "quickstart", "--n-locations", N_LOCATIONS, "--json"]
    said = json.loads(run(quickstart, folder / "empty"))
    if not said or not (folder / "empty/quickstart/map.png").stat().st_size:
        fail("geocell quickstart must leave a map")
    say(f"installed with {INSTALLED} in an empty environment: --version, --help and a quickstart ran")


def run(command: list[object], folder: Path | None = None) -> str:
    """Return what a command prints; end with what it said when it fails."""
    words = [str(word) for word in command]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}  # not the checkout
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=folder, env=environment)
    if done.returncode != 0:
        fail(f"`{' '.join(words)}` failed with exit status {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def say(text: str) -> None:
    """Print a line of the report."""
    print(text, flush=True)


def fail(text: str) -> NoReturn:
    """End with one sentence."""
    raise SystemExit(f"release check: {text}.")


if __name__ == "__main__":
    main()
