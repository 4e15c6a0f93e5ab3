"""`python -m notesearch`."""

from notesearch.cli import run_and_exit

run_and_exit()
