"""A note's text without the tags in it: what a tagger may learn from, or it would learn to read them off."""

from __future__ import annotations

import re

from notesearch.notes.inline import hide_code, hide_hashtags

_PARAGRAPH_END = re.compile(r"((?:\r\n?|\n)[ \t]*(?:\r\n?|\n))")
# As in front matter, which is the text of a note that has no other; some write such a line into their text, too.
_TAG_LINES = re.compile(r"(?mi)^(?:tags?|keywords|topics)[ \t]*[:=][^\r\n]*(?:(?:\r\n?|\n)[ \t]*-[ \t][^\r\n]*)*")
_ORG_FILE_TAGS = re.compile(r"(?mi)^[ \t]*#\+filetags:[^\r\n]*")


def without_tags(text: str, suffix: str) -> str:
    """Takes hashtags and lines of tags out of a passage, and in Org notes the tags of headings.

    Args:
        text: The passage, a title or a heading.
        suffix: Of the note's file, in lower case.
    """
    if suffix == ".org":
        text = "".join(map(_without_heading_tags, text.splitlines(keepends=True)))
        text = _ORG_FILE_TAGS.sub("", text)
    text = _TAG_LINES.sub("", text)
    if "#" not in text:
        return text
    # Code spans end with their paragraph, so a lone backtick hides nothing beyond it.
    return "".join(hide_hashtags(part, hide_code(part)) for part in _PARAGRAPH_END.split(text))


def _without_heading_tags(line: str) -> str:
    words = line.rstrip()
    start = max(words.rfind(" "), words.rfind("\t")) + 1
    tags = words[start:]
    if line.startswith("*") and len(tags) > 2 and tags[0] == tags[-1] == ":":
        return words[:start].rstrip() + line[len(line.rstrip("\r\n")) :]
    return line
