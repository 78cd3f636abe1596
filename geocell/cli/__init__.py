"""The command `geocell`: one function per command, flags from the same dataclasses that the library uses.

Standard output carries the result (one JSON object with `--json`), standard error the progress. Exit status: 0 done,
1 failed, 2 used wrongly, 130 interrupted by Ctrl-C, 143 by SIGTERM, 129 by SIGHUP.
"""

from geocell.cli.app import main

__all__ = ["main"]
