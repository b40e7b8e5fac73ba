"""`python -m jobledger.adapters.cli`: the command line where no script is installed for it."""

from . import main

main()
