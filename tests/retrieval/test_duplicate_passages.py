import random
from pathlib import Path

from notesearch.retrieval.duplicates import find_duplicate_passages

VOCABULARY = [f"word{number}" for number in range(3000)]


def text_of(seed: int, words: int) -> str:
    return " ".join(random.Random(seed).choices(VOCABULARY, k=words))


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
