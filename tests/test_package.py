"""Rules of the package as a whole: what importing it loads, and which module may know which."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import geocell

PACKAGE = Path(geocell.__file__).parent
HEAVY = ("torch", "transformers", "geopandas", "sklearn", "pandas", "scipy", "matplotlib", "h3", "shapely")

# Imports go one way: a module may import, at its top, only modules of a lower level.
LEVELS = {
    "geodesy": 0, "files": 0, "intervals": 0, "downloads": 0, "parquet_rows": 0, "_version": 0, "locations": 1,
    "decoders": 1, "paths": 1, "losses": 1, "views": 2, "outlines": 1, "devices": 0, "shapes": 1, "neighbours": 1,
    "transforms": 1, "image_sources": 1, "hub": 1, "cache": 2.5, "torch_encoder": 2, "partitioners": 2, "recipe": 2,
    "encoders": 3, "splits": 3, "encoding": 4, "cells_geometry": 3, "offsets": 3, "inputs": 2, "card": 3, "head": 4,
    "head_files": 5, "published": 5, "metrics": 5, "scores": 4.5, "cores": 0, "near": 0.5, "validation": 5.5,
    "gradients": 2, "parallel": 2, "logs": 0, "batches": 5, "progress": 5, "step": 5.5, "blocks": 5.5,
    "ensemble": 5.5, "fit": 6, "audit": 6, "prediction": 6, "prediction_files": 6, "geolocator": 7, "rasters": 6,
    "report": 7, "maps": 7, "hub_names": 0, "card_text": 1, "card_metadata": 1, "head_config": 4.5, "tables": 0,
    "comparison": 8, "publish": 8, "sweeps": 8, "quickstart": 8, "cli": 9, "__main__": 10,
}  # fmt: skip


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
    assert typed == set(geocell.__all__) - {"__version__"}


def imports_at_top(path: Path) -> set[str]:
    """Names of geocell modules that a file imports when it is imported (not for type checking, not in functions)."""
    found: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "geocell":
            parts = (node.module or "").split(".")
            found |= {parts[1]} if len(parts) > 1 else {a.name for a in node.names if a.name[0] != "_"}
    return found


def test_imports_go_one_way() -> None:
    files = [p for p in PACKAGE.rglob("*.py") if p.name != "__init__.py" or p.parent != PACKAGE]
    assert len(files) > 20
    for path in files:
        parts = path.relative_to(PACKAGE).parts
        if parts[0] == "data":
            continue
        here = parts[0].removesuffix(".py")
        for other in imports_at_top(path) - {here}:
            assert LEVELS[other] < LEVELS[here], f"{path} imports geocell.{other}, which is not below it"


def test_only_the_command_prints() -> None:
    for path in PACKAGE.rglob("*.py"):
        calls = {
            node.func.id
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }
        assert "print" not in calls or path.parent.name == "cli", path
