"""Tags: learnt from labelled notes, suggested for others, written into notes, and removed again."""
