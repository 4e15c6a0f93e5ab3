import random
from pathlib import Path

import pytest

from notesearch.retrieval.duplicates import find_duplicate_notes, find_duplicate_passages

VOCABULARY = [f"word{number}" for number in range(3000)]


def text_of(seed: int, words: int = 60) -> str:
    return " ".join(random.Random(seed).choices(VOCABULARY, k=words))


def groups_of(reader, threshold=0.8):
    """Names of the notes of each group, the first in front."""
    found = find_duplicate_notes(reader, threshold)
    return [[Path(place.path).name for place in (group, *group.copies)] for group in found.groups]


def test_a_copy_is_found_whatever_its_case_and_markup(make_reader):
    text = text_of(1)
    reader = make_reader({"a.md": text, "b.md": f"> **{text.upper()}**", "c.md": text_of(2)})
    (group,) = find_duplicate_notes(reader, 0.8).groups
    assert {Path(group.path).name, Path(group.copies[0].path).name} == {"a.md", "b.md"}
    copy = group.copies[0]
    assert (copy.relation, copy.share, copy.share_of_first) == ("same", 1.0, 1.0)
    assert copy.only_here == copy.only_there == ()


def test_a_copy_of_the_same_words_has_lines_of_its_own(make_reader):
    (group,) = find_duplicate_notes(
        make_reader({"a.md": text_of(1), "b.md": text_of(1).replace(" ", "\n")}), 0.8
    ).groups
    assert {(Path(place.path).name, place.start_line, place.end_line) for place in (group, *group.copies)} == {
        ("a.md", 1, 1),
        ("b.md", 1, 60),
    }


def test_the_older_of_two_equal_notes_is_the_first(make_reader):
    text = text_of(1)
    reader = make_reader({"a.md": f"---\ndate: 2024-02-02\n---\n{text}", "b.md": f"---\ndate: 2020-01-01\n---\n{text}"})
    assert groups_of(reader) == [["b.md", "a.md"]]


def test_an_edited_copy_is_found_with_what_differs(make_reader):
    words = text_of(1, 100).split()
    edited = [*words[:40], "something", "else", *words[42:], "and", "more", "of", "it"]
    reader = make_reader({"new.md": "Heading\n\n" + " ".join(edited), "old.md": " ".join(words)})
    (group,) = find_duplicate_notes(reader, 0.8).groups
    assert (Path(group.path).name, group.words) == ("new.md", 105)
    (copy,) = group.copies
    assert (copy.relation, copy.share) == ("copy", 0.98)
    assert [stretch.text for stretch in copy.only_here] == [" ".join(words[40:42])]
    assert [stretch.text for stretch in copy.only_there] == ["Heading", "something else", "and more of it"]
    assert [(s.start_line, s.end_line, s.words) for s in copy.only_there] == [(1, 1, 1), (3, 3, 2), (3, 3, 4)]


def test_a_note_that_is_part_of_another_is_found(make_reader):
    part = text_of(1)
    reader = make_reader({"whole.md": f"{text_of(2)}\n\n{part}\n\n{text_of(3)}", "part.md": part})
    (group,) = find_duplicate_notes(reader, 0.8).groups
    (copy,) = group.copies
    assert [Path(place.path).name for place in (group, copy)] == ["whole.md", "part.md"]
    assert (copy.relation, copy.share) == ("part", 1.0)
    assert copy.share_of_first == pytest.approx(1 / 3, abs=0.01)


def test_the_threshold_decides(make_reader):
    shared = text_of(1, 50)
    reader = make_reader({"a.md": f"{shared} {text_of(2, 50)}", "b.md": f"{shared} {text_of(3, 50)}"})
    assert groups_of(reader, 0.8) == []
    assert len(groups_of(reader, 0.45)) == 1


def test_a_chain_of_notes_alike_in_pairs_is_no_group(make_reader):
    words = text_of(1, 400).split()
    # Each shares five sixths with the next, and nothing with the one after six.
    notes = {f"{day:02}.md": " ".join(words[day * 20 : day * 20 + 120]) for day in range(12)}
    for group in find_duplicate_notes(make_reader(notes), 0.8).groups:
        assert all(max(copy.share, copy.share_of_first) >= 0.8 for copy in group.copies)
        assert len(group.copies) <= 2


def test_no_note_is_in_two_groups(make_reader):
    part = text_of(1)
    notes = {"a.md": f"{part} {text_of(2)}", "b.md": f"{part} {text_of(3, 70)}", "part.md": part}
    assert groups_of(make_reader(notes)) == [["b.md", "part.md"]]


def test_notes_with_nothing_of_their_own_but_a_template_make_no_group(make_reader):
    skeleton = text_of(1, 50)
    notes = {f"{day}.md": f"{skeleton}\n\n{'' if day % 2 else text_of(100 + day, 15)}" for day in range(50)}
    found = find_duplicate_notes(make_reader(notes), 0.8)
    assert found.groups == ()
    assert (found.notes, found.templates) == (50, 25)


def test_many_notes_of_the_same_words_are_a_template(make_reader):
    found = find_duplicate_notes(make_reader({f"{day}.md": text_of(1) for day in range(21)}), 0.8)
    assert found.groups == ()
    assert (found.notes, found.templates) == (21, 21)


def test_a_template_does_not_hide_copies_of_what_is_in_it(make_reader):
    skeleton, own = text_of(1, 50), text_of(2, 30)
    notes = {f"{day}.md": f"{skeleton}\n\n{text_of(100 + day, 30)}" for day in range(30)}
    notes |= {"x.md": f"{skeleton}\n\n{own}", "y.md": own}
    assert groups_of(make_reader(notes)) == [["x.md", "y.md"]]


def test_the_words_of_a_template_do_not_count(make_reader):
    skeleton, shared = text_of(1, 200), text_of(2, 20)
    notes = {f"{day}.md": f"{skeleton} {text_of(100 + day, 30)}" for day in range(25)}
    notes |= {name: f"{skeleton} {shared} {text_of(seed, 20)}" for name, seed in (("x.md", 3), ("y.md", 4))}
    reader = make_reader(notes)
    assert groups_of(reader, 0.8) == []
    (group,) = find_duplicate_notes(reader, 0.4).groups
    assert group.copies[0].share == 0.5


def test_short_and_empty_notes_are_counted_and_not_compared(make_reader):
    found = find_duplicate_notes(make_reader({"a.md": "", "b.md": "", "c.md": "milk eggs", "d.md": "milk eggs"}), 0.8)
    assert found.groups == ()
    assert (found.notes, found.short) == (4, 4)


def test_a_note_that_repeats_itself_is_compared_too(make_reader):
    sentence = text_of(1, 12)
    notes = {"a.md": " ".join([sentence] * 30) + " " + text_of(2, 200), "b.md": " ".join([sentence] * 20)}
    (group,) = find_duplicate_notes(make_reader(notes), 0.8).groups
    assert group.copies[0].share == 1.0


def test_groups_with_most_to_spare_come_first(make_reader):
    short, long = text_of(1, 30), text_of(2, 200)
    notes = {"a.md": short, "b.md": f"{short} more", "c.md": long, "d.md": f"{long} more"}
    assert [sorted(group) for group in groups_of(make_reader(notes))] == [["c.md", "d.md"], ["a.md", "b.md"]]


def places_of(group):
    return [(Path(place.path).name, place.start_line, place.end_line) for place in (group, *group.copies)]


def test_a_quote_is_found_with_its_lines(make_reader):
    quote = text_of(1, 40)
    notes = {
        "source.md": f"---\ndate: 2020-01-01\n---\n{text_of(2, 50)}\n\n{quote}\n\n{text_of(3, 50)}",
        "essay.md": f"{text_of(4, 60)} As they say: “{quote}”. {text_of(5, 60)}",
    }
    (group,) = find_duplicate_passages(make_reader(notes), 0.8).groups
    assert places_of(group) == [("source.md", 6, 6), ("essay.md", 1, 1)]
    assert (group.words, group.copies[0].relation) == (40, "same")
    assert group.text.startswith(quote[:50])


def test_a_word_changed_does_not_end_a_passage(make_reader):
    words = text_of(1, 40).split()
    changed = [*words[:20], "other", *words[21:]]
    notes = {"a.md": " ".join(words) + " " + text_of(2, 50), "b.md": text_of(3, 50) + " " + " ".join(changed)}
    (group,) = find_duplicate_passages(make_reader(notes), 0.8).groups
    (copy,) = group.copies
    assert (group.words, copy.words, copy.relation, copy.share) == (40, 40, "copy", 0.975)
    assert {group.copies[0].only_here[0].text, group.copies[0].only_there[0].text} == {"other", words[20]}


def test_short_passages_are_not_told(make_reader):
    shared = text_of(1, 24)
    notes = {"a.md": f"{shared} {text_of(2, 50)}", "b.md": f"{shared} {text_of(3, 50)}"}
    assert find_duplicate_passages(make_reader(notes), 0.8).groups == ()


def test_a_passage_of_several_notes_is_one_group(make_reader):
    shared = text_of(1, 50)
    notes = {f"{number}.md": f"{text_of(10 + number, 40)}\n\n{shared}" for number in range(5)}
    (group,) = find_duplicate_passages(make_reader(notes), 0.8).groups
    assert sorted(name for name, _, _ in places_of(group)) == [f"{number}.md" for number in range(5)]


def test_two_passages_of_two_notes_are_two_groups(make_reader):
    first, second = text_of(1, 30), text_of(2, 40)
    notes = {
        "a.md": f"{first}\n\n{text_of(3, 30)}\n\n{second}",
        "b.md": f"{second}\n\n{text_of(4, 30)}\n\n{first}",
    }
    groups = find_duplicate_passages(make_reader(notes), 0.8).groups
    assert [group.words for group in groups] == [40, 30]


def test_a_part_of_a_longer_passage_is_a_group_of_its_own(make_reader):
    words = text_of(1, 100).split()
    notes = {
        "a.md": " ".join(words),
        "b.md": f"{text_of(2, 30)} {' '.join(words)}",
        "c.md": f"{' '.join(words[30:60])} {text_of(3, 30)}",
    }
    groups = find_duplicate_passages(make_reader(notes), 0.8).groups
    assert [(group.words, len(group.copies)) for group in groups] == [(100, 1), (30, 2)]


def test_templates_are_no_passages(make_reader):
    skeleton = text_of(1, 60)
    notes = {f"{number}.md": f"{skeleton} {text_of(10 + number, 20)}" for number in range(25)}
    assert find_duplicate_passages(make_reader(notes), 0.8).groups == ()


def test_a_template_does_not_make_a_passage_of_a_few_words_beside_it(make_reader):
    skeleton, shared = text_of(1, 60), text_of(2, 20)
    notes = {f"{number}.md": f"{text_of(10 + number, 20)} {skeleton}" for number in range(25)}
    notes |= {name: f"{text_of(seed, 20)} {shared} {skeleton}" for name, seed in (("x.md", 3), ("y.md", 4))}
    assert find_duplicate_passages(make_reader(notes), 0.8).groups == ()
