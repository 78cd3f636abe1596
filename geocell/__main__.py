"""`python -m geocell` is the command `geocell`."""

import sys

from geocell.cli import main

if __name__ == "__main__":
    sys.exit(main())
