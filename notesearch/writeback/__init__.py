"""The only code that writes into notes: tags, byte for byte as planned, with a journal to undo them by."""
