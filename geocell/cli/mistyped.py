"""What a command line lacks, or has too much of, in one sentence with the next step."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from cyclopts import CycloptsError, MissingArgumentError, UnusedCliTokensError

from geocell.views.delimited import is_delimited
from geocell.views.packed import table_suffix


def mistyped(error: CycloptsError) -> str | None:
    """Return what is wrong with a command line and what to type, None where the error says that itself."""
    command = " ".join(["geocell", *(error.command_chain or ())])
    see = f"see `{command} --help`."
    if isinstance(error, UnusedCliTokensError) and error.unused_tokens:
        return _beyond(command, error.unused_tokens, error) or (
            f"`{command}` takes fewer arguments without a flag, got {error.unused_tokens[0]} beyond them: say by its "
            f"flag what it is, or leave it out; {see}"
        )
    if type(error) is not MissingArgumentError or error.argument is None:
        return None
    name = error.argument.name
    if error.keyword is not None or error.argument.tokens:
        return (
            None if error.argument.token_count()[0] > 1 else f"{error.keyword or name} needs a value, got none: {see}"
        )
    _, is_near, near = str(error).partition(" Did you mean ")
    if is_near:
        return f"`{command}` needs {name}, got none: did you mean {near} Else {see}"
    value = {int: "NUMBER", float: "NUMBER", Path: "PATH"}.get(error.argument.hint, "VALUE")
    add = f"add `{name} {value}`" if name.startswith("-") else "name it"
    return f"`{command}` needs {name}, got none: {add}, {see}"


def _beyond(command: str, unused: Sequence[str], error: CycloptsError) -> str | None:
    """Return how tables of predictions are named that were typed where heads are, None for something else."""
    if command not in {"geocell score", "geocell compare"}:
        return None
    typed = [token for token in error.root_input_tokens or () if is_table_file(token)]
    if not is_table_file(unused[0]):
        return None
    name = command.removeprefix("geocell ")
    return (
        f"{name} takes heads without a flag, got the table {unused[0]} beyond them: to {name} tables of predictions, "
        f"type {tables_command(name, typed)}."
    )


def tables_command(name: str, typed: Sequence[str]) -> str:
    """Return the command that scores or compares tables which were typed in this order, the truth last."""
    n = 1 if name == "score" else 2
    names = [*typed[: n + 1], *["FILE"] * (n + 1 - len(typed))]
    return f"`geocell {name} --predictions {shlex.join(names[:n])} --truth {shlex.join(names[n:])}`"


def is_table_file(text: str) -> bool:
    """Return whether an argument is a table that is there."""
    known = is_delimited(text) or table_suffix(text) in {".jsonl", ".parquet", ".xlsx"}
    return known and not text.startswith("-") and Path(text).is_file()
