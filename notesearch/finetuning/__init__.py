"""Training the upper layers of an encoder on labelled texts, or on queries and the passages that answer them.

Beside `encoders`, the only part of notesearch that imports torch and sentence-transformers, inside its functions.
"""
