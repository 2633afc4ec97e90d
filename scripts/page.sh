#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A page of clips: each with its sheet of stills and the storyboard that asked for it, and of the model
# that made it the loss curve and what eval found. Plain HTML that asks for nothing but the clips and
# sheets beside it.
#
#     scripts/page.sh PAGE.html CLIP MODEL TITLE [CLIP MODEL TITLE ...]
#
# CLIP is as `talkie sample` names it, without suffix, in the folder of PAGE or below. MODEL is the folder
# of its weights: loss.png and eval.json are shown where they lie there. The page is complete under its
# name or not there.
set -euo pipefail

refuse() {
    echo "page.sh: $1" >&2
    exit 2
}

(($# >= 4 && $# % 3 == 1)) || refuse "usage: page.sh PAGE.html CLIP MODEL TITLE [CLIP MODEL TITLE ...]"
page=$1
folder=$(dirname "$page")
shift

escape() { sed 's/&/\&amp;/g; s/</\&lt;/g; s/>/\&gt;/g; s/"/\&quot;/g'; }

# A file as the page may name it: from the page's folder on, odd characters as %41.
link() { # FILE
    local path i LC_ALL=C
    path=$(realpath --relative-to="$folder" "$1")
    for ((i = 0; i < ${#path}; i++)); do
        case ${path:i:1} in
        [A-Za-z0-9/._~-]) printf '%s' "${path:i:1}" ;;
        *) printf '%%%02X' "'${path:i:1}" ;;
        esac
    done
}

# The string or number of a key of a clip's .json, the first of that name.
field() { # FILE KEY
    sed -nE "/^ *\"$2\": /{s/^ *\"$2\": \"?([^\"]*[^\",])\"?,?\$/\1/p;q}" "$1"
}

# The figures of an eval.json as rows of a table: those of one section under its name.
figures() { # FILE
    awk '
    function text(line) { sub(/^[^:]*: "/, "", line); sub(/",?$/, "", line); return line }
    function number(line) { sub(/^[^:]*: /, "", line); return line + 0 }
    function cell(c) {
        if (!((c, "of") in is)) return "-"
        if ((c, "median") in is)
            return sprintf("%.0f (%.0f-%.0f) of %d", is[c, "median"], is[c, "low"], is[c, "high"], is[c, "of"])
        return sprintf("%.0f%% (%.0f-%.0f) of %d", 100 * is[c, "share"], 100 * is[c, "low"],
            100 * is[c, "high"], is[c, "of"])
    }
    function row(i) {
        if (!heads++) {
            printf "<tr><th>"
            for (i = 1; i <= n; i++) printf "<th>%s", column[i]
            print ""
        }
        if (section != under) printf "<tr><th colspan=%d>%s\n", n + 1, section
        under = section
        printf "<tr><td>%s", what
        for (i = 1; i <= n; i++) printf "<td>%s", cell(column[i])
        print ""
    }
    /^  "figures": \{/ { inside = 1; next }
    !inside { next }
    /^  \}/ { exit }
    /^    "/ { what = ""; section = "in time (and quartiles)"; split("", is) }
    /^      "section": / { section = text($0) }
    /^      "what": / { what = text($0) }
    /^      "[a-z]*": \{/ {
        name = $1
        gsub(/[":]/, "", name)
        if (!(name in known)) { known[name]; column[++n] = name }
    }
    /^        "/ { key = $1; gsub(/[":]/, "", key); is[name, key] = number($0) }
    /^    \}/ { if (what != "") row() }' "$1"
}

model() { # FOLDER
    if [[ -s $1/loss.png ]]; then
        printf '<h3>Its loss by step</h3>\n<img alt="loss by step" src="data:image/png;base64,'
        base64 -w 0 "$1/loss.png"
        printf '">\n'
    fi
    [[ -s $1/eval.json ]] || return 0
    printf '<h3>What it has learned</h3>\n<p>%s held-out clips at step %s, 95%% intervals in brackets.\n<table>\n' \
        "$(field "$1/eval.json" number)" "$(field "$1/eval.json" step)"
    figures "$1/eval.json"
    printf '</table>\n'
}

section() { # CLIP MODEL TITLE
    local suffix width story
    for suffix in mp4 png json; do
        [[ -s $1.$suffix ]] || refuse "$1.$suffix is missing: page.sh shows clips that talkie sample has made"
    done
    [[ $(realpath "$1.mp4") == "$(realpath "$folder")"/* ]] || refuse "$1.mp4 does not lie in $folder or below it"
    width=$(field "$1.json" width)
    story=$(field "$1.json" storyboard)
    printf '<section>\n<h2>%s</h2>\n' "$(escape <<<"$3")"
    printf '<video controls loop src="%s"></video>\n' "$(link "$1.mp4")"
    printf '<p>%s x %s pixels, %s frames a second, seed %s, by %s.\n' "$width" "$(field "$1.json" height)" \
        "$(field "$1.json" fps)" "$(field "$1.json" seed)" "$(field "$1.json" file | escape)"
    [[ -s $story ]] || refuse "$1.json: the storyboard $story is not here; storyboards are looked for where sample ran"
    printf '<pre>%s</pre>\n' "$(escape <"$story")"
    printf '<img alt="stills of the shots, and the sound" src="%s">\n' "$(link "$1.png")"
    model "$2"
    printf '</section>\n'
}

trap 'rm -f "$page.part"' EXIT
{
    cat <<'END'
<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Clips</title>
<style>
body { font: 16px/1.5 sans-serif; max-width: 66em; margin: 2em auto; padding: 0 1em; background: #16171c; color: #ddd; }
video, img { max-width: 100%; display: block; margin: 1em 0; }
pre { background: #22242b; padding: 1em; overflow: auto; }
table { border-collapse: collapse; font-size: 14px; }
th, td { text-align: left; padding: 0.1em 1.5em 0.1em 0; }
</style>
END
    while (($#)); do
        section "$1" "$2" "$3"
        shift 3
    done
} >"$page.part"
mv "$page.part" "$page"
