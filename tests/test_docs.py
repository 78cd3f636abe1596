"""The pages of the documentation: what they link is there, their commands parse, their tutorials run as written."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import geocell as gc
from geocell.cli.app import build_app
from geocell.quickstart.world import make_world
from tests.local_hub import Hub

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
    assert sorted(re.findall(r"^\.\. auto\w+:: (\w+)$", text, re.MULTILINE)) == gc.__all__[1:]


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


def photographs(folder: Path, clusters: int = 40, each: int = 6) -> None:
    """Write small photographs of streets that are some hundred metres long, and their table."""
    rng = np.random.default_rng(0)
    towns = np.column_stack((rng.uniform(40, 55, clusters), rng.uniform(0, 20, clusters)))
    rows = ["image,lat,lon"]
    for i, (lat, lon) in enumerate(np.repeat(towns, each, axis=0) + rng.uniform(0, 0.003, (clusters * each, 2))):
        pixels = rng.integers(0, 256, (32, 32, 3)) // 2 + np.arange(3) * (i // each)
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{i:03d}.jpg")
        rows.append(f"{i:03d}.jpg,{lat:.6f},{lon:.6f}")
    (folder / "photos.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    for name in ("photo", "n", "e", "s", "w"):
        (folder / f"{name}.jpg").write_bytes((folder / "000.jpg").read_bytes())


BEFORE = {
    "README.md": "",
    "docs/combination.md": """
cells = [gc.KMeansPartitioner(k=k).fit(train.latlon) for k in (6, 9, 12)]
head_64, head_96, head_128 = (gc.fit_head(train, val, part, gc.FitConfig(epochs=2)) for part in cells)
""",
    "docs/report.md": """
other, found = head_64, cache.locations()
gc.make_splits(found.ids, found.latlon, buffer_km=1).save("splits.json")
""",
    "docs/zero-shot.md": "",
    "docs/design.md": """
import io, json, pathlib
f = io.StringIO(pathlib.Path("head/geocell_info.json").read_text(encoding="utf-8"))
""",
    "docs/encoders.md": "",
}
"""What stands for the reader's own objects, page by page; each page goes on with the names of those before."""


@pytest.mark.slow
@pytest.mark.loopback
@pytest.mark.timeout(900)
def test_python_of_the_pages_runs(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    towers = gc.load_image_text
    monkeypatch.setattr(gc, "StreetCLIP", lambda **_: gc.EfficientNetLite0(), raising=False)
    monkeypatch.setattr(gc, "load_image_text", lambda *_: towers("efficientnet-lite0"), raising=False)
    photographs(tmp_path)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for page, before in BEFORE.items():
        blocks = _BLOCK.findall((ROOT / page).read_text(encoding="utf-8"))
        code = [body for not_run, language, body in blocks if language == "python" and not not_run]
        assert code, f"{page} has no Python to run"
        for body in (before, *code):
            exec(compile(body, page, "exec"), names)  # noqa: S102 - pages of this repository
    assert "model.safetensors" in hub.files("me/streetview-eu-h3")
    assert (tmp_path / "report.html").is_file()


def test_all_python_is_run_or_says_why_not() -> None:
    pages = [ROOT / "README.md", *PAGES]
    found = {
        page.relative_to(ROOT).as_posix()
        for page in pages
        for not_run, language, _ in _BLOCK.findall(page.read_text(encoding="utf-8"))
        if language == "python" and not not_run
    }
    assert {page for page in found if not page.startswith("docs/tutorials/")} == set(BEFORE)
