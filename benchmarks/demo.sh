#!/bin/sh
# What `make demo` shows: the sample notes, indexed, and three questions whose answers use other words.
set -eu
notesearch="$BIN/notesearch"
say() { printf '\n$ %s\n' "$*"; }

say notesearch index sample_notes
"$notesearch" index sample_notes --index-dir "$INDEX"
for query in \
    "how to trade off consistency vs partition tolerance" \
    "my spine hurts from sitting at a desk" \
    "recover lost work in version control"
do
    say "notesearch search \"$query\" --limit 2"
    "$notesearch" search "$query" --limit 2 --index-dir "$INDEX"
done
echo "Your own notes: $notesearch index ~/notes; $notesearch search \"…\""
