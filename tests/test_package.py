"""Rules of the package as a whole: what importing it loads, and which module may know which."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import geocell

PACKAGE = Path(geocell.__file__).parent
HEAVY = ("torch", "transformers", "geopandas", "sklearn", "pandas", "scipy", "matplotlib", "h3", "shapely")


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(
    "code",
    [
        "import geocell",
        "from geocell.cli import main\ntry:\n    main(['--help'])\nexcept SystemExit:\n    pass",
        "from geocell.cli import main\ntry:\n    main(['fit-head', '--help'])\nexcept SystemExit:\n    pass",
        "from geocell.cli import main\ntry:\n    main(['partition', 'nuts', '--help'])\nexcept SystemExit:\n    pass",
    ],
)
def test_looking_at_the_package_loads_nothing_heavy(code: str) -> None:
    out = run(f"{code}\nimport sys\nprint('LOADED', [m for m in {HEAVY!r} if m in sys.modules])")
    assert out.strip().endswith("LOADED []")


def test_every_public_name_is_there() -> None:
    for name in geocell.__all__:
        assert getattr(geocell, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = geocell.nonsense
    assert set(dir(geocell)) == set(geocell.__all__)


def test_the_lazy_names_and_the_typed_ones_agree() -> None:
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    typed = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("geocell.")
        for alias in node.names
    }
    assert typed == set(geocell.__all__)


def test_only_the_command_prints() -> None:
    for path in PACKAGE.rglob("*.py"):
        calls = {
            node.func.id
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }
        assert "print" not in calls or path.parent.name == "cli", path
