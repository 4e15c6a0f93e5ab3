# nsf: what you type is searched for as you type it; Enter opens the note in the editor, at the line.
# Arguments are options of `notesearch search`: nsf -c work --tag idea
# Needs fzf 0.36 or newer. To have it: source this file in ~/.zshrc.
nsf() {
    local search hit
    search="notesearch search --vimgrep --limit 50 ${(j: :)${(q)@}} -- {q} 2>/dev/null || true"
    hit=$(fzf --disabled --delimiter : --with-nth 4.. \
        --bind "start:reload:$search" --bind "change:reload:sleep 0.2; $search" \
        --preview 'tail -n +{2} -- {1} | head -n 50' </dev/null) && notesearch open "$hit"
}
