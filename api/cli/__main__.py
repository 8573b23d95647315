"""`python -m api.cli` is `sutradhar`."""

from api.cli import main

main()
