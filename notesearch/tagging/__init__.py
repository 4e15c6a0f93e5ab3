"""Tags: written into notes, and taken out again."""
