#!/bin/sh
# pathspec 1.1.1 (GitIgnoreSpec), git 2.30 or later
#
# In a .gitignore the last pattern that matches decides, and nothing below an excluded folder can be taken in again. One
# would guess that GitIgnoreSpec, which says that it replicates git, leaves out `d/note.md` for `!*.md` and then `d/`:
# the exclusion comes last, and it excludes the folder.
#
# It takes the file in: a pattern that names the file itself beats a later one that names its folder. For `*` and then
# `!*.md`, where the folder `d` stays excluded, it takes the file in as well.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pathspec==1.1.1
mkdir -p "$folder/notes/d"
touch "$folder/notes/d/note.md"
cd "$folder/notes"
git init --quiet .
for patterns in '!*.md\nd/\n' '*\n!*.md\n'; do
    printf "$patterns" > .gitignore
    if git check-ignore --quiet --no-index d/note.md; then by_git=True; else by_git=False; fi
    printf "$patterns" | "$folder/venv/bin/python" -c '
import sys
from pathspec import GitIgnoreSpec
print("ignored by git:", sys.argv[1], "by pathspec:", GitIgnoreSpec.from_lines(sys.stdin).match_file("d/note.md"))
' "$by_git"
done > "$folder/seen"
cat > "$folder/expected" <<'SEEN'
ignored by git: True by pathspec: False
ignored by git: True by pathspec: False
SEEN
diff "$folder/expected" "$folder/seen"
