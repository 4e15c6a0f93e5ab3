from datetime import datetime
from pathlib import Path

import pytest

from notesearch.errors import UsageError
from notesearch.notes import find_known_items, parse_note
from notesearch.tuning import material
from notesearch.tuning.material import gather
from notesearch.tuning.pairs import TextPair


def notes(count):
    return [
        parse_note(
            Path(f"/v/{n}.md"),
            f"# Title {n} words\n\nOne two three four {n} [[{(n + 1) % count}|a helpful link to {n}]] #tag{n // 3}",
            datetime(2025, 1, 1),
        )
        for n in range(count)
    ]


def test_no_note_is_both_learnt_from_and_judged_by():
    found = gather(notes(100), find_known_items(notes(100)), [], seed=0)
    judged = {f"/v/{item.target}.md" for item in (*found.validation, *found.test)}
    assert len(judged) == 40
    assert not judged & {path for pair in found.pairs for path in pair.notes}
    assert not {item.target for item in found.validation} & {item.target for item in found.test}
    assert {pair.source for pair in found.pairs} == {"title", "link", "tag"}
    assert len(found.items) == 200


def test_a_seed_says_which():
    first, again, other = (gather(notes(100), find_known_items(notes(100)), [], seed=seed) for seed in (0, 0, 1))
    assert first == again
    assert first.digest() == again.digest() != other.digest()
    assert first.test != other.test


def test_of_many_pairs_some_are_taken_but_all_that_the_owner_gave(monkeypatch):
    monkeypatch.setattr(material, "_MOST_PAIRS", 25)
    monkeypatch.setattr(material, "_MOST_ITEMS_JUDGED", 12)
    given = [TextPair("file", "asked", "answered")] * 3
    found = gather(notes(100), find_known_items(notes(100)), given, seed=0)
    assert (len(found.pairs), len(found.validation), len(found.test)) == (28, 12, 12)
    assert list(found.pairs[-3:]) == given


def test_too_little_to_learn_from_or_to_judge_by_is_said():
    with pytest.raises(UsageError, match="too few"):
        gather([], [], [], seed=0)
    with pytest.raises(UsageError, match="pairs to learn from: too few"):
        gather(notes(12), find_known_items(notes(12)), [], seed=0)
    with pytest.raises(UsageError, match="to judge"):
        gather([], [], [TextPair("file", "asked", "answered")] * 20, seed=0)
