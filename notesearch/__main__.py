"""`python -m notesearch`."""

from notesearch.cli import main

main()
