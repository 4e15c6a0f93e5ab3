"""A note's text without the tags in it: what a tagger may learn from, or it would learn to read them off."""

from __future__ import annotations

import re

from notesearch.notes.inline import hide_code, hide_hashtags

_ORG_TAGS = re.compile(r"(?m)^(\*+[ \t].*?)[ \t]+:\S+:[ \t]*$|^[ \t]*#\+filetags:.*$", re.IGNORECASE)


def without_tags(text: str, suffix: str) -> str:
    """Takes hashtags out of a passage, and in Org notes the tags of headings and of the file.

    Args:
        text: The passage.
        suffix: Of the note's file, in lower case.
    """
    if suffix == ".org":
        text = _ORG_TAGS.sub(r"\1", text)
    return hide_hashtags(text, hide_code(text)) if "#" in text else text
