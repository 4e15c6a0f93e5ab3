import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notesearch.notes import parse_front_matter
from notesearch.notes.metadata import FrontMatter


def test_yaml_with_its_spans() -> None:
    text = "---\ntitle: A\ntags: [x, y]\n---\nBody"
    found = parse_front_matter(text)
    assert found.data == {"title": "A", "tags": ["x", "y"]}
    assert text[found.body_start :] == "Body"
    assert text[slice(*found.span)] == "title: A\ntags: [x, y]\n"
    assert (found.format, found.end, found.problem) == ("yaml", found.body_start, "")


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("closing", ["---", "...", "---  "])
def test_closings_and_line_endings(newline: str, closing: str) -> None:
    text = newline.join(["---", "a: b", closing, "Body"])
    found = parse_front_matter(text)
    assert (found.data, text[found.body_start :]) == ({"a": "b"}, "Body")


def test_toml_keeps_types() -> None:
    text = '+++\ntitle = "A"\ntags = ["x"]\ndraft = true\n+++\nBody'
    found = parse_front_matter(text)
    assert found.data == {"title": "A", "tags": ["x"], "draft": True}
    assert (found.format, text[found.body_start :]) == ("toml", "Body")


def test_yaml_scalars_stay_as_written() -> None:
    text = "---\na: no\nb: 1.10\nc: 2024-02-31\nd: !!python/object/apply:os.system [ls]\ne: 007\n---\n"
    assert parse_front_matter(text).data == {"a": "no", "b": "1.10", "c": "2024-02-31", "d": ["ls"], "e": "007"}


@pytest.mark.parametrize(
    "text", ["---\n---\nBody", "---\n\n---\nBody", "---\n# only a comment\n---\nBody", "+++\n+++\nBody"]
)
def test_empty_front_matter(text: str) -> None:
    found = parse_front_matter(text)
    assert (found.data, text[found.body_start :], found.problem) == ({}, "Body", "")


@pytest.mark.parametrize(
    "text",
    [
        *("", "Body", "----\na: b\n---\n", " ---\na: b\n---", "---", "---\n\nSome prose\n", "+++"),
        # Two rules and what stands between them.
        *("---\nA sentence.\n---\n", "---\n\nA sentence.\n\n---\n", "---\nA sentence.\n...\n"),
        *("---\n- a\n- b\n---\n", "---\n\n# Heading\n\n---\n"),
        *("---\n\nTwo words: and more\n\n---\n", "---\n \nSee it: there\n---\n", "---\n\ntitle: a: b\n---\n"),
        *("---\n*Emphasis* first\n---\n", "---\n@ada said: so\n---\n", "---\nhttps://example.org says: no: it\n---\n"),
        *('---\n"Quoted" words\n---\n', "---\n[link](a.md), [b](c.md)\n---\n", "---\n| a | b |\n---\n"),
        *("---\n{{< figure >}}\n---\n", "---\n" + "long prose " * 7000 + "\n---\n", "---\n- [\n---\n"),
        *("+++\nA sentence.\n+++\n", "+++\n\nA sentence.\n\n+++\n", "+++\n- a\n+++\n"),
    ],
)
def test_no_front_matter(text: str) -> None:
    assert parse_front_matter(text) == FrontMatter()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("---\ntitle: a: b\n---\n", "front matter: line 2: mapping values are not allowed in this context"),
        ("---\na: b\nc: [1, 2\n---\n", "front matter: line 4: did not find expected ',' or ']'"),
        ("---\na:\n\t- b\n---\n", "front matter: line 3: found character that cannot start any token"),
        ("---\n# comment\n\ntwo words: [\n---\n", "front matter: line 5: did not find expected node content"),
        ("---\n'q r': a: b\n---\n", "front matter: line 2: mapping values are not allowed in this context"),
        ("---\na: &x [1]\nb: *x\n---\n", "front matter: line 3: aliases are not supported"),
        ("---\na: " + "[" * 40 + "]" * 40 + "\n---\n", "front matter: line 2: nested too deeply"),
        ("---\n? [a, b]\n: c\n---\n", "front matter: line 2: found unhashable key"),
        ("---\na: \x07\n---\n", "front matter: unacceptable character"),
        ("---\na: \ud800\n---\n", "front matter: 'utf-8' codec can't encode"),
        ("---\na: " + "x" * 70_000 + "\n---\n", "front matter: longer than 65536 characters"),
        ("+++\na = \n+++\n", "front matter: Invalid value (at line 2, column 5)"),
        ("+++\na = " + "[" * 2000 + "\n+++\n", "front matter: "),
        ("+++\na = " + "[" * 32 + "]" * 32 + "\n+++\n", "front matter: nested too deeply"),
        ("+++\na = " + "{b.c = " * 16 + "1" + "}" * 16 + "\n+++\n", "front matter: nested too deeply"),
        ("+++\na" + " . 'a'" * 32 + " = 1\n+++\n", "front matter: nested too deeply"),
        ("+++\n[a" + ".a" * 32 + "]\n+++\n", "front matter: nested too deeply"),
        ("+++\na = [1, {b = 0x1" + "0" * 16 + "}]\n+++\n", "front matter: a number has more than 64 bits"),
        ("+++\na = 1" + "0" * 5000 + "\n+++\n", "front matter: Exceeds the limit"),
        ("---\na: b\n--- c\n---\nd: e\n---\n", "front matter: "),
    ],
)
def test_what_cannot_be_read_is_named_and_is_text(text: str, problem: str) -> None:
    found = parse_front_matter(text)
    assert found.problem.startswith(problem)
    assert "\n" not in found.problem
    assert (found.data, found.body_start) == ({}, 0)
    assert found.end > 0


def test_a_blank_line_may_come_first_where_each_key_is_one_word() -> None:
    found = parse_front_matter("---\n\ntitle: A\nis-draft: yes\n\n---\nBody")
    assert (found.data, found.problem) == ({"title": "A", "is-draft": "yes"}, "")


def test_never_closed() -> None:
    found = parse_front_matter("---\ntitle: A\n\nBody")
    assert found == FrontMatter(problem="front matter: line 1: it is never closed")


def test_a_duplicate_key_is_reported_and_the_last_counts() -> None:
    found = parse_front_matter("---\na: 1\nb: 2\na: 3\n---\nBody")
    assert found.data == {"a": "3", "b": "2"}
    assert found.problem == "front matter: line 4: the key 'a' occurs twice, the last one counts"
    assert found.body_start == found.end


def test_a_long_key_does_not_swamp_the_message() -> None:
    key = "k" * 900
    assert len(parse_front_matter(f"---\n{key}: 1\n{key}: 2\n---\n").problem) < 400


def test_toml_may_be_as_deep_and_as_large_as_anyone_writes_it() -> None:
    content = "a" + ".b" * 30 + f" = 1\nlow = {-(2**63)}\nhigh = {2**64 - 1}\nwords = 'e.g. i.e. 1.2.3.4'\n"
    found = parse_front_matter(f"+++\n{content}+++\n")
    assert found.problem == "" and found.data["high"] == 2**64 - 1


def test_bombs_are_refused_quickly() -> None:
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    started = time.process_time()
    for content in ("\n".join(levels), "a: " + "[" * 60_000, "a:\n " + "- " * 30_000, "{a: " * 15_000):
        found = parse_front_matter(f"---\n{content}\n---\n")
        assert found.problem and not found.data
        parse_front_matter(f"---\n{content.removeprefix('a: ')}\n---\n")
    assert time.process_time() - started < 1


FRAGMENTS = st.lists(
    st.sampled_from(
        ["---", "+++", "...", "a: b", "a = 1", "- x", "  ", "\t", "[", "{", "&a", "*a", "!!x", "? ", "'", "\0"]
    )
    | st.text(max_size=5),
    max_size=12,
)


@given(st.sampled_from(["---", "+++"]), FRAGMENTS, st.sampled_from(["\n", "\r\n", "\r", " "]))
def test_never_raises(opening: str, fragments: list[str], separator: str) -> None:
    text = separator.join([opening, *fragments])
    found = parse_front_matter(text)
    assert 0 <= found.span[0] <= found.span[1] <= max(found.end, found.span[1]) <= len(text)
    assert found.body_start in (0, found.end)
