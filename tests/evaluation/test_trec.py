import pytest

from notesearch.errors import UsageError
from notesearch.evaluation.collections import read_qrels, read_run, read_topics


@pytest.fixture
def file(tmp_path):
    """Writes a file; returns its path."""

    def write(text: str | bytes):
        path = tmp_path / "file.txt"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return write


def test_judgements_of_trec(file):
    text = "301 0 FBIS3-1 1\n301\t0\tFBIS3-2\t0\r\n\n302 Q0  a/b.md   2\n302 0 c -1\n"
    assert read_qrels(file(text)) == {"301": {"FBIS3-1": 1, "FBIS3-2": 0}, "302": {"a/b.md": 2, "c": -1}}


def test_judgements_of_beir(file):
    text = "\ufeffquery-id\tcorpus-id\tscore\n1\ta b.md\t1\n"
    assert read_qrels(file(text)) == read_qrels(file(text.split("\n")[1])) == {"1": {"a b.md": 1.0}}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("1 0 a 1\n1 a 1\n", 2),
        ("1 0 a 1 5\n", 1),
        ("1 a 1\n2 a 1\n", 1),
        ("1\ta\tmuch\n1\tb\tmuch\n", 2),
        ("1\ta\t1\nquery-id\tcorpus-id\tscore\n", 2),
        ("1 0 a nan\n", 1),
        ("1 0 a inf\n", 1),
        ("only one\n", 1),
    ],
)
def test_a_line_that_is_no_judgement(file, text, line):
    with pytest.raises(UsageError, match=f"line {line} is no judgement"):
        read_qrels(file(text))


@pytest.mark.parametrize("text", ["", "\n \n", "query-id\tcorpus-id\tscore\n"])
def test_no_judgement_at_all(file, text):
    with pytest.raises(UsageError, match="holds no judgement"):
        read_qrels(file(text))


@pytest.mark.parametrize("read", [read_qrels, read_topics, read_run])
def test_what_cannot_be_read(read, file, tmp_path):
    for path in (tmp_path / "missing", tmp_path, file(b"1 0 caf\xe9 1\n")):
        with pytest.raises(UsageError, match="cannot read") as caught:
            read(path)
        assert caught.value.hint


TOPICS = """
<top>
<num> Number: 301
<title> International
  Organized Crime
<desc> Description:
Identify organizations.
<narr> Narrative: none
</top>
<TOP><num>302</num><title></title><desc>Is it polio?</desc></TOP>
<top> <num> 303 <title> Topic: Hubble </top>
"""


def test_topics_of_trec(file):
    assert read_topics(file(TOPICS)) == [
        {"_id": "301", "text": "International Organized Crime"},
        {"_id": "302", "text": "Is it polio?"},
        {"_id": "303", "text": "Hubble"},
    ]


def test_topics_as_lines(file):
    assert read_topics(file("1\tcap  theorem\n\n2\tdal\r\n")) == [
        {"_id": "1", "text": "cap  theorem"},
        {"_id": "2", "text": "dal"},
    ]
    assert read_topics(file('{"_id": "1", "text": "cap", "grade": "exact"}\n')) == [
        {"_id": "1", "text": "cap", "grade": "exact"}
    ]
    assert read_topics(file("")) == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("1\tcap\n2 dal\n", "line 2 is no query"),
        ("<top><title>x</top>", "topic 1 has no"),
        ("{1}\n", "line 1 is not"),
        ("1\tcap\n\n1\tdal\n", "line 3 has the id 1 again"),
        ("<top><num>1<title>x</top><top><num>1<title>y</top>", "topic 2 has the id 1 again"),
    ],
)
def test_what_is_no_topic(file, text, told):
    with pytest.raises(UsageError, match=told):
        read_topics(file(text))


def test_a_run_is_ranked_by_score_and_ties_by_id_both_descending(file):
    text = "1 Q0 b 1 0.5 me\n1 Q0 c 2 0.5 me\n1 Q0 a 9 7e-1 me\n2 Q0 z 1 -1 me\n2 Q0 y 2 -inf me\n"
    assert read_run(file(text)) == {"1": ["a", "c", "b"], "2": ["z", "y"]}


def test_scores_that_differ_less_than_a_float_can_hold_are_a_tie(file):
    assert read_run(file("1 Q0 a 1 1.0000000001 me\n1 Q0 z 2 1.0 me\n")) == {"1": ["z", "a"]}


def test_between_tabs_an_id_may_hold_spaces(file):
    assert read_run(file("1\tQ0\twhite bread.md\t1\t0.5\tmy run\n")) == {"1": ["white bread.md"]}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("1 Q0 a 1 0.5 me\n1 Q0 b 2 0.5\n", "line 2 is no line of a run"),
        ("1 Q0 a 1 nan me\n", "line 1 is no line of a run"),
        ("1 Q0 a 1 high me\n", "line 1 is no line of a run"),
        ("1 Q0 a 1 1 me\n2 Q0 a 1 1 me\n1 Q0 a 2 0 me\n", "line 3 names document a for query 1 again"),
        ("\n", "is empty"),
    ],
)
def test_what_is_no_run(file, text, told):
    with pytest.raises(UsageError, match=told):
        read_run(file(text))
