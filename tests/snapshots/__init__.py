"""What users rely on, as text that is read as a whole: public names, flags of every command, error sentences.

Write the files anew after a change that is meant: python -m tests.snapshots
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import geocell
from geocell.cli.app import build_app

HERE = Path(__file__).parent
PACKAGE = Path(geocell.__file__).parent


def public_names() -> str:
    """Return every public name with its signature, and the public members of classes."""
    lines: list[str] = []
    for name in sorted(geocell.__all__):
        value = getattr(geocell, name)
        if inspect.isclass(value):
            lines += [f"class {name}{_fields(value)}", *_members(value)]
        elif callable(value):
            lines.append(f"def {name}{_signature(value)}")
        else:
            lines.append(f"{name}: {type(value).__name__}")
    return "\n".join(lines) + "\n"


def _fields(cls: type) -> str:
    if is_dataclass(cls):
        return f"({', '.join(item.name for item in fields(cls) if item.init)})"
    return ""


def _members(cls: type) -> Iterator[str]:
    for name, member in sorted(vars(cls).items()):
        if name.startswith("_"):
            continue
        function = member.__func__ if isinstance(member, classmethod | staticmethod) else member
        if inspect.isfunction(function):
            yield f"    {name}{_signature(function)}"
        elif isinstance(member, property) or type(member).__name__ == "cached_property":
            yield f"    {name}"


def _signature(function: Callable[..., Any]) -> str:
    """Return the parameters by name, with their defaults; types are checked elsewhere."""
    parts = []
    for parameter in inspect.signature(function).parameters.values():
        star = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
        if (
            parameter.kind is inspect.Parameter.KEYWORD_ONLY
            and "*" not in parts
            and not any(part.startswith("*") for part in parts)
        ):
            parts.append("*")
        default = parameter.default
        shown = "" if default is inspect.Parameter.empty else f"={_default(default)}"
        parts.append(f"{star}{parameter.name}{shown}")
    return f"({', '.join(parts)})"


def _default(value: object) -> str:
    return f"{type(value).__name__}()" if is_dataclass(value) else repr(value)


def command_flags() -> str:
    """Return every command with its arguments and flags, in the order of its help."""
    lines: list[str] = []
    app = build_app()
    for name in sorted(app.resolved_commands()) if hasattr(app, "resolved_commands") else sorted(app):
        _command(app[name], name, lines)
    return "\n".join(lines) + "\n"


def _command(app: Any, name: str, lines: list[str]) -> None:
    if name.startswith("-"):
        return
    inner = [part for part in sorted(app) if not part.startswith("-")]
    if inner:
        for part in inner:
            _command(app[part], f"{name} {part}", lines)
        return
    lines.append(f"geocell {name}")
    for argument in app.assemble_argument_collection(parse_docstring=False):
        if argument.show:
            names = " ".join(argument.names)
            lines.append(f"    {names}{' (needed)' if argument.required else ''}")


def error_sentences() -> str:
    """Return every message that is raised, by file; what is filled in stands in braces."""
    lines: list[str] = []
    for path in sorted(PACKAGE.rglob("*.py")):
        found = sorted({f"    {kind}: {text}" for kind, text in _raised(ast.parse(path.read_text(encoding="utf-8")))})
        if found:
            lines += [str(path.relative_to(PACKAGE.parent).as_posix()), *found]
    return "\n".join(lines) + "\n"


def _raised(tree: ast.AST) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.args and (kind := _error_name(node.func)):
            text = _text(node.args[0])
            if text:
                yield kind, " ".join(text.split())


def _error_name(function: ast.expr) -> str:
    name = (
        function.id if isinstance(function, ast.Name) else function.attr if isinstance(function, ast.Attribute) else ""
    )
    return name if name.endswith(("Error", "_error")) else ""


def _text(node: ast.expr) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(
            str(part.value) if isinstance(part, ast.Constant) else f"{{{ast.unparse(part.value)}}}"
            for part in node.values
            if isinstance(part, ast.Constant | ast.FormattedValue)
        )
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _text(node.left) + _text(node.right)
    return ""


SNAPSHOTS: Mapping[str, Callable[[], str]] = {
    "names.txt": public_names,
    "flags.txt": command_flags,
    "errors.txt": error_sentences,
}
