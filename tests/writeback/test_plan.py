from datetime import datetime
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from notesearch.errors import NoteNotWritable
from notesearch.notes import parse_front_matter, parse_note
from notesearch.notes.read import decode
from notesearch.notes.tags import unique_tags
from notesearch.writeback.plan import plan_tag_edit

MODIFIED = datetime(2024, 1, 2)


def tagged(data: bytes, *tags: str, name: str = "note.md") -> bytes:
    """The file once it has the tags; only the bytes that the edit names may differ."""
    edit = plan_tag_edit(Path("/notes") / name, data, tags)
    assert edit is not None
    assert data[edit.start : edit.start + len(edit.removed)] == edit.removed
    new = data[: edit.start] + edit.inserted + data[edit.start + len(edit.removed) :]
    assert edit.applied_to(data) == new
    assert edit.undone_in(new) == data
    return new


def tagged_yaml(front_matter: str, *tags: str) -> str:
    new = tagged(f"---\n{front_matter}---\nBody\n".encode(), *tags).decode()
    assert new.startswith("---\n") and new.endswith("---\nBody\n")
    return new[4:-9]


def tagged_toml(front_matter: str, *tags: str) -> str:
    new = tagged(f"+++\n{front_matter}+++\nBody\n".encode(), *tags).decode()
    assert new.startswith("+++\n") and new.endswith("+++\nBody\n")
    return new[4:-9]


def refusal(data: bytes, *tags: str, name: str = "note.md") -> str:
    with pytest.raises(NoteNotWritable) as caught:
        plan_tag_edit(Path("/notes") / name, data, tags)
    assert "\n" not in caught.value.message
    return caught.value.message


def tags_of(data: bytes, name: str = "note.md") -> tuple[str, ...]:
    return parse_note(Path("/notes") / name, decode(data)[0], MODIFIED).tags


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("tags: [a, b]\n", "tags: [a, b, new]\n"),
        ("tags: [a,b]  # why\n", "tags: [a,b,new]  # why\n"),
        ("tags: [ a , b ]\n", "tags: [ a , b , new ]\n"),
        ("tags: [a, b,]\n", "tags: [a, b, new,]\n"),
        ("tags: [a]\n", "tags: [a, new]\n"),
        ('tags: ["a", "b"]\n', 'tags: ["a", "b", "new"]\n'),
        ("tags: ['a', 'b c']\n", "tags: ['a', 'b c', 'new']\n"),
        ("tags: [a, 'b: c']\n", "tags: [a, 'b: c', new]\n"),
        ("tags:\n  [a, b]\nx: 1\n", "tags:\n  [a, b, new]\nx: 1\n"),
        ("tags: [a, b,\n  c, d]\n", "tags: [a, b,\n  c, d, new]\n"),
        ("tags: [a,\n  b]\n", "tags: [a,\n  b,\n  new]\n"),
        ("tags: [\n  a,\n  b\n]\n", "tags: [\n  a,\n  b,\n  new\n]\n"),
        ("tags: [\n  a,\n  b,\n]\n", "tags: [\n  a,\n  b,\n  new,\n]\n"),
        ("tags: [\n  a\n]\n", "tags: [\n  a,\n  new\n]\n"),
        ("tags: [\n  a, # one\n  b # two\n  # end\n]\n", "tags: [\n  a, # one\n  b, # two\n  new\n  # end\n]\n"),
        ("tags: [\n  a, # one\n  b, # ]\n]\n", "tags: [\n  a, # one\n  b, # ]\n  new,\n]\n"),
        ("tags: [\n    a\n  , b\n  ]\n", "tags: [\n    a\n  , b\n  , new\n  ]\n"),
        ("tags: [\n    a\n  , b]\n", "tags: [\n    a\n  , b\n  , new]\n"),
        ("{tags: [a], x: 1}\n", "{tags: [a, new], x: 1}\n"),
    ],
)
def test_a_list_in_brackets(before: str, after: str) -> None:
    assert tagged_yaml(before, "new") == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("tags:\n- a\n- b\n", "tags:\n- a\n- b\n- new\n"),
        ("tags:\n  - a\nx: 1\n", "tags:\n  - a\n  - new\nx: 1\n"),
        ("tags:\n    -   a\n", "tags:\n    -   a\n    -   new\n"),
        ('tags:\n  - "a"\n  - "b"\n', 'tags:\n  - "a"\n  - "b"\n  - "new"\n'),
        ("tags:\n- 'a'\n", "tags:\n- 'a'\n- 'new'\n"),
        (
            "tags: # mine\n- a # one\n- b # two\n\n# next\nx: 1\n",
            "tags: # mine\n- a # one\n- b # two\n- new\n\n# next\nx: 1\n",
        ),
        ("tags:\n- a\n-\n", "tags:\n- a\n-\n- new\n"),
        ("tags:\n- a\n  b\nx: 1\n", "tags:\n- a\n  b\n- new\nx: 1\n"),
        ("x:\n  tags: [q]\ntags:\n\n- a\n", "x:\n  tags: [q]\ntags:\n\n- a\n- new\n"),
    ],
)
def test_a_list_with_dashes(before: str, after: str) -> None:
    assert tagged_yaml(before, "new") == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("tags: a, b # why\n", "tags: a, b, new # why\n"),
        ("tags: a,b\n", "tags: a,b,new\n"),
        ("tags: a, b,\n", "tags: a, b, new\n"),
        ("tags: 'a, b'\n", "tags: 'a, b, new'\n"),
        ('tags: "a,b"\n', 'tags: "a,b,new"\n'),
        ("tags: a,\n  b\nx: 1\n", "tags: a,\n  b, new\nx: 1\n"),
        ("tags: a b\n", "tags: a b new\n"),
        ('tags: "#a #b"\n', 'tags: "#a #b new"\n'),
        ("tags: a # why\n", "tags: [a, new] # why\n"),
        ("tags: 'a'\n", "tags: ['a', 'new']\n"),
        ('tags: "#a"\n', 'tags: ["#a", "new"]\n'),
        ("tags: a[1]\n", 'tags: ["a[1]", new]\n'),
        ("tags: 2024\n", "tags: [2024, new]\n"),
    ],
)
def test_text(before: str, after: str) -> None:
    assert tagged_yaml(before, "new") == after


@pytest.mark.parametrize(
    ("before", "tags", "after"),
    [
        ("tags: a b\n", ["x y"], "tags: [a, b, x y]\n"),
        ("tags: a b\n", ["x", "y, z"], 'tags: [a, b, x, "y, z"]\n'),
        ("tags: a, b c\n", ["x y"], "tags: a, b c, x y\n"),
        ("tags: a, b c\n", ["x, y"], 'tags: [a, b c, "x, y"]\n'),
        ("tags: a, b # why\n", ["x: y"], 'tags: [a, b, "x: y"] # why\n'),
        ("tags: 'a, b'\n", ["x: y's"], "tags: 'a, b, x: y''s'\n"),
        ("tags: 'a, b'\n", ["x, y's"], "tags: ['a', 'b', 'x, y''s']\n"),
        ('tags: "a, b"\n', ['x: "y"\\'], 'tags: "a, b, x: \\"y\\"\\\\"\n'),
        ("tags: a, b\n", ["no", "1"], "tags: a, b, no, 1\n"),
    ],
)
def test_text_becomes_a_list_where_it_cannot_hold_a_tag(before: str, tags: list[str], after: str) -> None:
    assert tagged_yaml(before, *tags) == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("tags:\n", "tags: [one, two]\n"),
        ("tags: \n", "tags: [one, two]\n"),
        ("tags:   # none\nx: 1\n", "tags: [one, two]   # none\nx: 1\n"),
        ("tags: []\n", "tags: [one, two]\n"),
        ("tags: [ ] # none\n", "tags: [one, two] # none\n"),
        ("tags: [\n]\n", "tags: [one, two]\n"),
        ("tags: [ # none\n]\n", "tags: [one, two # none\n]\n"),
        ("tags: ~ # none\n", "tags: [one, two] # none\n"),
        ("tags: null\n", "tags: [one, two]\n"),
        ('tags: ""\n', "tags: [one, two]\n"),
        ("aliases:\n  - q\ntags:\n", "aliases:\n  - q\ntags:\n  - one\n  - two\n"),
        ("aliases:\n- q\ntags: # none\nz: 1\n", "aliases:\n- q\ntags: # none\n- one\n- two\nz: 1\n"),
        ("aliases:\n- q\ntags: []\n", "aliases:\n- q\ntags: [one, two]\n"),
    ],
)
def test_no_tags_yet(before: str, after: str) -> None:
    assert tagged_yaml(before, "one", "two") == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("title: T\n", "title: T\ntags: [one, two]\n"),
        ("", "tags: [one, two]\n"),
        ("# only a comment\n", "# only a comment\ntags: [one, two]\n"),
        ("title: T\n\n# end\n", "title: T\n\n# end\ntags: [one, two]\n"),
        ("  title: T\n  a: b\n", "  title: T\n  a: b\n  tags: [one, two]\n"),
        ("a: {b: [c]}\nd:\n  tags: [e]\n", "a: {b: [c]}\nd:\n  tags: [e]\ntags: [one, two]\n"),
        ("a: |+\n  text\n\n", "a: |+\n  text\n\ntags: [one, two]\n"),
        ("aliases:\n  - q\n", "aliases:\n  - q\ntags:\n  - one\n  - two\n"),
        ("aliases:\n- 'q'\nd: 1\n", "aliases:\n- 'q'\nd: 1\ntags:\n- one\n- two\n"),
        ("aliases:\n- q\ncss: [s]\n", "aliases:\n- q\ncss: [s]\ntags: [one, two]\n"),
    ],
)
def test_no_key_yet(before: str, after: str) -> None:
    assert tagged_yaml(before, "one", "two") == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("keywords: [a]\ntopics: [b]\ntag: [c]\ntags: [d]\n", "keywords: [a]\ntopics: [b]\ntag: [c]\ntags: [d, new]\n"),
        ("keywords: [a]\ntopics: [b]\ntag: [c]\n", "keywords: [a]\ntopics: [b]\ntag: [c, new]\n"),
        ("keywords: [a]\nTopics: [b]\n", "keywords: [a]\nTopics: [b, new]\n"),
        ("KEYWORDS: [a]\n", "KEYWORDS: [a, new]\n"),
        ('"tags" : [a]\n', '"tags" : [a, new]\n'),
    ],
)
def test_the_key_that_is_extended(before: str, after: str) -> None:
    assert tagged_yaml(before, "new") == after


@pytest.mark.parametrize(
    "tag", ["été", "a/b", "a-b", "c++", "don't", "x y", "🙂", "3d", "_x", "a\\b", "node.js", "x_1"]
)
def test_a_tag_that_needs_no_quotation_marks(tag: str) -> None:
    assert tagged_yaml("tags: [a]\n", tag) == f"tags: [a, {tag}]\n"


@pytest.mark.parametrize(
    "tag",
    [
        *(
            "a: b",
            "a:b",
            "c#",
            "a, b",
            "[a]",
            "{a}",
            "-a",
            "? a",
            "!a",
            "&a",
            "*a",
            "|a",
            ">a",
            "%a",
            "@a",
            "`a",
            "'a'",
        ),
        *("no", "Yes", "TRUE", "n", "off", "7", "1.10", "1e3", "0x1F", "0o17", "1_000", "2024-01-02", ".net", "<<"),
        *("=", "nan", "`a", "'a'"),
    ],
)
@pytest.mark.parametrize("front_matter", ["tags: [a1, b]\n", "tags:\n- a1\n", "title: x\n"])
def test_a_tag_that_needs_quotation_marks(tag: str, front_matter: str) -> None:
    new = tagged_yaml(front_matter, tag)
    assert f'"{tag}"' in new
    assert yaml.safe_load(new)["tags"][-1] == tag


def test_escapes_in_quotation_marks() -> None:
    assert tagged_yaml('tags: ["a"]\n', 'b "c" \\d') == 'tags: ["a", "b \\"c\\" \\\\d"]\n'
    assert tagged_yaml("tags: ['a']\n", "b'c\\d") == "tags: ['a', 'b''c\\d']\n"


def test_many_tags_at_once_are_cleaned_and_written_once() -> None:
    assert tagged_yaml("tags: [a]\n", "#b", "A", "c  d", "B", "e") == "tags: [a, b, c d, e]\n"
    assert tagged_yaml("tags: [\n  a\n]\n", "b", "c") == "tags: [\n  a,\n  b,\n  c\n]\n"


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ("---\ntags: [Work, b]\n---\n", ["work", "B"]),
        ("---\ntags: [a]\nkeywords: b\n---\n", ["b"]),
        ("Text #a and #b/c", ["a", "b/c"]),
        ("---\na: b: c\n---\nBroken, yet #tagged", ["tagged"]),
        ("Text", []),
    ],
)
def test_nothing_to_do(text: str, tags: list[str]) -> None:
    assert plan_tag_edit(Path("/notes/a.md"), text.encode(), tags) is None


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("---|tags: [a]|---|Body|", "---|tags: [a, new]|---|Body|"),
        ("---|tags:|- a|---|Body", "---|tags:|- a|- new|---|Body"),
        ("---|tags: [|  a # one|]|---|", "---|tags: [|  a, # one|  new|]|---|"),
        ("---|tags:|---|", "---|tags: [new]|---|"),
        ("---|x: 1|---|Body", "---|x: 1|tags: [new]|---|Body"),
        ("---|---", "---|tags: [new]|---"),
        ("Body|more", "---|tags: [new]|---|Body|more"),
        ("|    code", "---|tags: [new]|---||    code"),
        ("---||Below a rule", "---|tags: [new]|---|---||Below a rule"),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_line_endings_and_encodings(before: str, after: str, newline: str, encoding: str) -> None:
    data = before.replace("|", newline).encode(encoding)
    assert tagged(data, "new") == after.replace("|", newline).encode(encoding)


def test_big_endian() -> None:
    data = "\ufeff---\ntitle: Ä🙂\ntags: [ü]\n---\nß".encode("utf-16-be")
    assert tagged(data, "ö") == "\ufeff---\ntitle: Ä🙂\ntags: [ü, ö]\n---\nß".encode("utf-16-be")


def test_mixed_line_endings_follow_the_line_above() -> None:
    assert tagged(b"---\r\nx: 1\n---\r\n", "new") == b"---\r\nx: 1\ntags: [new]\n---\r\n"
    assert tagged(b"---\ntags:\r\n- a\r\n---\n", "new") == b"---\ntags:\r\n- a\r\n- new\r\n---\n"
    assert tagged(b"a\r\nb\n", "new") == b"---\r\ntags: [new]\r\n---\r\na\r\nb\n"


def test_places_are_counted_in_bytes() -> None:
    before = "---\ntitle: '🙂 🇩🇪 é\u2028 x'\n🙂: 1\ntags: [🙂] # 🙂\n---\n🙂"
    assert tagged(before.encode(), "new") == before.replace("[🙂]", "[🙂, new]").encode()


@pytest.mark.parametrize("end", ["", "\n", "\n\n"])
def test_the_end_of_a_file_without_text(end: str) -> None:
    assert tagged(f"---\nx: 1\n---{end}".encode(), "new") == f"---\nx: 1\ntags: [new]\n---{end}".encode()
    assert tagged(end.encode(), "new") == f"---\ntags: [new]\n---\n{end}".encode()
    assert tagged(b"\xef\xbb\xbf" + end.encode(), "new") == f"\ufeff---\ntags: [new]\n---\n{end}".encode()


@pytest.mark.parametrize("name", ["a.md", "a.markdown", "a.txt", "A.MD"])
def test_front_matter_is_made_in_markdown_and_text(name: str) -> None:
    assert tagged(b"Text", "new", name=name) == b"---\ntags: [new]\n---\nText"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('tags = ["a", "b"] # why\n', 'tags = ["a", "b", "new"] # why\n'),
        ("tags = [ 'a' ]\n", "tags = [ 'a', 'new' ]\n"),
        ('tags = [\n  "a", # one\n  "b" # two\n]\n', 'tags = [\n  "a", # one\n  "b", # two\n  "new"\n]\n'),
        ('tags = [\r\n  "a",\r\n]\r\n', 'tags = [\r\n  "a",\r\n  "new",\r\n]\r\n'),
        ("tags = []\n", 'tags = ["new"]\n'),
        ('tags = ""\n', 'tags = ["new"]\n'),
        ('tags = "a"\n', 'tags = ["a", "new"]\n'),
        ('tags = "a, b"\n', 'tags = "a, b, new"\n'),
        ("tags = 'a b' # why\n", "tags = 'a b new' # why\n"),
        ('"tags" = ["#"]\nx = nan\n', '"tags" = ["#", "new"]\nx = nan\n'),
        ('Topics=["a"]\n', 'Topics=["a", "new"]\n'),
        ('title = "T"\n', 'title = "T"\ntags = ["new"]\n'),
        ("", 'tags = ["new"]\n'),
        ('title = "T" # t\n\n# p\n[p]\ntags = ["q"]\n', 'title = "T" # t\ntags = ["new"]\n\n# p\n[p]\ntags = ["q"]\n'),
        ('[p]\ntags = ["q"]\n', 'tags = ["new"]\n[p]\ntags = ["q"]\n'),
        (
            'a.b = """\n[x]\n"tags" = 1""""\nl = [ [1],\n{ x = "]" } ]\ntags = ["a"]\nd = 1979-05-27 07:32:00\n',
            'a.b = """\n[x]\n"tags" = 1""""\nl = [ [1],\n{ x = "]" } ]\ntags = ["a", "new"]\nd = 1979-05-27 07:32:00\n',
        ),
    ],
)
def test_toml(before: str, after: str) -> None:
    assert tagged_toml(before, "new") == after


def test_quotation_marks_in_toml() -> None:
    assert tagged_toml('tags = ["a"]\n', 'b "c" \\d') == 'tags = ["a", "b \\"c\\" \\\\d"]\n'
    assert tagged_toml("tags = ['a']\n", "b", "c's") == "tags = ['a', 'b', \"c's\"]\n"
    assert tagged_toml("tags = 'a, b'\n", "c's") == "tags = ['a', 'b', \"c's\"]\n"
    assert tagged_toml('tags = "a b"\n', "c d") == 'tags = ["a", "b", "c d"]\n'


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("#+filetags: :a:b:|x", "#+filetags: :a:b:new:|x"),
        ("#+FILETAGS:   :a:  |x", "#+FILETAGS:   :a:new:  |x"),
        ("#+filetags: a b|x", "#+filetags: a b new|x"),
        ("#+filetags: a:b|x", "#+filetags: a:b:new|x"),
        ("#+filetags:|x", "#+filetags: :new:|x"),
        ("* H :q:|x|#+filetags: :a:", "* H :q:|x|#+filetags: :a:new:"),
        ("#+title: T|#+date: 2024-01-02||Text", "#+title: T|#+date: 2024-01-02|#+filetags: :new:||Text"),
        ("#+TITLE: T|Text", "#+TITLE: T|#+FILETAGS: :new:|Text"),
        (":PROPERTIES:|:ID: x|:END:|#+title: T|* H|", ":PROPERTIES:|:ID: x|:END:|#+title: T|#+filetags: :new:|* H|"),
        (":PROPERTIES:|:ID: x|* H|", "#+filetags: :new:|:PROPERTIES:|:ID: x|* H|"),
        ("# -*- mode: org -*-|#+name: t|#+begin_src|", "# -*- mode: org -*-|#+filetags: :new:|#+name: t|#+begin_src|"),
        ("Text|", "#+filetags: :new:|Text|"),
        ("---|title: T|---|* H|", "---|title: T|tags: [new]|---|* H|"),
    ],
)
def test_org(before: str, after: str, newline: str) -> None:
    data = before.replace("|", newline).encode()
    assert tagged(data, "new", name="a.org") == after.replace("|", newline).encode()


def test_org_at_the_end_of_a_file() -> None:
    assert tagged(b"", "a", "b", name="a.org") == b"#+filetags: :a:b:\n"
    assert tagged(b"#+title: T", "a", name="a.org") == b"#+title: T\n#+filetags: :a:"


@pytest.mark.parametrize("tag", ["a b", "a:b", "a-b", "a/b", "🙂"])
def test_what_an_org_tag_cannot_hold(tag: str) -> None:
    assert refusal(b"x", tag, name="a.org") == f"an Org tag holds only letters, digits, _, @, # and %, not {tag!r}"


def test_restructured_text() -> None:
    assert refusal(b"Title\n=====\n", "a", name="a.rst") == "reStructuredText has no front matter"
    assert tagged(b"---\nx: 1\n---\nTitle\n=====\n", "a", name="a.rst") == b"---\nx: 1\ntags: [a]\n---\nTitle\n=====\n"


@pytest.mark.parametrize(
    ("front_matter", "reason"),
    [
        ("title: a: b\n", "front matter: line 2: mapping values are not allowed in this context"),
        ("a: 1\na: 2\n", "front matter: line 3: the key 'a' occurs twice, the last one counts"),
        ("a: &x [1]\nb: *x\n", "front matter: line 3: aliases are not supported"),
        ("tags: |\n  a\n", "front matter: line 2: `tags` is a block of text"),
        ("x: 1\ntags: >-\n  a\n", "front matter: line 3: `tags` is a block of text"),
        ("tags:\n- |\n  a\n- b\n", "front matter: line 3: `tags` holds other things than tags"),
        ("tags: {a: b}\n", "front matter: `tags` is not a list of tags"),
        ("tags:\n- a: b\n", "front matter: line 3: `tags` holds other things than tags"),
        ("tags: [a, [b]]\n", "front matter: line 2: `tags` holds other things than tags"),
        ("tags: &x [a]\n", "front matter: line 2: `tags` has an anchor or a type"),
        ("tags: !!seq [a]\n", "front matter: line 2: `tags` has an anchor or a type"),
        ("? tags\n: - a\n", "front matter: line 3: `tags` is a list of an unusual form"),
        ("Tags: a\ntags: b\n", "front matter: `Tags` and `tags` are the same key"),
        ("{a: b}\n", "front matter: line 2: it is written in braces"),
        (
            "taxonomies:\n  tags: [a]\n",
            "front matter: its tags belong under `taxonomies`, where they are written in TOML only",
        ),
        ("\ufeffa: b\n", "front matter: line 2: it begins with a byte order mark"),
        ("date: 2024-02-31\n", "front matter: other programs could not read it"),
        ("a: !!bool maybe\n", "front matter: other programs could not read it"),
        ("a: b\n---\n---\nc: d\n", "front matter: there is a second one below"),
        ("a: b\n---\n\n---\ntags: [a\n", "front matter: there is a second one below"),
        (f"a: {'x' * 65_525}\n", "front matter: longer than 65536 characters, once the tags are written"),
    ],
)
def test_yaml_that_is_left_alone(front_matter: str, reason: str) -> None:
    assert refusal(f"---\n{front_matter}---\nBody\n".encode(), "new") == reason


@pytest.mark.parametrize(
    ("front_matter", "reason"),
    [
        ("tags = [1]\n", "front matter: `tags` holds other things than text"),
        ("tags = 5\n", "front matter: `tags` is neither a list nor text"),
        ('tags = """a"""\n', "front matter: `tags` is a block of text"),
        ("tags = { a = 1 }\n", "front matter: `tags` is not a list of tags"),
        ("[[tags]]\na = 1\n", "front matter: `tags` is not a list of tags"),
        (
            '[taxonomies]\ncategories = ["a"]\n',
            "front matter: there are no tags yet under `taxonomies`, where they belong",
        ),
        ("tags = \n", "front matter: Invalid value (at line 2, column 8)"),
        ("[a" + ".a" * 5000 + "]\nb = 1\n", "front matter: nested too deeply"),
        ("a = 0x" + "f" * 5000 + "\n", "front matter: a number has more than 64 bits"),
    ],
)
def test_toml_that_is_left_alone(front_matter: str, reason: str) -> None:
    assert refusal(f"+++\n{front_matter}+++\nBody\n".encode(), "new") == reason


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"---\na: b\n\nBody", "front matter: line 1: it is never closed"),
        (b"\n---\na: b\n---\n", "front matter: it does not begin on the first line"),
        (b"\x89PNG\0", "binary file"),
        (b"Caf\xe9", "not UTF-8: read as cp1252, which is a guess"),
        ("é".encode() * 9 + b"\xff", "not valid UTF-8 throughout: 1 characters are lost"),
        (b"\xff\xfea\0b", "not valid UTF-16-LE throughout: some characters are lost"),
    ],
)
def test_files_that_are_left_alone(data: bytes, reason: str) -> None:
    assert refusal(data, "new") == reason


@pytest.mark.parametrize("tag", ["", "#", "null", "~", "a\x07b", "\ud800", "\ufeffa", "a\uffff"])
def test_what_is_no_tag(tag: str) -> None:
    assert refusal(b"Text", "good", tag) == f"{tag!r} cannot be a tag"


def test_yaml_whose_numbers_other_programs_cannot_write() -> None:
    data = b"---\na: b\n? 0x" + b"f" * 5000 + b"\n: c\n---\n"
    assert refusal(data, "new") == "front matter: other programs could not read it"


def test_a_note_may_have_many_tags() -> None:
    old = [f"t{number}" for number in range(20_000)]
    assert tags_of(tagged(" ".join(f"#{tag}" for tag in old).encode(), "new")) == ("new", *old)


def test_code_in_org_is_left_alone() -> None:
    data = b"#+begin_src org\n#+filetags: :a:\n#+end_src\n"
    assert tagged(data, "new", name="a.org") == b"#+filetags: :new:\n" + data


def test_a_tag_that_a_list_in_another_key_would_hide() -> None:
    # Both keys are read, so the order of the old tags must not change either.
    data = b"---\nkeywords: [b, a]\ntags:\n---\n#c\n"
    assert tags_of(tagged(data, "new")) == ("new", "b", "a", "c")


TAGS = st.one_of(
    st.sampled_from(
        ["a", "b", "new", "x y", "a: b", "c, d", "no", "7", "-x", "it's", 'q"q', "\\", "🙂", "é", "#h", "[", "a#"]
    ),
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6),  # a file with NULs is binary
)
OLD = st.lists(TAGS.map(lambda tag: " ".join(tag.split())), max_size=4)
STYLES = ["brackets", "lines", "dashes", "commas", "spaces", "none", "toml", "toml lines", "org", "no front matter"]


def written(style: str, tags: list[str]) -> str:
    quoted = ["'" + tag.replace("'", "''") + "'" for tag in tags]
    double = ['"' + tag.replace("\\", "\\\\").replace('"', '\\"') + '"' for tag in tags]
    top = {
        "brackets": f"---\ntitle: 🙂\ntags: [{', '.join(quoted)}] # c\nx: 1\n---\n",
        "lines": "---\ntags: [\n" + "".join(f"  {tag}, # c\n" for tag in double) + "]\nx:\n  y: [1]\n---\n",
        "dashes": "---\naliases:\n- q\ntags:\n" + "".join(f"  - {tag}  # c\n" for tag in tags) + "x: 1\n---\n",
        "commas": f"---\ntags: {', '.join(tags)}\nx: é\n---\n",
        "spaces": f"---\nx: 1\nTags:   {' '.join(tags)}  # c\n---\n",
        "none": "---\ntitle: T # c\ndate: 2024-01-02\n---\n",
        "toml": f'+++\ntitle = "🙂"\ntags = [{", ".join(double)}]\n[x]\ny = 1\n+++\n',
        "toml lines": "+++\ntags = [\n" + ",\n".join(f"    {tag}" for tag in double) + "\n]\n+++\n",
        "org": f"#+title: T\n#+filetags: :{':'.join(tags)}:\n",
        "no front matter": "",
    }[style]
    return f"{top}# Heading\n\nBody with #hashtag\n\n    code\n---\nend"


@given(
    st.sampled_from(STYLES),
    OLD,
    st.lists(TAGS, min_size=1, max_size=3),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_any_note_is_refused_or_has_the_tags(
    style: str, old: list[str], tags: list[str], newline: str, encoding: str
) -> None:
    name = "a.org" if style == "org" else "a.md"
    data = written(style, old).replace("\n", newline).encode(encoding, "replace")
    present = tags_of(data, name)
    try:
        edit = plan_tag_edit(Path("/notes") / name, data, tags)
    except NoteNotWritable:
        return
    new = data if edit is None else edit.applied_to(data)
    found = tags_of(new, name)
    assert [tag for tag in found if tag in present] == list(present)
    assert {tag.casefold() for tag in found} == {tag.casefold() for tag in unique_tags([*present, *tags])}
    before, after = decode(data)[0], decode(new)[0]
    if edit is not None:
        assert edit.undone_in(new) == data
        untouched = before[parse_front_matter(before).end :] if style != "org" else before.partition("# Heading")[2]
        assert after.endswith(untouched)


@given(
    st.sampled_from(["brackets", "dashes", "none", "toml", "no front matter"]),
    st.lists(st.sampled_from(["a", "b", "c d"]), unique=True, max_size=3),
    st.lists(
        st.sampled_from(["new", "x y", "a: b", "c, d", "no", "-x", "it's", 'q"q', "🙂", "[", "a#", "b"]), min_size=1
    ),
)
def test_usual_notes_are_never_refused(style: str, old: list[str], tags: list[str]) -> None:
    data = written(style, old).encode()
    edit = plan_tag_edit(Path("/notes/a.md"), data, tags)
    assert {*(old if style in ("brackets", "dashes", "toml") else []), *tags} <= set(
        tags_of(data if edit is None else edit.applied_to(data))
    )


def test_zola_has_its_tags_in_a_table() -> None:
    before = 'title = "T"\n[taxonomies] # why\ntags = ["a", "b c"]\ncategories = ["d"]\n[extra]\ntags = ["x"]\n'
    after = before.replace('"b c"]', '"b c", "new"]')
    assert tagged_toml(before, "d", "new") == after
    assert tags_of(f"+++\n{after}+++\nBody\n".encode()) == ("a", "b c", "new", "d")
