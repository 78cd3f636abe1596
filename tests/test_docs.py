"""The pages of the documentation: what they link is there, their commands parse, their tutorials run as written."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import geocell
from geocell.cli.app import build_app
from geocell.quickstart.world import make_world

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(path for path in DOCS.rglob("*.md") if "_build" not in path.parts and path.name != "commands.md")
TUTORIALS = sorted((DOCS / "tutorials").glob("*.md"))
FIRST = DOCS / "tutorials" / "own-photos.md"  # the others go on in its folder
_BLOCK = re.compile(r"^(<!-- not run: .+? -->\n)?```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_NEEDS_NETWORK = re.compile(r"^(pip|git|make) ")


def named(paths: list[Path]) -> list[str]:
    return [path.relative_to(DOCS).as_posix() for path in paths]


def shell_lines(text: str) -> list[str]:
    """Return the commands of a page: continued lines joined, without comments."""
    blocks = [body for _, language, body in _BLOCK.findall(text) if language in ("", "sh")]
    joined = "\n".join(blocks).replace("\\\n", " ")
    return [part.strip() for line in joined.splitlines() for part in line.split("&&")]


def slug(heading: str) -> str:
    """Return the anchor that a host of Markdown, and MyST, give a heading."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=named(PAGES))
def test_every_file_and_heading_that_a_page_links_is_there(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if "://" in link:
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        assert target.exists(), f"{page.name} links {link}"
        if anchor:
            headings = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in map(slug, headings), f"{page.name} links {link}"


@pytest.mark.parametrize("page", PAGES, ids=named(PAGES))
def test_every_command_of_a_page_is_a_command(page: Path) -> None:
    for line in shell_lines(page.read_text(encoding="utf-8")):
        words = shlex.split(line, comments=True)
        if words[:1] == ["geocell"] and len(words) > 2 and "…" not in line:
            build_app().parse_args(words[1:], exit_on_error=False, print_error=False)


def test_every_public_name_has_its_place_in_the_reference() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in (DOCS / "reference").glob("*.md"))
    assert sorted(re.findall(r"^\.\. auto\w+:: (\w+)$", text, re.MULTILINE)) == geocell.__all__[1:]


@pytest.mark.slow
@pytest.mark.timeout(1800)  # some forty commands, each a process of its own
def test_tutorials_run_as_written_one_after_the_other(tmp_path: Path) -> None:
    world = tmp_path / "world"
    make_world(world, n_locations=150)
    tmp_path.joinpath("photos").symlink_to(world / "images")
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    environment |= {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    for page in (FIRST, *(page for page in TUTORIALS if page != FIRST)):
        blocks = [
            (language, body)
            for not_run, language, body in _BLOCK.findall(page.read_text(encoding="utf-8"))
            if language in ("sh", "python") and not not_run and not _NEEDS_NETWORK.match(body)
        ]
        assert blocks, f"{page.name} has nothing to run"
        for language, body in blocks:
            command = [sys.executable, "-c"] if language == "python" else ["bash", "-euo", "pipefail", "-c"]
            done = subprocess.run(
                [*command, body], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, f"{page.name}:\n{body}\n{done.stdout}\n{done.stderr}"
