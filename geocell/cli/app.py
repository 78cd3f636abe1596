"""The app: commands, recipes as defaults of flags, errors as one sentence, third parties kept quiet."""

from __future__ import annotations

import io
import logging
import os
import re
import sys
import warnings
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

from cyclopts import App, ArgumentCollection, CycloptsError, Group, Parameter
from cyclopts.config import Dict

from geocell._version import __version__
from geocell.cli.commands import GROUPS, Family
from geocell.cli.output import UsageError, fitted_to_terminal, note
from geocell.compute.signals import interrupted_by_signals, interrupted_status, raise_lost_interrupt
from geocell.files import printable

USER_ERRORS = (ValueError, OSError, ImportError, KeyError, MemoryError)

_HELP = """Image geolocation by geocell classification.

encode -> split -> partition -> fit-head -> calibrate -> score -> predict -> push; `geocell COMMAND --help` explains
each command. With `--verbose` anywhere, messages of other libraries and tracebacks are shown.
"""


_COMPLETION = "--install-completion"


def _given(app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Complete the flags by a recipe, and refuse 2.5 for a whole number, which would be rounded."""
    _recipe_defaults(app, commands, arguments)
    for argument in arguments:
        for token in argument.tokens if _is_whole(argument.hint) else ():
            if _would_round(token.value):
                raise ValueError(f"{argument.name} must be a whole number, got {token.value}.")


def _would_round(text: str) -> bool:
    """Return whether a number is none of the whole ones, or loses digits as the float that cyclopts makes of it."""
    try:
        exact = Decimal(text)
    except InvalidOperation:  # hexadecimal, or no number at all, which the conversion says
        return False
    if not exact.is_finite() or exact != exact.to_integral_value():
        return True
    return "." in text and exact != float(text)


def _is_whole(hint: object) -> bool:
    """Return whether a flag's type is int, or made of it alone: `int | None`, `list[int]`."""
    parts = [part for part in get_args(hint) if part is not type(None)]
    return hint is int or (bool(parts) and all(map(_is_whole, parts)))


def _recipe_defaults(app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Give flags that were not typed the values of the recipe's table for this command."""
    section = {"fit-head": "fit", "partition": "partition"}.get(commands[0] if commands else "")
    typed = [token.value for argument in arguments if "--recipe" in argument.names for token in argument.tokens]
    if section is None or not typed or len(commands) != (2 if section == "partition" else 1):
        return
    path = Path(typed[-1])
    if section == "fit":
        from geocell.heads.fit_config import read_recipe

        values = read_recipe(path).get("fit", {})
    else:
        from geocell.partitioners import read_partition_recipe

        kind, values = read_partition_recipe(path)
        if kind != commands[1]:
            raise ValueError(f"{path} must be a recipe of kind {commands[1]!r}, got {kind!r}.")
    config: Any = Dict(
        {key.replace("_", "-"): v for key, v in values.items()}, use_commands_as_keys=False, source=typed[-1]
    )
    config(app, commands, arguments)


def _with_kind_of_recipe(tokens: list[str]) -> list[str]:
    """Return `partition --recipe FILE …` with the kind that the recipe states, and other commands as they are."""
    if tokens[:1] != ["partition"] or len(tokens) < 2:
        return tokens
    from geocell.partitioners import PARTITIONERS, read_partition_recipe

    if tokens[1] in PARTITIONERS:
        return tokens
    typed = [value for flag, value in pairwise(tokens) if flag == "--recipe"]
    typed += [token.removeprefix("--recipe=") for token in tokens if token.startswith("--recipe=")]
    return ["partition", read_partition_recipe(typed[-1])[0], *tokens[1:]] if typed else tokens


def _add_custom_partitioner(app: App, tokens: Sequence[str]) -> None:
    """Add the command of `partition module:attribute …`, with the flags of that partitioner."""
    if tokens[:1] == ["partition"] and len(tokens) > 1 and ":" in tokens[1] and not tokens[1].startswith("-"):
        from geocell.cli import partitions

        app["partition"].command(partitions.custom_command(tokens[1]), name=tokens[1])


def build_app(tokens: Sequence[str] | None = None) -> App:
    """Return the app with its commands, in groups and in the order of the work.

    Args:
        tokens: a command line; only the commands that it names are imported, so that a command does not wait for the
            libraries of others. All of them when left out.
    """
    app = App(
        name="geocell",
        help=_HELP,
        version=__version__,
        version_flags=("--version", "-V"),
        config=_given,
        default_parameter=Parameter(negative=()),
    )
    for order, (group, commands) in enumerate(GROUPS.items()):
        of_group = Group(group, sort_key=order)
        for position, (name, command) in enumerate(commands.items()):
            place: dict[str, Any] = {"name": name, "group": of_group, "sort_key": position}
            named = tokens is None or name in tokens
            if isinstance(command, Family):
                inner = App(**place, help=command.summary)
                for inner_position, (inner_name, part) in enumerate(command.load().items() if named else ()):
                    inner.command(part, name=inner_name, sort_key=inner_position)
                app.command(inner)
            elif named:
                app.command(command.load(), **place)
            else:
                app.command(command.path, **place, help=command.summary)
    app.register_install_completion_command(help="Install completion of commands and flags for your shell, and exit.")
    help_group = Group("Help", sort_key=len(GROUPS))
    for flag in ("--help", "--version", _COMPLETION):
        app[flag].group = help_group
    return app


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit status."""
    tokens = list(sys.argv[1:] if argv is None else argv)
    verbose = "--verbose" in tokens
    if isinstance(sys.stdout, io.TextIOWrapper):  # a name that the terminal cannot show must not lose the result
        sys.stdout.reconfigure(errors="backslashreplace")
    tokens = [token for token in tokens if token != "--verbose"]  # noqa: S105 - a word of the command line
    if not verbose:
        _quiet_third_parties()
    try:
        with interrupted_by_signals():
            return _run(tokens, verbose)
    except KeyboardInterrupt as error:
        kept = str(error) or "interrupted; what was finished is kept, run the same command again."
        note(f"geocell: {kept}")
        return interrupted_status()


def _run(tokens: list[str], verbose: bool) -> int:
    """Run a command line and return its exit status, but for interrupts, which are raised."""
    try:
        tokens = _with_kind_of_recipe(tokens)
        app = build_app(None if _COMPLETION in tokens else tokens)
        _add_custom_partitioner(app, tokens)
        command, bound, _ = app.parse_args(tokens, exit_on_error=False, print_error=False)
    except (CycloptsError, *USER_ERRORS) as error:
        return _complain(error, verbose, 2)
    try:
        with fitted_to_terminal():
            command(*bound.args, **bound.kwargs)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader left: nothing more to say
        return 1
    except USER_ERRORS as error:
        raise_lost_interrupt()
        return _complain(error, verbose, 2 if isinstance(error, UsageError) else 1)
    except Exception as error:  # whatever another library raises is one sentence too; --verbose has the rest
        raise_lost_interrupt()
        return _complain(error, verbose, 1)
    return 0


def _complain(error: BaseException, verbose: bool, status: int) -> int:
    if verbose:
        import traceback

        print(printable("".join(traceback.format_exception(error)), lines=True), file=sys.stderr, end="")
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    if isinstance(error, CycloptsError):
        from geocell.cli.mistyped import mistyped

        text = mistyped(error) or text
    if isinstance(error, ModuleNotFoundError):
        text = _lacks_package(error) or text
    note(f"geocell: {' '.join(text.split()) or type(error).__name__}")
    return status


def _lacks_package(error: ModuleNotFoundError) -> str | None:
    """Return what to do where a package that every full installation has is lacking, None where it is another one."""
    from importlib.metadata import PackageNotFoundError, requires

    module = (error.name or "").split(".")[0]
    package = {"PIL": "pillow", "sklearn": "scikit-learn", "yaml": "pyyaml"}.get(module, module)
    try:
        needed = [text for text in requires("geocell-heads") or () if "extra ==" not in text]
    except PackageNotFoundError:  # a checkout that was never installed
        needed = []
    if package not in {re.split(r"[^\w-]", text, maxsplit=1)[0] for text in needed}:
        return None
    return (
        f"this command needs {package}, which is not installed: run `pip install geocell-heads`, with its dependencies."
    )


def _quiet_third_parties() -> None:
    """Keep other libraries' load reports, progress bars and warnings from the user."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
