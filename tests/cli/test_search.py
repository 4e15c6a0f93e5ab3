import io
import json
import sys
from pathlib import Path

import pytest

CONTRACT = {
    "rank",
    "score",
    "path",
    "title",
    "heading",
    "start_line",
    "end_line",
    "snippet",
    "tags",
    "scores",
}


def jsonl(*records) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


def test_what_is_found_goes_to_stdout_and_exits_with_0(run, indexed):
    done = run("search", "lentils")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(" 1. Dal\n")
    assert "cooking/dal.md:" in done.out
    assert "#cooking" in done.out


def test_the_words_of_a_query_need_no_quotes(run, indexed):
    assert run("search", "lentils", "turmeric").out == run("search", "lentils turmeric").out


def test_nothing_found_exits_with_1_and_says_so_on_stderr(run, indexed):
    done = run("search", "--mode", "lexical", "blockchain")
    assert (done.code, done.out, done.err) == (1, "", "Nothing found.\n")
    assert run("search", "--quiet", "--mode", "lexical", "blockchain").err == ""


@pytest.mark.parametrize(
    ("flag", "out"),
    [("--json", "[]\n"), ("--jsonl", ""), ("--tsv", ""), ("--files", ""), ("-0", ""), ("--vimgrep", "")],
)
def test_nothing_found_for_scripts(run, indexed, flag, out):
    done = run("search", "--mode", "lexical", "blockchain", flag)
    assert (done.code, done.out, done.err) == (1, out, "")


def test_json_has_the_keys_of_the_contract(run, indexed):
    done = run("search", "dough of flour", "--json", "--all")
    hits = json.loads(done.out)
    assert done.code == 0 and len(hits) == 3
    assert all(hit.keys() >= CONTRACT for hit in hits)
    first = hits[0]
    assert first["path"] == str(indexed / "cooking" / "white bread.md")
    assert (first["rank"], first["title"], first["tags"]) == (1, "Bread", ["cooking"])
    assert first["scores"].keys() >= {"lexical", "dense"}
    lines = (indexed / "cooking" / "white bread.md").read_text().splitlines()
    assert "Flour, water, salt." in lines[first["start_line"] - 1 : first["end_line"]]
    assert [first["snippet"][start:end] for start, end in first["highlights"]] == ["Flour"]


def test_the_formats_for_scripts_agree_with_json(run, indexed):
    hits = json.loads(run("search", "salt", "--json").out)
    paths = [hit["path"] for hit in hits]
    assert [json.loads(line) for line in run("search", "salt", "--jsonl").out.splitlines()] == hits
    assert run("search", "salt", "--files").out.splitlines() == paths
    assert run("search", "salt", "-0").out.split("\0") == [*paths, ""]
    rows = [line.split("\t") for line in run("search", "salt", "--tsv").out.splitlines()]
    assert [(int(row[0]), float(row[1]), row[2], int(row[3]), int(row[4])) for row in rows] == [
        (hit["rank"], hit["score"], hit["path"], hit["start_line"], hit["end_line"]) for hit in hits
    ]
    marks = run("search", "salt", "--vimgrep").out.splitlines()
    assert [mark.split(":")[:3] for mark in marks] == [[hit["path"], str(hit["start_line"]), "1"] for hit in hits]
    trec = [line.split() for line in run("search", "salt", "--format", "trec").out.splitlines()]
    assert [[row[1], row[3], row[5]] for row in trec] == [["Q0", str(hit["rank"]), "notesearch"] for hit in hits]
    assert [row[2].replace("%20", " ") for row in trec] == paths


@pytest.mark.parametrize("flag", ["json", "jsonl", "tsv", "vimgrep", "files"])
def test_a_flag_is_short_for_a_format(run, indexed, flag):
    assert run("search", "salt", f"--{flag}").out == run("search", "salt", "--format", flag).out


def test_limit_and_mode(run, indexed):
    assert len(json.loads(run("search", "salt", "-n", "1", "--json").out)) == 1
    assert len(json.loads(run("search", "salt", "--limit", "2", "--json").out)) == 2
    scores = json.loads(run("search", "salt", "--mode", "dense", "--json").out)[0]["scores"]
    assert scores.keys() == {"dense"}


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["--tag", "cooking"], {"dal.md", "white bread.md"}),
        (["--tag", "#Cooking"], {"dal.md", "white bread.md"}),
        (["--tag", "databases", "--tag", "theory"], {"cap.md"}),
        (["--tag", "databases", "--tag", "cooking"], set()),
        (["--not-tag", "cooking"], {"cap.md"}),
        (["--path", "cooking"], {"dal.md", "white bread.md"}),
        (["--path", "*/dal.md"], {"dal.md"}),
        (["--since", "2024"], {"cap.md", "white bread.md"}),
        (["--until", "2024-02"], {"cap.md", "dal.md"}),
        (["--since", "2024-02-10", "--until", "2024-02-10"], {"cap.md"}),
        (["--since", "100 years ago", "--until", "2023-05-01"], {"dal.md"}),
    ],
)
def test_filters(run, indexed, arguments, names):
    done = run("search", "salt or consistency", "--files", "--all", *arguments)
    assert {Path(path).name for path in done.out.splitlines()} == names
    assert done.code == (0 if names else 1)


def test_weaker_matches_are_below_a_line_and_programs_get_them_only_with_all(run, indexed):
    done = run("search", "blockchain", "-n", "2")
    assert (done.code, done.err) == (1, "Nothing found but weaker matches.\n")
    assert done.out.startswith("── weaker matches ──\n\n 1. ")
    done = run("search", "blockchain", "--json")
    assert (done.code, done.out, done.err) == (1, "[]\n", "")
    done = run("search", "blockchain", "--jsonl", "--all")
    assert done.code == 0 and [json.loads(line)["weaker"] for line in done.out.splitlines()] == [True] * 3
    done = run("search", "dough of flour")
    assert done.code == 0 and done.out.index("Bread") < done.out.index("── weaker matches ──") < done.out.index("Dal")
    assert len(run("search", "dough of flour", "--min-score", "-9", "--files").out.splitlines()) == 3
    assert run("search", "dough of flour", "--min-score", "9", "--files").code == 1
    assert run("search", "turmeric", "--mode", "lexical", "--files").code == 0


def test_a_mistyped_word_is_searched_for_as_what_it_may_mean(run, indexed):
    done = run("search", "turmreic", "-n", "1")
    assert (done.code, done.err) == (0, "also: turmeric\n")
    assert "Dal" in done.out
    (hit,) = json.loads(run("search", "turmreic", "--json", "--mode", "lexical").out)
    assert (hit["title"], hit["also"]) == ("Dal", ["turmeric"])
    assert [hit["snippet"][start:end] for start, end in hit["highlights"]] == ["turmeric"]
    assert run("search", '"turmreic"', "--json").code == 1


def test_a_quoted_phrase_must_occur(run, indexed):
    assert run("search", '"turmeric, salt"', "--files").out.splitlines() == [str(indexed / "cooking" / "dal.md")]
    assert run("search", '"salt, turmeric"', "--files").code == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([""], "the query is empty"),
        ([], "the query is empty"),
        (['""'], "the query is empty"),
        (["salt", "--since", "soonish"], "'soonish' is not a date"),
        (["salt", "--until", "2024-13"], "'2024-13' is not a date"),
        (["salt", "--queries", "-"], "a query and --queries were both given"),
        (["--queries", "/nowhere/queries.jsonl"], "cannot read /nowhere/queries.jsonl: No such file or directory"),
    ],
)
def test_a_request_that_makes_no_sense_is_one_line_and_one_more(run, indexed, arguments, message):
    done = run("search", *arguments)
    assert (done.code, done.out) == (2, "")
    first, second = done.err.splitlines()
    assert first.startswith(f"notesearch: {message}")
    assert second.startswith("  ") and len(second) > 10


@pytest.mark.parametrize(
    "arguments",
    [
        ["--limit", "-1"],
        ["--limit", "many"],
        ["--mode", "psychic"],
        ["--rerank", "luck"],
        ["--format", "xml"],
        ["--nonsense"],
    ],
)
def test_an_option_that_does_not_exist_or_fit_exits_with_2(run, indexed, arguments):
    done = run("search", "salt", *arguments)
    assert (done.code, done.out) == (2, "")
    first, second = done.err.splitlines()
    assert first.startswith("notesearch: ") and second == "  See notesearch search --help"


def test_a_search_before_any_index_says_how_to_index(run):
    done = run("search", "salt")
    assert (done.code, done.out) == (2, "")
    assert "there is no index in" in done.err
    assert "notesearch index FOLDER" in done.err
    assert len(done.err.splitlines()) == 2


def test_a_file_that_is_no_database_is_refused(run, tmp_path):
    (tmp_path / "notes.db").write_text("this is no database at all, but long enough to look like one" * 10)
    done = run("search", "salt", "--index-dir", tmp_path)
    assert done.code == 2
    assert "damaged" in done.err and "notesearch doctor --repair" in done.err
    assert len(done.err.splitlines()) == 2


@pytest.mark.parametrize(("flag", "shown"), [("--verbose", True), ("-v", True), ("--quiet", False)])
def test_a_traceback_is_for_verbose_only(run, flag, shown):
    done = run("search", "salt", flag)
    assert done.code == 2
    assert ("Traceback" in done.err) is shown


def test_the_index_directory_is_a_flag_or_a_variable(run, indexed, monkeypatch, tmp_path):
    there = tmp_path / "data" / "notesearch"
    assert run("search", "salt", "--index-dir", there).code == 0
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "elsewhere"))
    assert run("search", "salt").code == 2
    monkeypatch.setenv("NOTESEARCH_INDEX_DIR", str(there))
    assert run("search", "salt").code == 0


def hits_of(run, *arguments) -> list[dict]:
    done = run("search", *arguments, "--json", "--all")
    assert (done.code, done.err) == (0, "")
    return json.loads(done.out)


@pytest.mark.parametrize(
    ("mode", "rerank", "parts"),
    [
        ("hybrid", None, {"lexical", "dense", "late"}),
        ("hybrid", "maxsim", {"lexical", "dense", "late"}),
        ("hybrid", "none", {"lexical", "dense"}),
        ("dense", None, {"dense"}),
        ("dense", "none", {"dense"}),
        ("dense", "maxsim", {"dense", "late"}),
        ("lexical", None, {"lexical"}),
        ("lexical", "none", {"lexical"}),
        ("lexical", "maxsim", {"lexical", "late"}),
    ],
)
def test_what_takes_part_in_the_scores(run, indexed, mode, rerank, parts):
    hits = hits_of(run, "lentils turmeric", "--mode", mode, *(["--rerank", rerank] if rerank else []))
    assert hits[0]["title"] == "Dal"
    assert all(hit["scores"].keys() == parts for hit in hits)
    assert all(bool(hit["evidence"]) is ("late" in parts) for hit in hits)
    for hit in hits:
        if hit["contributions"]:
            assert hit["score"] == pytest.approx(sum(hit["contributions"].values()), abs=1e-5)
        else:
            assert [hit["score"]] == list(hit["scores"].values())


def test_evidence_says_which_word_of_the_note_meets_each_word_of_the_query(run, indexed):
    hit = hits_of(run, "Turmeric and lentils")[0]
    assert all(row.keys() == {"query_token", "matched", "start", "end", "score"} for row in hit["evidence"])
    met = {row["query_token"]: row for row in hit["evidence"]}
    text = Path(hit["path"]).read_text(encoding="utf-8")
    for word, matched in (("Turmeric", "turmeric"), ("lentils", "Lentils")):
        assert (met[word]["matched"], met[word]["score"]) == (matched, 1.0)
        assert text[met[word]["start"] : met[word]["end"]] == matched


def test_evidence_from_a_title_or_heading_has_no_place(run, fake_encoder, write_notes):
    assert run("index", write_notes({"a.md": "---\ntitle: Soup\n---\nWater."}), "--quiet").code == 0
    (row,) = hits_of(run, "soup")[0]["evidence"]
    assert row == {"query_token": "soup", "matched": "Soup", "start": None, "end": None, "score": 1.0}


def test_a_cross_encoder_has_the_last_word(run, indexed, cross_encoder):
    by_length = ["CAP theorem", "Bread", "Dal"]
    plain = hits_of(run, "salt flour")
    assert plain[0]["title"] == "Bread" and cross_encoder == []
    hits = hits_of(run, "salt flour", "--cross-encoder", "some/model")
    assert cross_encoder == ["some/model"]
    assert [hit["title"] for hit in hits] == by_length
    assert all(hit["score"] == hit["scores"]["cross_encoder"] and hit["contributions"] == {} for hit in hits)
    assert hits_of(run, "salt flour", "--rerank", "cross-encoder", "--cross-encoder", "some/model") == hits
    assert hits_of(run, "salt flour", "--cross-encoder", "some/model", "-n", "1") == hits[:1]


def test_a_cross_encoder_may_be_named_in_the_settings(run, indexed, cross_encoder, tmp_path):
    (tmp_path / "config" / "notesearch").mkdir(parents=True)
    (tmp_path / "config" / "notesearch" / "config.toml").write_text('cross_encoder = "my/model"')
    assert "cross_encoder" not in hits_of(run, "salt")[0]["scores"]
    assert "cross_encoder" in hits_of(run, "salt", "--rerank", "cross-encoder")[0]["scores"]
    assert cross_encoder == ["my/model"]


@pytest.mark.parametrize("rerank", ["none", "maxsim"])
def test_a_cross_encoder_takes_no_part_where_another_reranking_was_asked_for(run, indexed, cross_encoder, rerank):
    plain = hits_of(run, "salt", "--rerank", rerank)
    assert hits_of(run, "salt", "--rerank", rerank, "--cross-encoder", "some/model") == plain
    assert cross_encoder == []


def test_a_cross_encoder_is_opened_once_for_a_batch(run, indexed, stdin, cross_encoder):
    stdin(BATCH.encode())
    assert run("search", "--queries", "-", "--jsonl", "--cross-encoder", "some/model").code == 0
    assert cross_encoder == ["some/model"]


def test_without_a_cross_encoder_there_is_no_reranking_by_it(run, indexed):
    done = run("search", "salt", "--rerank", "cross-encoder")
    assert (done.code, done.out) == (2, "")
    first, second = done.err.splitlines()
    assert first == "notesearch: no cross-encoder was chosen, and none comes with notesearch"
    assert "--cross-encoder" in second


def test_an_explanation_is_for_those_who_ask(run, indexed):
    plain, explained = (run("search", "lentils turmeric", *flag).out for flag in ([], ["--explain"]))
    assert (
        " words in context\n    lentils  ██████████ 1.00 Lentils\n    turmeric ██████████ 1.00 turmeric\n" in explained
    )
    assert "█" not in plain
    # It adds lines and changes none.
    added = [line for line in explained.splitlines() if line not in plain.splitlines()]
    assert [line for line in explained.splitlines() if line not in added] == plain.splitlines()


@pytest.mark.parametrize("flag", ["--json", "--jsonl", "--tsv", "--vimgrep", "--files", "-0"])
def test_an_explanation_changes_nothing_for_scripts(run, indexed, flag):
    assert run("search", "salt", "--explain", flag).out == run("search", "salt", flag).out


@pytest.mark.parametrize(("mode", "name"), [("lexical", "BM25"), ("dense", "meaning")])
def test_without_evidence_an_explanation_is_one_line(run, indexed, mode, name):
    line = run("search", "lentils", "--mode", mode, "--explain", "-n", "1").out.rstrip("\n").splitlines()[-1]
    assert line.startswith("    ") and line.endswith(f" {name}") and "context" not in line


def test_a_stdout_that_was_closed_is_an_error(run, indexed, monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    done = run("search", "lentils")
    assert done.code == 2 and len(done.err.splitlines()) == 1


BATCH = jsonl({"_id": "q1", "text": "lentils"}, {"_id": 2, "text": "consistency"}) + "\n"


def test_a_batch_from_a_file(run, indexed, tmp_path):
    (tmp_path / "queries.jsonl").write_text(BATCH)
    done = run("search", "--queries", tmp_path / "queries.jsonl", "--jsonl", "--limit", "2")
    hits = [json.loads(line) for line in done.out.splitlines()]
    assert done.code == 0
    assert [hit["query_id"] for hit in hits] == ["q1", "q1", "2", "2"]
    assert [hit["rank"] for hit in hits] == [1, 2, 1, 2]
    assert hits[0]["title"] == "Dal" and hits[2]["title"] == "CAP theorem"
    assert all(hit.keys() >= CONTRACT for hit in hits)
    assert {name: value for name, value in hits[0].items() if name != "query_id"} == json.loads(
        run("search", "lentils", "--json").out
    )[0]


def test_a_batch_from_stdin(run, indexed, stdin, tmp_path):
    (tmp_path / "queries.jsonl").write_text(BATCH)
    stdin(BATCH.encode())
    from_stdin = run("search", "--queries", "-", "--jsonl")
    assert from_stdin.code == 0
    assert from_stdin.out == run("search", "--queries", tmp_path / "queries.jsonl", "--jsonl").out


def test_a_batch_as_a_run_file(run, indexed, stdin):
    stdin(BATCH.encode())
    rows = [line.split() for line in run("search", "--queries", "-", "--format", "trec").out.splitlines()]
    assert [row[0] for row in rows] == ["q1"] * 3 + ["2"] * 3
    assert all(len(row) == 6 for row in rows)


def test_a_batch_as_json_is_one_document(run, indexed, stdin):
    stdin(BATCH.encode())
    hits = json.loads(run("search", "--queries", "-", "--json").out)
    assert [hit["query_id"] for hit in hits] == ["q1"] * 3 + ["2"] * 3


def test_a_batch_finds_something_if_one_of_its_queries_does(run, indexed, stdin):
    stdin(jsonl({"_id": "1", "text": "blockchain"}, {"_id": "2", "text": "lentils"}).encode())
    assert run("search", "--queries", "-", "--mode", "lexical", "--jsonl").code == 0
    stdin(jsonl({"_id": "1", "text": "blockchain"}, {"_id": "2", "text": "tulips"}).encode())
    done = run("search", "--queries", "-", "--mode", "lexical", "--jsonl")
    assert (done.code, done.out) == (1, "")
    stdin(b"")
    assert run("search", "--queries", "-", "--json").out == "[]\n"


@pytest.mark.parametrize(
    "line",
    [
        "salt",
        '{"_id": "2"}',
        '{"text": "salt"}',
        '["2", "salt"]',
        '"salt"',
        "7",
        '{"_id": "2", "text": null}',
        '{"_id": "2", "text": ["salt"]}',
        '{"_id": "2", "text": ""}',
        '{"_id": "2", "text": "\\ud800"}',
    ],
)
def test_a_bad_line_of_a_batch_is_named_before_anything_is_searched(run, indexed, stdin, line):
    stdin((BATCH + line + "\n" + BATCH).encode())
    done = run("search", "--queries", "-", "--jsonl")
    assert (done.code, done.out) == (2, "")
    assert done.err.splitlines()[0] == "notesearch: -, line 4 is not a query"
    assert len(done.err.splitlines()) == 2


def test_a_batch_that_is_not_utf8_is_refused(run, indexed, stdin, tmp_path):
    data = b'{"_id": "1", "text": "caf\xe9"}\n'
    (tmp_path / "queries.jsonl").write_bytes(data)
    stdin(data)
    for source in ("-", tmp_path / "queries.jsonl"):
        done = run("search", "--queries", source, "--jsonl")
        assert (done.code, done.out) == (2, "")
        assert f"cannot read {source}" in done.err and len(done.err.splitlines()) == 2


def test_line_separators_inside_a_query_end_no_line(run, indexed, stdin):
    stdin('{"_id": "1", "text": "lentils\u2028and\x85salt"}\r\n'.encode())
    done = run("search", "--queries", "-", "--jsonl", "--limit", "1")
    assert json.loads(done.out)["title"] == "Dal"


def test_lone_surrogates_of_a_batch_come_back_as_they_were(run, indexed, stdin):
    stdin(b'{"_id": "\\ud800", "text": "lentils \\udfff"}\n')
    done = run("search", "--queries", "-", "--jsonl", "--limit", "1")
    assert done.code == 0
    assert json.loads(done.out)["query_id"] == "\ud800"


EVIL_TITLE = "Harm\x1b[2J\x1b]0;gone\x07 \u202etxt.exe\u202c [red]x[/red]"
EVIL_NOTE = (
    f"---\ntitle: {json.dumps(EVIL_TITLE)}\ntags: [{json.dumps('t' + chr(0x202E) + 'ag')}]\n---\n"
    "# Head\x1b[31ming\n\nLentils \x1b[8mhidden\x1b[0m and\rmore \x9b5m [link=file:///x]here[/link].\n"
)


def test_a_hostile_note_is_harmless_to_people_and_exact_to_programs(run, fake_encoder, write_notes):
    folder = write_notes({"e\x1b[2Jvil.md": EVIL_NOTE})
    assert run("index", folder, "--quiet").code == 0
    shown = run("search", "lentils").out
    assert "\ufffd[2J" in shown and "[red]x[/red]" in shown and "[link=file:///x]" in shown
    assert not set(shown) & set("\x1b\x07\r\x9b\u202e\u202c")
    (hit,) = json.loads(run("search", "lentils", "--json").out)
    assert hit["title"] == EVIL_TITLE
    assert hit["path"] == str(folder / "e\x1b[2Jvil.md")
    assert hit["tags"] == ["t\u202eag"]
    assert "\x1b[8mhidden" in hit["snippet"]
    assert hit["heading"].startswith("Head\x1b[31ming")


def test_a_terminal_gets_colours_unless_it_says_no(run, indexed, terminals, monkeypatch):
    terminals.add("stdout")
    assert "\x1b[1;33mLentils\x1b[0m" in run("search", "lentils").out
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in run("search", "lentils").out


@pytest.mark.parametrize(
    "query", ["the of and", "?!", "NEAR( OR * title:", "salt " * 2000, "(" * 500, '"' * 99 + "salt", "麻婆豆腐", "-x"]
)
def test_odd_queries_are_answered(run, indexed, query):
    done = run("search", "--files", "--", query)
    assert done.code in (0, 1)
    assert done.err == ""


def test_ctrl_c_exits_with_130_without_a_traceback(run, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("notesearch.library.search.open_index", interrupt)
    done = run("search", "salt")
    assert (done.code, done.out) == (130, "")
    assert "Traceback" not in done.err


def test_a_path_is_resolved_as_indexed_folders_are(run, indexed, tmp_path, monkeypatch):
    folder = indexed
    (tmp_path / "link").symlink_to(folder)
    everything = run("search", "lentils", "--files").out
    assert everything
    for glob in (f"{tmp_path}/link/*", f"{tmp_path}/link", f"{folder}/cooking/d*"):
        assert run("search", "lentils", "--files", "--path", glob).out.splitlines()[0] == everything.splitlines()[0]
    monkeypatch.chdir(folder)
    assert run("search", "lentils", "--files", "--path", "./cooking").out.splitlines()[0] == everything.splitlines()[0]


def test_stdout_that_cannot_be_written_is_an_error(run, indexed, monkeypatch):
    class Full(io.StringIO):
        def flush(self) -> None:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(sys, "stdout", Full())
    done = run("search", "lentils", "--json")
    assert (done.code, done.err) == (2, "notesearch: [Errno 28] No space left on device\n")


SIGNS = {
    "work [2024]/plan.md": "# Plan\n\nWe decided **trunk** based\n> development. a && b -> c, 🍕",
    "work [2024]/pie.md": "---\ntags: pie\n---\n# Pie\n\nPie with a crust of dough",
    "home/pie.md": "# Pie\n\nPie with apples, sour and dough",
}


@pytest.fixture
def signs(run, fake_encoder, write_notes, monkeypatch):
    folder = write_notes(SIGNS)
    assert run("index", folder, "--quiet").code == 0
    monkeypatch.chdir(folder.parent)
    return folder


@pytest.mark.parametrize("mode", ["hybrid", "dense", "lexical"])
@pytest.mark.parametrize(
    ("query", "found"),
    [
        ('"trunk based development"', {"work [2024]/plan.md"}),
        ('"🍕"', {"work [2024]/plan.md"}),
        ('"b -> c"', {"work [2024]/plan.md"}),
        ('"🍺"', set()),
        ("pie -crust", {"home/pie.md"}),
        ("pie -crusts", {"home/pie.md"}),
        ('pie -"crusts"', {"work [2024]/pie.md", "home/pie.md"}),
        ('pie -"of dough"', {"home/pie.md"}),
        ("pie title:pie -tag:pie", {"home/pie.md"}),
        ("pie path:home", {"home/pie.md"}),
        ("pie -path:home title:pie", {"work [2024]/pie.md"}),
    ],
)
def test_what_a_query_line_asks_for_holds_in_every_mode(run, signs, mode, query, found):
    done = run("search", "--files", "--mode", mode, "--", query)
    paths = {str(Path(path).relative_to(signs)) for path in done.out.splitlines()}
    assert paths - {"work [2024]/plan.md"} == found - {"work [2024]/plan.md"}
    assert ("work [2024]/plan.md" in paths) == ("work [2024]/plan.md" in found) or query.startswith("pie")


def test_the_path_of_a_hit_finds_it(run, signs, monkeypatch):
    for folder in (signs.parent, signs, signs / "home"):
        monkeypatch.chdir(folder)
        shown = run("search", "crust").out.splitlines()[1].strip().split("  ")[0]
        assert "work [2024]/pie.md" in shown
        for written in (shown, shown.rsplit(":", 1)[0], str(signs / "work [2024]" / "pie.md"), "work [2024]/pi?.md"):
            assert run("search", "pie", "--files", "--path", written).out.splitlines() == [
                str(signs / "work [2024]" / "pie.md")
            ]
    assert run("search", "pie", "--files", "--path", ".").out.splitlines() == [str(signs / "home" / "pie.md")]


def test_the_query_comes_from_stdin(run, signs, stdin, terminals):
    stdin("crust -apples\n")
    terminals.add("stdin")
    done = run("search", "-", "--files", "-n", "0")
    assert str(signs / "home" / "pie.md") not in done.out and "work [2024]/pie.md" in done.out
    assert done.err == "Reading the query from stdin; Ctrl-D ends it.\n"


@pytest.mark.parametrize("arguments", [["pie", "-vegan"], ["-vegan"], ["pie", "-cheese"], ["pie", "-tag:x"]])
def test_an_exclusion_that_the_shell_hands_over_as_an_option_is_explained(run, signs, arguments):
    done = run("search", *arguments)
    assert (done.code, done.out) == (2, "")
    assert done.err.splitlines()[-1].endswith(f"put -- before: -- {arguments[-1]}")


def test_a_batch_may_begin_with_a_byte_order_mark_and_names_each_query_once(run, signs, tmp_path):
    batch = tmp_path / "queries.jsonl"
    batch.write_bytes(b"\xef\xbb\xbf" + jsonl({"_id": 1, "text": "crust -apples tag:x"}).encode())
    assert "home/pie.md" in run("search", "--queries", batch, "--files").out, "a batch is taken literally"
    batch.write_text(jsonl({"_id": 1, "text": "crust"}, {"_id": "1", "text": "pie"}))
    done = run("search", "--queries", batch)
    assert done.code == 2 and "line 2 has the id 1 again" in done.err


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("crust tag:pies", "No note has the tag pies; nearest: pie."),
        ("crust since:2024 until:2023", "No date is both since 2024-01-01 and until 2023-12-31."),
        ("crust since:2150", "No note has a date since 2150-01-01."),
        ("crust path:nowhere", "No note is at nowhere."),
        ('"sour milk"', "No note holds “sour milk”."),
        ("crust title:milk", "No note has a title with “milk”."),
    ],
)
def test_nothing_found_says_why_where_that_is_known(run, signs, query, reason):
    done = run("search", query)
    assert (done.code, done.out, done.err) == (1, "", f"Nothing found.\n{reason}\n")
    assert run("search", query, "--quiet").err == run("search", query, "--json").err == ""


def test_nothing_found_says_how_many_notes_are_newer_than_the_index(run, signs):
    (signs / "home" / "pie.md").write_text("Changed")
    (signs / "new").mkdir()
    (signs / "new" / "note.md").write_text("New")
    (signs / "draft.md").write_text("New")
    assert run("search", '"sour milk"').err.splitlines()[-1] == "3 notes are newer than the index: notesearch index"
    (signs / ".notesearchignore").write_text("draft*\n")
    assert run("search", '"sour milk"').err.splitlines()[-1] == "2 notes are newer than the index: notesearch index"
