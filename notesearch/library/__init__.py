"""The only face of notesearch for other programs, the command line among them: a module for each thing it can do."""
