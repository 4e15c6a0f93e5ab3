#!/bin/sh
# orgparse 0.5.20260926
#
# What Org's manual says of tags and properties, and so what one would guess:
# - a tag is made of letters, digits, `_`, `@`, `#` and `%`, and the tags of a heading stand after white space
#   (manual, "Tags"; org-tag-re, org-tag-group-re);
# - `#+FILETAGS:` takes tags with colons or blanks between them;
# - a property drawer stands right below its heading (or its planning line) (manual, "Property Syntax").
#
# Seen: `#` and `%` end the search for tags, and all of them become part of the heading; a word that is joined to a colon
# is a tag; blanks in `#+FILETAGS:` do not divide; a drawer counts wherever it stands in the section.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check orgparse==0.5.20260926
"$folder/venv/bin/python" - > "$folder/seen" <<'PYTHON'
import orgparse

for text in (
    "* Oil the lamp :house:lamp#2:\n",
    "* Meet at 10:30:\n",
    "#+FILETAGS: house garden\n* Oil the lamp\n",
    "* Oil the lamp\nIt is dark.\n:PROPERTIES:\n:color: red\n:END:\n",
):
    node = orgparse.loads(text)[1]
    print(repr(node.heading), sorted(node.tags), node.properties)
PYTHON
cat > "$folder/expected" <<'SEEN'
'Oil the lamp :house:lamp#2:' [] {}
'Meet at 10' ['30'] {}
'Oil the lamp' ['house garden'] {}
'Oil the lamp' [] {'color': 'red'}
SEEN
diff "$folder/expected" "$folder/seen"
