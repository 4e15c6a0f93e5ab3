import pytest

from notesearch.phrases import holds


@pytest.mark.parametrize(
    ("phrase", "text"),
    [
        ("trunk based", "we are **trunk**\n> based now"),
        ("trunk based", "> > trunk\n> > based"),
        ("trunk based", "- [ ] trunk\n  based"),
        ("trunk based", "*trunk* =based= /here/"),
        ("trunk based", "<b>trunk</b>&nbsp;based"),
        ("trunk based", "[trunk\nbased](x)"),
        ("trunk based", "trunk\\\nbased"),
        ("a b", "_a_ b"),
        ("trunk based development", '[trunk based](http://x/y_(z) "t") development'),
        ("trunk based development", "![trunk][1] [based][] development"),
        ("trunk based development", "[[page#part|trunk based]] development"),
        ("trunk based development", "see [[id:12-34][trunk based]] development"),
        ("trunk based development", "`trunk based <http://x>`_ development"),
        ("call foo now", "call :func:`foo` now"),
        ("git add now", "run ``git add`` now"),
        ("x y", "x[^1] y"),
        ("a < b", "a &lt; b"),
        ("->", "a -&gt; b"),
        ("fish & chips", "Fish &amp; Chips"),
        ("**trunk**", "a **trunk** stands as it is written, too"),
        ("snake_case", "a snake_case name"),
        ("C++", "In C++ and c++"),
        ("☎", "a ☎\ufe0f number"),
        ("☎\ufe0f", "a ☎ number"),
    ],
)
def test_a_phrase_stands_in_a_text_as_a_reader_sees_it(phrase: str, text: str) -> None:
    assert holds(phrase, text)


@pytest.mark.parametrize(
    ("phrase", "text"),
    [
        ("organ", "an organization"),
        ("cat", "**cats**"),
        ("trunk based", "based trunk"),
        ("trunk based", "[trunk](x) and based"),
        ("based http", "[based](http://x)"),
        ("C++", "C and c"),
        ("&&", "a & b"),
        ("🍕", "a 🍺"),
        ("trunk based", "trunk" + " x" * 200 + " based"),
    ],
)
def test_nothing_else_is_taken_for_it(phrase: str, text: str) -> None:
    assert not holds(phrase, text)
