import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notesearch.notes.markdown import hashtags, heading_words, hide_code, note_links
from notesearch.records import Link, LinkKind


def tags(text: str) -> list[str]:
    return list(hashtags(hide_code(text)))


def links(text: str) -> list[Link]:
    return note_links(text, hide_code(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("#one and #two.", ["one", "two"]),
        ("(#in) [#brackets] line\n#start", ["in", "brackets", "start"]),
        (
            "#nested/tag #with-dash #with_underscore #2024-plan",
            ["nested/tag", "with-dash", "with_underscore", "2024-plan"],
        ),
        ("#Größe #分散システム #हिन्दी #привет", ["Größe", "分散システム", "हिन्दी", "привет"]),
        ("#trailing- #slash/ #comma, #stop. #quote's", ["trailing", "slash", "comma", "stop", "quote"]),
        ("#タグ。 #标签，", ["タグ", "标签"]),
        ("#/no #-no #_no word#no a/#no \\#no &#no; ##no #-#no", []),
        ("issue #123, #1, colour #fff #FFF #c0ffee #1a2b3c4d", []),
        ("#cafe #decade #faded", ["cafe", "decade", "faded"]),
        ("#b2b #2fa #e2e #c64 #a380 #2d #h2o", ["b2b", "2fa", "e2e", "c64", "a380", "2d", "h2o"]),
        ("#2024/05 #12-34 #1_a #🎉 #٣", ["2024/05", "12-34", "1_a", "🎉"]),
        ("#1984 #f00 #0af #aaaa; border: 1px solid #a1c, #c0ffee and #b2b", []),
        ("Fill in the #b2b form", ["b2b"]),
        ("#two words# and #three more words#, (#b c#)", ["two words", "three more words", "b c"]),
        ("#1 of #3, #one of C# and F#, #a b #c d", ["one", "a", "c"]),
        ("#two  words# #two\nwords# #a b#c", ["two", "two", "a"]),
        ("## Heading #one two ##\n# Heading two#", ["one"]),
        ("#[[two words]] (#[[a/b]]) x#[[no]] `#[[no]]` #[[a|b]]", ["two words", "a/b"]),
        ("# Heading\n## Other #tagged ##", ["tagged"]),
        ("`#code` ``a ` #code`` #out `unclosed #in", ["out", "in"]),
        ("[a](#anchor) [b](x.md#anchor) [c](<#anchor>) [d](x 'title #no')", []),
        ("https://a.b/#frag http://a.b/(#frag) <http://a.b/ #frag> [x]: #ref", []),
        ('<a href="x" data-y= #attr>#in</a> <!-- #no -->', []),
        ("[[#heading]] [[note#heading|alias #no]]", []),
        ("`a\\` #yes", ["yes"]),
        ("`a`#no [a](b.md)#no", []),
        ("\\` #yes `", ["yes"]),
    ],
)
def test_hashtags(text: str, expected: list[str]) -> None:
    assert tags(text) == expected


WORD = st.text(alphabet="abcdxyzäß字", min_size=1, max_size=8).filter(lambda word: not set(word) <= set("abcd"))


@given(st.lists(st.tuples(st.sampled_from([" ", "\n", " (", " [", "\t"]), WORD), max_size=6))
def test_a_hashtag_is_found_wherever_it_may_begin(written: list[tuple[str, str]]) -> None:
    text = "".join(f"text{before}#{word}) " for before, word in written)
    assert tags(text) == [word for _, word in written]


@given(WORD, st.sampled_from(["`{}`", "x{}", "http://a.b/{}", "``{} ` {}``", "[a]({})"]))
def test_a_hashtag_is_not_found_where_it_is_none(word: str, frame: str) -> None:
    assert tags(frame.replace("{}", f"#{word}")) == []


@given(st.text(alphabet="#`[]()|<>/\\ab1 \n:!-_", max_size=60))
def test_tags_hold_no_blank_and_no_hash(text: str) -> None:
    for tag in tags(text):
        assert not any(char.isspace() or char == "#" for char in tag)
        assert f"#{tag}" in text
    links(text)
    assert "\n" not in heading_words(text)
    assert len(hide_code(text)) == len(text)


def to(target: str, kind: LinkKind = "relative") -> Link:
    """A link whose words are its target."""
    return Link(target, target, kind)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[[Note]]", [Link("Note", "Note", "wiki")]),
        ("![[Note]] ![[Note.png]]", [Link("Note", "Note", "wiki")]),
        (
            "[[n.md#h|x]] [[n^b]] [[a.b.2021]]",
            [Link("n.md", "x", "wiki"), to("n", "wiki"), to("a.b.2021", "wiki")],
        ),
        ("[[a/b#Part|the alias]]", [Link("a/b", "the alias", "wiki")]),
        ("| [[a\\|b]] |", [Link("a", "b", "wiki")]),
        ("[[#here]] [[ ]] [[]] `[[code]]`", []),
        ("[x y](../a%20b.md#h)", [Link("../a b.md", "x y", "relative")]),
        ("[x](<a b.md>) [`y`](c.org)", [Link("a b.md", "x", "relative"), Link("c.org", "`y`", "relative")]),
        (
            '[x](a.md "title") [](b_(1).md?raw)',
            [Link("a.md", "x", "relative"), Link("b_(1).md", "b_(1).md", "relative")],
        ),
        ("[x](http://a/b.md) [x](mailto:a@b.md) [x](//h/a.md) ![x](a.md) [x](a.png) [x](#h)", []),
        ("[x](a.md [y](b.md)", [Link("a.md", "x", "relative"), Link("b.md", "y", "relative")]),
        (
            "[x](/a.md) [y](b) [z](c.2)",
            [Link("/a.md", "x", "relative"), Link("b", "y", "relative"), Link("c.2", "z", "relative")],
        ),
        ("[x](@/b/a.md) [y]({filename}a.md)", [Link("/b/a.md", "x", "relative"), Link("a.md", "y", "relative")]),
        (
            '[x]({{< ref "a b.md#h" >}}) {{% relref c/d %}}',
            [to("a b.md"), to("c/d")],
        ),
        (
            "{% link _posts/a.md %}{% post_url 2020-b %}",
            [to("_posts/a.md"), to("2020-b")],
        ),
        (f"[x]({'%41' * 4096}.md) [y](b.md)", [Link("b.md", "y", "relative")]),  # no path is that long
        ("[b](b.md) then [[a]]", [Link("b.md", "b", "relative"), Link("a", "a", "wiki")]),
    ],
)
def test_links(text: str, expected: list[Link]) -> None:
    assert links(text) == expected


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        ('a [x](a.md "title") b', ['[x](a.md "title")']),
        ("[x](<a b.md>) b", ["[x](<a b.md>)"]),
        ("[x](a.md and [y](b.md)", ["[x](a.md", "[y](b.md)"]),
        ("[x](a.md", ["[x](a.md"]),
    ],
)
def test_a_link_reaches_to_its_bracket_or_where_the_next_one_begins(text: str, spans: list[str]) -> None:
    assert [text[link.start : link.end] for link in links(text)] == spans


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("The **CAP** *theorem*", "The CAP theorem"),
        ("Use `__init__` and `*args`", "Use __init__ and *args"),
        ("**`git stash`** now", "git stash now"),
        ("See [the docs](http://x.y/(a)) and ![img](a.png)", "See the docs and img"),
        ("[[note|Alias]] and [[Other]]", "Alias and Other"),
        ("snake_case_name and _emphasis_ 2*3*4", "snake_case_name and emphasis 2*3*4"),
        ("Fish &amp; chips <b>now</b> \\*literal\\*", "Fish & chips now *literal*"),
        ("Title {#id .class}", "Title"),
        ('Photo {{< img src="a.jpg" >}} {{ kept }}', "Photo {{ kept }}"),
        ("two\nlines", "two lines"),
        ("x" * 1000, "x" * 300),
        ("***", "***"),
        ("_a " * 40, ("_a " * 40).strip()),  # so many marks are no emphasis
    ],
)
def test_heading_words(written: str, words: str) -> None:
    assert heading_words(written) == words


@pytest.mark.parametrize(
    "text",
    [
        "`" * 10**6,
        "` `` " * 10**5,
        "[" * 10**6,
        "[[" * 10**5,
        "[a](" * 10**5,
        "<a " * 10**5,
        "#" * 10**6,
        "://" * 10**5,
        "\\" * 10**6,
        "#a/" * 10**5,
        "# " + "*a" * 10**5,
        "[a](b.md " * 10**5,
        "[[a|b" * 10**5,
        "](" * 10**5,
        "_" * 10**6,
    ],
    ids=lambda text: text[:6],
)
def test_long_lines_take_linear_time(text: str) -> None:
    started = time.process_time()
    tags(text)
    links(text)
    heading_words(text)
    assert time.process_time() - started < 5
