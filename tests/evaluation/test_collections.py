import contextlib
import json
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from notesearch.errors import UsageError
from notesearch.evaluation.collections import (
    Collection,
    read_collection,
    read_qrels,
    read_run,
    read_run_for,
    read_topics,
    write_corpus_as_notes,
)
from notesearch.retrieval.query import parse_query

SAMPLE_NOTES = Path(__file__).parents[2] / "sample_notes"


def jsonl(*records) -> str:
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


@pytest.fixture
def write(tmp_path):
    """Writes files into a folder; returns the folder."""

    def run(**texts: str) -> Path:
        for name, text in texts.items():
            suffix = "tsv" if name == "qrels" else "jsonl"
            (tmp_path / f"{name}.{suffix}").write_bytes(text.encode("utf-8"))
        return tmp_path

    return run


CORPUS = jsonl({"_id": "d1", "title": "CAP", "text": "Consistency"}, {"_id": "d2", "text": "Raft"})
QUERIES = jsonl({"_id": "1", "text": "cap"}, {"_id": "2", "text": "raft"}, {"_id": "3", "text": "unjudged"})
QRELS = "query-id\tcorpus-id\tscore\n1\td1\t2\n2\td1\t0\n2\td2\t1\n9\td1\t1\n"


def test_a_beir_folder(write, tmp_path):
    collection = read_collection(write(corpus=CORPUS, queries=QUERIES, qrels=QRELS))
    assert collection.queries == {"1": "cap", "2": "raft"}
    assert collection.qrels == {"1": {"d1": 2.0}, "2": {"d2": 1.0}}
    assert (collection.grades, collection.notes_dir, collection.corpus_file) == ({}, None, tmp_path / "corpus.jsonl")


def test_qrels_need_no_header(write):
    collection = read_collection(write(corpus=CORPUS, queries=QUERIES, qrels="1\td1\t1\n"))
    assert collection.qrels == {"1": {"d1": 1.0}}


def test_lines_may_end_as_on_windows(write):
    texts = {"corpus": CORPUS, "queries": QUERIES, "qrels": QRELS}
    collection = read_collection(write(**{name: text.replace("\n", "\r\n") for name, text in texts.items()}))
    assert collection.qrels == {"1": {"d1": 2.0}, "2": {"d2": 1.0}}


def test_a_folder_of_notes(write, tmp_path):
    queries = jsonl(
        {"_id": 1, "text": "cap", "grade": "exact", "relevant": ["a/cap.md", "b.md"]},
        {"_id": 2, "text": "raft", "grade": "typo", "relevant": []},
        {"_id": 3, "text": "dal", "relevant": ["dal.md"]},
    )
    collection = read_collection(write(queries=queries))
    assert collection.queries == {"1": "cap", "3": "dal"}
    assert collection.qrels == {"1": {"a/cap.md": 1.0, "b.md": 1.0}, "3": {"dal.md": 1.0}}
    assert collection.grades == {"1": "exact"}
    assert (collection.notes_dir, collection.corpus_file) == (tmp_path, None)
    assert collection.qrels_of("exact") == {"1": {"a/cap.md": 1.0, "b.md": 1.0}}


def test_the_sample_notes_are_judged_by_notes_that_are_there():
    collection = read_collection(SAMPLE_NOTES)
    assert len(collection.queries) >= 60
    missing = {path for gains in collection.qrels.values() for path in gains if not (SAMPLE_NOTES / path).is_file()}
    assert missing == set()


def test_a_line_separator_inside_a_text_ends_no_line(write, tmp_path):
    strange = "one\u2028two\x85three\x0bfour"
    queries = jsonl({"_id": "1", "text": strange})
    assert "\u2028" in queries
    collection = read_collection(write(corpus=jsonl({"_id": "d1", "text": strange}), queries=queries, qrels="1\td1\t1"))
    assert collection.queries == {"1": strange}
    names = write_corpus_as_notes(tmp_path / "corpus.jsonl", tmp_path / "notes")
    assert names == {"000000.md": "d1"}


def test_a_corpus_becomes_notes_with_titles(write, tmp_path):
    write(
        corpus=jsonl({"_id": "a", "title": " CAP\n theorem", "text": "Pick."}, {"_id": 7, "title": None, "text": "b"})
    )
    names = write_corpus_as_notes(tmp_path / "corpus.jsonl", tmp_path / "deep" / "notes")
    assert names == {"000000.md": "a", "000001.md": "7"}
    texts = [(tmp_path / "deep" / "notes" / name).read_text(encoding="utf-8") for name in names]
    assert texts == ["# CAP theorem\n\nPick.\n", "b\n"]


def test_a_text_that_cannot_be_written_as_utf8_becomes_a_note_too(write, tmp_path):
    write(corpus='{"_id": "a", "text": "broken \\ud800 pair"}\n')
    write_corpus_as_notes(tmp_path / "corpus.jsonl", tmp_path / "notes")
    assert (tmp_path / "notes" / "000000.md").read_text(encoding="utf-8").startswith("broken ")


def test_what_a_corpus_leaves_in_its_folder(write, tmp_path):
    folder = tmp_path / "deep" / "notes"
    write_corpus_as_notes(write(corpus=CORPUS) / "corpus.jsonl", folder)
    for name in ("000001.org", "000003.md", "000007.txt", "1000000.md", "keep.md"):
        (folder / name).write_text("of the last time")
    write_corpus_as_notes(tmp_path / "corpus.jsonl", folder)
    assert sorted(path.name for path in folder.iterdir()) == ["000000.md", "000001.md", "keep.md"]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_folder_that_cannot_be_written_is_named(write, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UsageError, match=r"cannot write to .*file/notes"):
        write_corpus_as_notes(write(corpus=CORPUS) / "corpus.jsonl", tmp_path / "file" / "notes")


BAD = [
    ({"queries": QUERIES + "{not json}\n"}, "queries.jsonl, line 4"),
    ({"queries": "\n" + '{"_id": "1"}\n'}, "queries.jsonl, line 2"),
    ({"queries": '["1", "cap"]\n'}, "queries.jsonl, line 1"),
    ({"queries": '{"_id": "1", "text": "cap", "relevant": "a.md"}\n'}, "relevant"),
    ({"queries": '{"_id": "1", "text": "cap", "relevant": 5}\n'}, "relevant"),
    ({"queries": '{"_id": "1", "text": "cap", "relevant": null}\n'}, "relevant"),
    ({"queries": '{"_id": 1, "text": "a"}\n\n{"_id": "1", "text": "b"}\n'}, "queries.jsonl, line 3 has the id 1 again"),
    ({"queries": ""}, "no judged query"),
    ({"queries": QUERIES}, "no judged query"),
    ({"corpus": CORPUS, "queries": QUERIES, "qrels": QRELS + "1\td1\n"}, "qrels.tsv, line 6"),
    ({"corpus": CORPUS, "queries": QUERIES, "qrels": QRELS + "1\td1\tmuch\n"}, "qrels.tsv, line 6"),
    ({"corpus": CORPUS, "queries": QUERIES, "qrels": "1 d1 1\n2 d2 1\n"}, "qrels.tsv, line 1 is not a judgement"),
    ({"corpus": CORPUS, "queries": QUERIES, "qrels": ""}, "holds no judgement"),
    ({"corpus": CORPUS, "queries": QUERIES, "qrels": "1\td1\t0\n"}, "no judged query"),
    ({"corpus": CORPUS, "queries": QUERIES}, "qrels.tsv"),
    ({"corpus": CORPUS}, "no queries.jsonl"),
]


@pytest.mark.parametrize(("texts", "told"), BAD)
def test_what_is_wrong_is_said_with_its_line(write, texts, told):
    with pytest.raises(UsageError) as caught:
        read_collection(write(**texts))
    assert told in caught.value.message
    assert caught.value.hint


def test_a_wrong_line_of_a_corpus_is_said(write, tmp_path):
    write(corpus=CORPUS + '{"title": "no text"}\n')
    with pytest.raises(UsageError, match=r"corpus\.jsonl, line 3"):
        write_corpus_as_notes(tmp_path / "corpus.jsonl", tmp_path / "notes")


def test_a_file_that_is_not_utf8_is_refused(tmp_path):
    (tmp_path / "queries.jsonl").write_bytes(b'{"_id": "1", "text": "caf\xe9"}\n')
    with pytest.raises(UsageError, match="cannot read"):
        read_collection(tmp_path)


@pytest.mark.parametrize("split", ["test", "dev", "train"])
def test_the_judgements_of_beir_are_in_a_folder(write, tmp_path, split):
    folder = write(corpus=CORPUS, queries=QUERIES)
    (folder / "qrels").mkdir()
    (folder / "qrels" / f"{split}.tsv").write_text(QRELS)
    (folder / "qrels" / "train.tsv").write_text(QRELS if split == "train" else "3\td1\t1\n")
    assert list(read_collection(folder).qrels) == ["1", "2"]


def test_judgements_and_queries_of_trec_for_a_folder_of_notes(write, tmp_path):
    folder = write(queries=jsonl({"_id": "9", "text": "unused", "relevant": ["b.md"]}))
    (folder / "mine.qrels").write_text("1 0 a.md 2\n1 0 b.md 0\n")
    (folder / "mine.topics").write_text("1\tcap\n")
    files = {"qrels_file": folder / "mine.qrels", "topics_file": folder / "mine.topics"}
    collection = read_collection(folder, **files)
    assert (collection.queries, collection.qrels) == ({"1": "cap"}, {"1": {"a.md": 2.0}})
    assert collection.notes_dir == folder


def test_to_score_runs_queries_need_no_text(tmp_path):
    (tmp_path / "qrels").write_text("2 0 b 1\n1 0 a 1\n")
    collection = read_collection(None, qrels_file=tmp_path / "qrels", only_runs=True)
    assert collection.queries == {"2": "2", "1": "1"}
    with pytest.raises(UsageError, match=r"no queries\.jsonl"):
        read_collection(tmp_path, qrels_file=tmp_path / "qrels")


def test_what_cannot_be_asked_or_judged_is_counted(write):
    queries = QUERIES + jsonl({"_id": "4", "text": " "})
    qrels = QRELS + "3\td1\t0\n4\td1\t1\n"
    collection = read_collection(write(corpus=CORPUS, queries=queries, qrels=qrels))
    assert list(collection.queries) == ["1", "2"]
    assert [entry.reason for entry in collection.skipped] == [
        "2 judged queries without a text, 9 for one",
        "1 query without a relevant document",
    ]


@pytest.mark.parametrize("text", ['"', "\ud800", "", " \0 "])
def test_a_query_that_asks_for_nothing_counts_as_one_without_a_text(write, text):
    queries = [{"_id": name, "text": text, "relevant": ["a.md"]} for name, text in (("1", text), ("2", "cap"))]
    collection = read_collection(write(queries="".join(json.dumps(query) + "\n" for query in queries)))
    assert list(collection.queries) == ["2"]
    assert [entry.reason for entry in collection.skipped] == ["1 judged query without a text, 1 for one"]


@given(st.lists(st.text(alphabet=st.characters() | st.sampled_from('" \0\ud800\n'), max_size=4), max_size=8))
@example(['"\ud800"', "\0", "\x1f", "\x85", "?"])
def test_what_is_read_can_be_asked(tmp_path_factory, texts):
    folder = tmp_path_factory.getbasetemp()
    queries = [{"_id": number, "text": text, "relevant": ["a"]} for number, text in enumerate([*texts, "cap"])]
    (folder / "queries.jsonl").write_text("".join(json.dumps(query) + "\n" for query in queries))
    read = read_collection(folder).queries.values()
    assert all(parse_query(text).text for text in read)
    asked = []
    for text in [*texts, "cap"]:
        with contextlib.suppress(UsageError):
            parse_query(text)
            asked.append(text.strip())
    assert list(read) == asked


@pytest.mark.parametrize("name", ["./b.md", "a/../b.md", ".//b.md", "{folder}/b.md", "{link}/b.md"])
def test_a_note_may_be_named_in_any_way(write, tmp_path, name):
    folder = tmp_path / "real"
    folder.mkdir()
    (tmp_path / "link").symlink_to(folder)
    (folder / "b.md").write_text("bread")
    note = name.format(folder=folder, link=tmp_path / "link")
    (folder / "queries.jsonl").write_text(jsonl({"_id": "1", "text": "cap", "relevant": [note]}))
    (tmp_path / "qrels").write_text(f"1 0 {note} 1\n")
    (tmp_path / "run").write_text(f"1 Q0 {note} 1 2 me\n1 Q0 b.md 2 1 me\n")
    for collection in (
        read_collection(tmp_path / "link"),
        read_collection(tmp_path / "link", qrels_file=tmp_path / "qrels"),
    ):
        assert collection.qrels == {"1": {"b.md": 1.0}}
        assert read_run_for(collection, tmp_path / "run") == ({"1": ["b.md"]}, [])


def test_documents_that_are_not_there(write, tmp_path):
    collection = read_collection(write(corpus=CORPUS, queries=QUERIES, qrels=QRELS))
    assert collection.missing_documents(["d1", "x", "d2"]) == ["x"]
    (tmp_path / "a.md").write_text("a")
    notes = replace(collection, corpus_file=None, notes_dir=tmp_path)
    assert notes.missing_documents(["a.md", "b.md", "x" * 5000, "nul\0"]) == ["b.md", "x" * 5000, "nul\0"]


def test_a_run_is_read_without_what_is_not_judged(write, tmp_path):
    collection = read_collection(write(corpus=CORPUS, queries=QUERIES, qrels=QRELS))
    (tmp_path / "run").write_text("1 Q0 d2 1 2 me\n1 Q0 x 2 1 me\n7 Q0 d1 1 1 me\n")
    run, skipped = read_run_for(collection, tmp_path / "run")
    assert run == {"1": ["d2", "x"]}
    assert [(entry.path, entry.reason) for entry in skipped] == [
        (str(tmp_path / "run"), "1 query not among those judged"),
        (str(tmp_path / "run"), "1 judged query not in the run: 0 for each"),
        (str(tmp_path / "run"), "1 document not in the collection"),
    ]


def test_a_run_of_notesearch_names_notes_by_their_absolute_paths(write, tmp_path):
    folder = write(queries=jsonl({"_id": "1", "text": "bread", "relevant": ["white bread.md"]}))
    (folder / "white bread.md").write_text("Flour")
    (folder / "run").write_text(f"1 Q0 {folder}/white%20bread.md 1 2 me\n1 Q0 100%25.md 2 1 me\n")
    run, skipped = read_run_for(read_collection(folder), folder / "run")
    assert run == {"1": ["white bread.md", "100%25.md"]}
    assert [entry.reason for entry in skipped] == ["1 document not in the collection"]


@pytest.mark.parametrize(("most", "kept"), [(0, 10), (10, 10), (20, 10), (9, 5), (5, 5), (4, 4), (3, 3), (1, 1)])
def test_a_sample_takes_every_nth_query(most, kept):
    names = [str(number) for number in range(10)]
    whole = Collection(
        queries={name: f"text {name}" for name in names},
        qrels={name: {"d": 1.0} for name in names},
        grades=dict.fromkeys(names[:5], "exact"),
        notes_dir=None,
        corpus_file=None,
    )
    sample = whole.sampled(most)
    assert len(sample.queries) == kept
    assert list(sample.queries) == names[:: -(-10 // most) if most else 1]
    assert sample.queries.keys() == sample.qrels.keys()
    assert sample.grades.keys() == sample.queries.keys() & whole.grades.keys()


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
def test_a_line_that_is_not_a_judgement(file, text, line):
    with pytest.raises(UsageError, match=f"line {line} is not a judgement"):
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
    ("text", "message"),
    [
        ("1\tcap\n2 dal\n", "line 2 is not a query"),
        ("<top><title>x</top>", "topic 1 has no"),
        ("{1}\n", "line 1 is not"),
        ("1\tcap\n\n1\tdal\n", "line 3 has the id 1 again"),
        ("<top><num>1<title>x</top><top><num>1<title>y</top>", "topic 2 has the id 1 again"),
    ],
)
def test_a_line_that_is_not_a_query(file, text, message):
    with pytest.raises(UsageError, match=message):
        read_topics(file(text))


def test_a_run_is_ranked_by_score_and_ties_by_id_both_descending(file):
    text = "1 Q0 b 1 0.5 me\n1 Q0 c 2 0.5 me\n1 Q0 a 9 7e-1 me\n2 Q0 z 1 -1 me\n2 Q0 y 2 -inf me\n"
    assert read_run(file(text)) == {"1": ["a", "c", "b"], "2": ["z", "y"]}


def test_scores_that_differ_less_than_a_float_can_hold_are_a_tie(file):
    assert read_run(file("1 Q0 a 1 1.0000000001 me\n1 Q0 z 2 1.0 me\n")) == {"1": ["z", "a"]}


def test_between_tabs_an_id_may_hold_spaces(file):
    assert read_run(file("1\tQ0\twhite bread.md\t1\t0.5\tmy run\n")) == {"1": ["white bread.md"]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 Q0 a 1 0.5 me\n1 Q0 b 2 0.5\n", "line 2 is not a line of a run"),
        ("1 Q0 a 1 nan me\n", "line 1 is not a line of a run"),
        ("1 Q0 a 1 high me\n", "line 1 is not a line of a run"),
        ("1 Q0 a 1 1 me\n2 Q0 a 1 1 me\n1 Q0 a 2 0 me\n", "line 3 names document a for query 1 again"),
        ("\n", "is empty"),
    ],
)
def test_a_line_that_is_not_one_of_a_run(file, text, message):
    with pytest.raises(UsageError, match=message):
        read_run(file(text))


def test_a_run_of_search_is_taken_back_whatever_notes_and_queries_are_called(tmp_path):
    """Without the notes: judgements may be written between tabs, or without spaces as the run is."""
    (tmp_path / "run").write_text("a%20query Q0 /n/white%20bread.md 1 2.0 notesearch\n")
    for written in ("a query\t/n/white bread.md\t1\n", "a%20query 0 /n/white%20bread.md 1\n"):
        (tmp_path / "qrels").write_text(written)
        collection = read_collection(None, qrels_file=tmp_path / "qrels", only_runs=True)
        run, skipped = read_run_for(collection, tmp_path / "run")
        ((query_id, documents),) = run.items()
        assert (skipped, query_id in collection.qrels) == ([], True)
        assert set(documents) == set(collection.qrels[query_id])
