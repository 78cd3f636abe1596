"""What is installed, built and published: versions that agree, a README whose links lead somewhere, nothing unsafe."""

import importlib.util
import json
import re
import tomllib
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from markdown_it import MarkdownIt
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import geocell

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
README = (ROOT / "README.md").read_text(encoding="utf-8")
URL = "https://git.example/me/geocell"


def requirements(*extras: str) -> list[Requirement]:
    """Return what the package needs, and what the extras need beside it."""
    texts = [*PROJECT["dependencies"], *(text for name in extras for text in PROJECT["optional-dependencies"][name])]
    found = [Requirement(text) for text in texts]
    return [requirement for requirement in found if requirement.name != PROJECT["name"]]


def pins(name: str) -> dict[str, Version]:
    """Return the versions that a file of constraints states."""
    lines = [line for line in (ROOT / name).read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    return {canonicalize_name(package): Version(version) for package, version in (line.split("==") for line in lines)}


def lowest(requirement: Requirement) -> Version:
    (floor,) = (part.version for part in requirement.specifier if part.operator == ">=")
    return Version(floor)


def test_the_lowest_versions_are_those_that_are_tested() -> None:
    tested = requirements("gazetteer", "lite0", "towers", "timm", "torchvision", "maps", "remote", "quickstart", "test")
    assert {canonicalize_name(r.name): lowest(r) for r in tested} == pins("constraints-min.txt")


def test_the_versions_that_are_installed_are_admitted() -> None:
    pinned = pins("constraints.txt")
    for requirement in requirements(*(set(PROJECT["optional-dependencies"]) - {"timm", "torchvision"})):
        name = canonicalize_name(requirement.name)
        assert name in pinned, f"constraints.txt must pin {name}"
        assert requirement.specifier.contains(pinned[name]), f"{requirement} does not admit {pinned[name]}"


@pytest.mark.parametrize(
    "part",
    [
        {"gen": [{"key": "TEMPLATE", "url": "a", "dimensions": {"i": {"stop": 1}}}]},
        {"templates": {"a": "b"}, "refs": {"key": ["{{a}}TEMPLATE", 0, 1]}},
    ],
    ids=["generated", "named"],
)
def test_a_reference_file_runs_nothing(tmp_path: Path, part: dict[str, Any]) -> None:
    """Versions of fsspec before 2026.6 render its Jinja templates without a sandbox, and run what they say."""
    import fsspec
    from jinja2.exceptions import SecurityError

    mark, references = tmp_path / "mark", tmp_path / "references.json"
    template = "{{ cycler.__init__.__globals__.os.mkdir('" + str(mark) + "') }}"
    references.write_text(json.dumps({"version": 1, **part}).replace("TEMPLATE", template))
    with suppress(SecurityError):
        fsspec.filesystem("reference", fo=str(references), simple_templates="gen" in part)
    assert not mark.exists()


@pytest.fixture(scope="module")
def build() -> ModuleType:
    """The metadata hook of the build, which is no module of the package."""
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def targets(markdown: str) -> list[str]:
    """Return where the links and images of a page lead."""
    found: list[Any] = []
    for block in MarkdownIt().enable("table").parse(markdown):
        found += [token.attrs.get("href", token.attrs.get("src")) for token in block.children or []]
        found += re.findall(r'(?:src|href|srcset)="([^"]*)"', block.content if block.type == "html_block" else "")
    return [target for target in found if target]


def test_the_readme_has_relative_links_that_an_index_cannot_follow(build: ModuleType) -> None:
    relative = [target for target in targets(README) if "://" not in target]
    assert len(relative) > 4
    without = build.for_package_index(README, "", "v1.2.3")
    assert [target for target in targets(without) if "://" not in target] == []
    absolute = targets(build.for_package_index(README, URL, "v1.2.3"))
    assert len(absolute) == len(targets(README))
    assert {f"{URL}/{kind}/v1.2.3/{target}" for kind in ("raw", "blob") for target in relative} >= set(absolute) - set(
        targets(README)
    )


@pytest.mark.parametrize(
    ("markdown", "with_url", "without"),
    [
        ("see [the docs](docs/a.md#b).", f"see [the docs]({URL}/blob/v1/docs/a.md#b).", "see the docs."),
        ("![a map](docs/a.png)", f"![a map]({URL}/raw/v1/docs/a.png)", "a map"),
        ("[`a`](b.md)", f"[`a`]({URL}/blob/v1/b.md)", "`a`"),
        ("[![a](b.png)](c.md)", f"[![a]({URL}/raw/v1/b.png)]({URL}/blob/v1/c.md)", "a"),
        ("[up](#try-it)", f"[up]({URL}/blob/v1/README.md#try-it)", "up"),
        ("[x](https://a.example/b)", "[x](https://a.example/b)", "[x](https://a.example/b)"),
        ("`[x](y)` [x](y)", f"`[x](y)` [x]({URL}/blob/v1/y)", "`[x](y)` x"),
        ("```\n[x](y)\n```\n", "```\n[x](y)\n```\n", "```\n[x](y)\n```\n"),
    ],
)
def test_links_of_a_page_on_a_package_index(build: ModuleType, markdown: str, with_url: str, without: str) -> None:
    assert build.for_package_index(markdown, URL, "v1") == with_url
    assert build.for_package_index(markdown, "", "v1") == without


def test_metadata_follow_the_address_of_the_project(build: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    hook = build.ProjectMetadataHook(str(ROOT), {})
    for value, expected in (("", set()), (f" {URL}/ ", {URL, f"{URL}/issues"})):
        monkeypatch.setenv("GEOCELL_PROJECT_URL", value)
        metadata: dict[str, Any] = {"version": "1.2.3"}
        hook.update(metadata)
        assert set(metadata["urls"].values()) >= expected
        assert bool(metadata["urls"]) == bool(expected)
        assert metadata["readme"]["content-type"] == "text/markdown"
        assert (f"{URL}/blob/v1.2.3/" in metadata["readme"]["text"]) == bool(expected)
    monkeypatch.setenv("GEOCELL_PROJECT_URL", "me/geocell")
    with pytest.raises(ValueError, match=r"must be the http.* URL of the repository, got 'me/geocell'"):
        hook.update({"version": "1.2.3"})


def test_the_citation_has_the_version_of_the_package() -> None:
    cited = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {geocell.__version__}\n" in cited
    assert re.search(rf"^## {re.escape(geocell.__version__)}\b", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)


def test_users_see_the_types() -> None:
    assert (Path(geocell.__file__).parent / "py.typed").is_file()
