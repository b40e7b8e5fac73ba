"""`jobledger demo`: a job that runs, fails of a real bug, and goes on from there once the bug is fixed.

Read in this order: `survey` is the workflow, `before` and `after` are the two versions of the code that is deployed,
`runner` is the program that runs it, `story` is what happens. `fleet` starts and ends the runners, `evidence` folds
the log into what is claimed at the end, `screen` is how it looks.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter


def demo(
    *,
    folder: Annotated[
        Path | None, Parameter(help="The data folder; default: $JOBLEDGER_HOME, else your own.")
    ] = None,
) -> int:
    """Survey the standard library of this Python: a job that fails, and goes on where it failed once it is fixed.

    Starts the background server of the data folder if it does not run, and two runners of its own. Exit code 0 if all
    went as described, 1 if not, 130 after Ctrl-C.
    """
    from .story import tell

    return tell(folder)
