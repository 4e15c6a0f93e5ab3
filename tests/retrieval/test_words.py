import pytest

from notesearch.retrieval.lexical import telling_words
from notesearch.words import distinct_words, find_words


@pytest.mark.parametrize(
    ("asked", "text", "found"),
    [
        ("run", "Running is what runners do; he runs.", {"running": "run", "runs": "run"}),
        ("straße", "STRAßE, nicht STRASSE", {"straße": "straße"}),
        ("cafe", "Um café, por favor", {"café": "cafe"}),
        ("café", "Um cafe, por favor", {"cafe": "café"}),
        ("mu\u0308nchen", "Nachtzug nach M\u00fcnchen", {"münchen": "mu\u0308nchen"}),
        ("m\u00fcnchen", "Nachtzug nach Mu\u0308nchen", {"mu\u0308nchen": "m\u00fcnchen"}),
        ("\u00e9t\u00e9", "l'e\u0301te\u0301 dernier", {"e\u0301te\u0301": "\u00e9t\u00e9"}),
        ("豆腐", "麻婆豆腐", {"豆腐": "豆腐"}),
        ("absent", "Nothing of the kind", {}),
    ],
)
def test_words_of_the_same_stem_are_telling(make_reader, asked, text, found):
    telling = telling_words(make_reader({"a.md": "any"}), [asked], distinct_words(text))
    assert {word: telling[word] for _, _, word in find_words(text) if word in telling} == found


def test_of_two_query_words_with_one_stem_the_first_stands_for_both(make_reader):
    reader = make_reader({"a.md": "any"})
    assert telling_words(reader, ["runs", "running"], {"run"}) == {
        "run": "runs",
        "runs": "runs",
        "running": "runs",
    }
