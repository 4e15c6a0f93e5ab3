"""Words that were mistyped, and what they may mean."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notesearch.retrieval.query import parse_query
from notesearch.retrieval.typos import as_read, one_edit_away, with_corrections

NOTES = {
    "cluster.md": "Kubernetes runs the containers; we receive alerts from two universities.",
    "garden.md": "A plot of sage and thyme, to relieve the city; Кошка спит.",
    "sage.md": "Sage again.",
}


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("kuberntes", {"kuberntes": ("kubernetes",)}),
        ("Ubernetes uses", {"ubernetes": ("kubernetes",)}),
        ("recieve", {"recieve": ("receive", "relieve")}),  # as many notes hold either
        ("univrsities", {"univrsities": ("universities",)}),
        ("кошкв", {"кошкв": ("кошка",)}),
        ("receive universities", {}),
        ("universities of sgae", {"sgae": ("sage",)}),
        ("sge", {}),  # too short
        ("kub3rnetes", {}),  # a name of something
        ('"kuberntes"', {}),
        ("zzzzzzzz", {}),
    ],
)
def test_a_word_that_no_note_holds_may_be_one_that_is_one_edit_away(make_reader, typed, expected):
    assert with_corrections(make_reader(NOTES), parse_query(typed)).corrections == expected


def test_the_model_reads_a_word_that_it_does_not_know_as_what_it_can_only_be(make_reader, fake_encoder):
    query = with_corrections(make_reader(NOTES), parse_query("Kuberntes, recieve"))
    assert as_read(query, fake_encoder).text == "kubernetes, recieve"
    fake_encoder.knows = lambda word: word == "kuberntes"
    known = as_read(query, fake_encoder)
    assert (known.text, list(known.corrections)) == ("Kuberntes, recieve", ["recieve"])


def test_a_query_is_strange_that_has_nothing_of_the_notes_nor_of_the_model(make_reader, fake_encoder):
    reader = make_reader(NOTES)
    strange = [
        with_corrections(reader, parse_query(typed)).strange for typed in ("zzzz qqqq", "zzzz sage", "kuberntes")
    ]
    assert strange == [True, False, False]
    fake_encoder.knows = lambda word: word == "qqqq"
    assert not as_read(with_corrections(reader, parse_query("zzzz qqqq")), fake_encoder).strange


@given(st.text("abc", min_size=1, max_size=5), st.text("abc", min_size=1, max_size=5))
def test_edits_lead_there_and_back(word, other):
    assert (other in one_edit_away(word)) == (word in one_edit_away(other))


def test_edits_by_hand():
    found = one_edit_away("ab")
    assert {"ba", "a", "b", "cab", "acb", "abc", "cb", "ac"} <= set(found)
    assert "ab" not in found and len(set(found)) == len(found)
