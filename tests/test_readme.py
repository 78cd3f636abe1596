"""The README says what the files of the repository say."""

import re
import shlex
from pathlib import Path

import pytest

from benchmarks.readme import PAGES, fill
from geocell.cli.app import build_app

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("page", PAGES)
def test_generated_parts_are_what_their_sources_give(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    assert fill(text, page) == text
    with pytest.raises(ValueError, match="markers"):
        fill("nothing")


def test_every_path_it_links_is_there() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    assert len(links) > 4
    for link in links:
        assert (ROOT / link).exists(), link


def test_its_commands_are_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    blocks = "\n".join(body for language, body in fenced if not language)
    lines = [part.strip() for line in blocks.splitlines() for part in line.split("&&")]
    commands = {line for line in lines if re.match(r"geocell [a-z-]+ ", line)}
    assert len(commands) >= 4
    for command in commands:
        _, bound, _ = build_app().parse_args(shlex.split(command)[1:], exit_on_error=False, print_error=False)
        assert bound.arguments
