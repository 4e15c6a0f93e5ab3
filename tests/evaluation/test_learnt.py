import hashlib
import json
import os
from datetime import datetime
from pathlib import Path

import pytest

from notesearch.errors import ModelError
from notesearch.evaluation.general_set import find_learnt, path_digest, read_learnt_from
from notesearch.notes import parse_note

PATHS = [Path("/v/a.md"), Path("/v/\udcff.md"), Path("/v/b.md")]
NOTES = [parse_note(path, "text", datetime(2025, 1, 1)) for path in PATHS]


def test_a_tuned_model_knows_its_notes_by_digests_of_their_paths(tmp_path):
    digests = [hashlib.blake2b(os.fsencode(path), digest_size=16).hexdigest() for path in PATHS[:2]]
    assert digests == [path_digest(path) for path in PATHS[:2]]
    (tmp_path / "tuning.json").write_text(json.dumps({"learnt_from": [*digests, "0" * 32], "other": 1}))
    assert read_learnt_from(tmp_path) == {*digests, "0" * 32}
    assert find_learnt(NOTES, tmp_path) == {0, 1}


def test_other_models_have_learnt_from_no_notes(tmp_path):
    assert read_learnt_from(tmp_path) == frozenset()
    assert find_learnt(NOTES, tmp_path / "missing") == frozenset()


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"learnt_from": 1}'])
def test_a_damaged_record_is_told(tmp_path, text):
    (tmp_path / "tuning.json").write_text(text)
    with pytest.raises(ModelError, match=r"tuning\.json"):
        find_learnt(NOTES, tmp_path)
