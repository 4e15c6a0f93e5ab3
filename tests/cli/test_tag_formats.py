import json
import re
from collections.abc import Sequence
from typing import get_args

import pytest

from notesearch.cli.tag import TagFormat, format_suggestions
from notesearch.cli.terminal import columns_of
from notesearch.records import Because, SimilarNote, Suggestions, TagScore

HOSTILE = "[red]\x1b[31m\x07\u202ex[/red]\ttab\nline\ud800"


def note(*tags: TagScore, path: str = "/n/soup.md", title: str = "Soup", words: Sequence[str] = ()) -> Suggestions:
    """Suggestions with a similar note for each tag that is suggested."""
    similar = (SimilarNote("/n/stew.md", title, 0.81239),)
    because = tuple(Because(tag.tag, similar, tuple(words)) for tag in tags if tag.suggested)
    return Suggestions(path, title, tags, because)


def shown(
    *entries: Suggestions,
    kind: TagFormat = "human",
    new_only: bool = False,
    colour: bool = False,
    width: int = 80,
) -> str:
    return "".join(format_suggestions(entries, kind, new_only=new_only, colour=colour, columns=width))


SOUP = note(
    TagScore("cooking", 0.912345, True, True),
    TagScore("winter", 0.5, True),
    TagScore("work", 0.01, False),
    words=("soup", "salt"),
)


def test_jsonl_tells_everything() -> None:
    (line,) = shown(SOUP, kind="jsonl").splitlines()
    similar = [{"path": "/n/stew.md", "title": "Soup", "similarity": 0.8124}]
    assert json.loads(line) == {
        "path": "/n/soup.md",
        "title": "Soup",
        "tags": [
            {"tag": "cooking", "score": 0.9123, "suggested": True, "present": True},
            {"tag": "winter", "score": 0.5, "suggested": True, "present": False},
            {"tag": "work", "score": 0.01, "suggested": False, "present": False},
        ],
        "because": [
            {"tag": "cooking", "notes": similar, "words": ["soup", "salt"]},
            {"tag": "winter", "notes": similar, "words": ["soup", "salt"]},
        ],
    }


def test_tsv_has_a_line_for_each_suggestion() -> None:
    assert shown(SOUP, SOUP, kind="tsv") == 2 * "/n/soup.md\tcooking\t0.9123\n/n/soup.md\twinter\t0.5000\n"


def test_people_see_what_is_suggested_and_why() -> None:
    because = "        words: soup, salt\n        like: Soup (0.81)\n"
    assert shown(SOUP) == f"/n/soup.md\n  0.91  cooking (has it)\n{because}  0.50  winter\n{because}\n"


def test_a_suggestion_without_reasons() -> None:
    entry = Suggestions("/a.md", "A", (TagScore("x", 0.5, True),), (Because("x", (), ()),))
    assert shown(entry) == "/a.md\n  0.50  x\n\n"


@pytest.mark.parametrize("kind", get_args(TagFormat))
def test_only_what_is_new(kind) -> None:
    text = shown(SOUP, kind=kind, new_only=True)
    assert "winter" in text and "cooking" not in text


def test_colours_take_nothing_away() -> None:
    coloured = shown(SOUP, colour=True)
    assert "\x1b[36m  0.91  cooking (has it)\x1b[0m\n" in coloured and "\x1b[32m/n/soup.md\x1b[0m" in coloured
    assert re.sub("\x1b\\[[0-9;]*m", "", coloured) == shown(SOUP)


HOSTILE_NOTE = note(TagScore(HOSTILE, 0.9, True), path=f"/n/{HOSTILE}.md", title=HOSTILE, words=(HOSTILE,))


def test_people_see_nothing_that_a_terminal_would_obey() -> None:
    text = shown(HOSTILE_NOTE, width=200)
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e\ud800]", text)
    assert text.count("[red]\ufffd[31m") == 4, "path, tag, word and title, markup as it is"


def test_jsonl_is_exact() -> None:
    (line,) = shown(HOSTILE_NOTE, kind="jsonl").splitlines()
    entry = json.loads(line)
    assert (entry["path"], entry["title"], entry["tags"][0]["tag"]) == (f"/n/{HOSTILE}.md", HOSTILE, HOSTILE)
    assert entry["because"][0]["notes"][0]["title"] == HOSTILE
    assert not re.search("[\x00-\x1f]", line)


def test_a_line_of_tsv_stays_one_line_of_three_columns() -> None:
    text = shown(HOSTILE_NOTE, kind="tsv")
    assert text.count("\n") == 1 and text.count("\t") == 2


LONG = ("料理と汁物" * 12, "long words " * 12, "Donaudampfschifffahrt" * 6, "🍲" * 50)


def lines_below_the_path(entry: Suggestions, width: int) -> list[str]:
    """A path is in one line however long it is, so that it can be copied."""
    first, *lines = shown(entry, width=width).splitlines()
    assert first == entry.path
    return lines


@pytest.mark.parametrize("width", [40, 80])
@pytest.mark.parametrize("text", LONG)
def test_reasons_fit_into_the_terminal(text, width) -> None:
    entry = note(TagScore("x", 0.5, True), title=text, words=(text, "salt"))
    lines = lines_below_the_path(entry, width)
    assert max(map(columns_of, lines)) <= width
    for part in ("".join(text.split()), "salt"):
        assert part in "".join("".join(lines).split()), "nothing is left out"


@pytest.mark.parametrize("width", [40, 80])
@pytest.mark.parametrize("text", LONG)
def test_tags_fit_into_the_terminal(text, width) -> None:
    for present in (False, True):
        lines = lines_below_the_path(note(TagScore(text.strip(), 0.5, True, present)), width)
        assert max(map(columns_of, lines)) <= width
