from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from notesearch.errors import UsageError
from notesearch.evaluation.known_items import find_known_items, path_digest
from notesearch.notes import parse_note
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


def gathered(vault, given=(), **options):
    return gather(vault, find_known_items(vault), given, **options)


def targets(items):
    return {f"/v/{item.target}.md" for item in items}


def learnt(found):
    return {path for pair in found.pairs for path in pair.notes}


def test_no_note_is_both_learnt_from_and_judged_by():
    found = gathered(notes(300))
    assert 60 <= len(targets(found.test)) <= 90
    assert 30 <= len(targets(found.validation)) <= 60
    assert not targets(found.test) & targets(found.validation)
    assert not learnt(found) & targets((*found.validation, *found.test))
    assert {pair.source for pair in found.pairs} == {"title", "link", "tag"}
    assert targets(found.rivals) == {f"/v/{n}.md" for n in range(300)}


def test_what_the_owner_has_given_pairs_about_is_learnt_from():
    before = gathered(notes(300))
    judged = before.test[0]
    path = f"/v/{judged.target}.md"
    given = [TextPair("accepted", "some query", "text", notes=(path,)), TextPair("file", before.test[1].query, "text")]
    found = gathered(notes(300), given)
    assert path in learnt(found)
    assert path not in targets((*found.validation, *found.test))
    assert before.test[1] not in found.test
    assert before.test[2] in found.test
    assert list(found.pairs[-2:]) == given


def test_what_was_learnt_from_before_never_judges():
    first = gathered(notes(300))
    other = gathered(notes(300), learnt_before={path_digest(Path(f"/v/{first.test[0].target}.md"))})
    assert first.test[0].target not in {item.target for item in other.test}
    assert len(first.learnt_from) + 1 == len(other.learnt_from)
    assert path_digest(Path(f"/v/{first.test[0].target}.md")) in other.learnt_from


def test_a_note_stays_in_its_part_whatever_else_comes_or_moves():
    test = targets(gathered(notes(200)).test)
    assert test <= targets(gathered(notes(300)).test)
    assert test == targets(gathered(notes(200), seed=7).test)
    moved = [replace(own, path=Path("/elsewhere") / own.path.relative_to("/")) for own in notes(200)]
    assert [item.target for item in gathered(moved).test] == [item.target for item in gathered(notes(200)).test]


def test_of_many_pairs_some_are_taken_but_all_that_the_owner_gave(monkeypatch):
    monkeypatch.setattr(material, "_MOST_PAIRS", 25)
    monkeypatch.setattr(material, "_MOST_ITEMS_JUDGED", 12)
    monkeypatch.setattr(material, "_MOST_RIVALS", 15)
    given = [TextPair("file", "asked", "answered")] * 3
    found = gathered(notes(300), given)
    assert (len(found.pairs), len(found.validation), len(found.test), len(found.rivals)) == (28, 12, 12, 27)
    assert set(found.validation) <= set(found.rivals)
    assert list(found.pairs[-3:]) == given
    assert found.digest() == gathered(notes(300), given).digest()
    assert found.digest() != gathered(notes(300), given, seed=1).digest()


def test_too_little_to_learn_from_or_to_judge_by_is_said():
    with pytest.raises(UsageError, match=r"too few pairs .* \(0\)"):
        gather([], [])
    with pytest.raises(UsageError, match="to judge"):
        gather([], [], [TextPair("file", "asked", "answered")] * 20)
