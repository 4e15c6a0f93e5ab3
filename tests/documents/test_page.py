"""The examples of docs/documents.md are run as they stand."""

import re
import shutil
from pathlib import Path

import pytest
from test_docs import transcripts
from test_readme import comparable, run

ROOT = Path(__file__).parents[2]


def test_the_transcripts_are_what_the_program_prints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "nora"
    # Some of them suffice, but for the numbers.
    shutil.copytree(ROOT / "sample_notes" / "cooking", home / "notes")
    examples = transcripts("documents")
    assert len(examples) >= 5
    for command, shown in examples:
        printed, expected = (
            re.sub(r"\d+ notes?,? |\d+ chunks, |\d+ notes? added\. ", "", comparable(output, home)).rstrip("\n")
            for output in (run(command, home), shown)
        )
        assert printed == expected, command
