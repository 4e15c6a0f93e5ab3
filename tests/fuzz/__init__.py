"""Coverage-guided fuzzing: `python -m tests.fuzz` (needs atheris), and the inputs it found, which the tests replay."""
