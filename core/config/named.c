// SPDX-License-Identifier: Apache-2.0
#include "core/config/named.h"
#include "core/config/load.h"
#include <inttypes.h>
#include <string.h>
#include <strings.h>

// ---- in texts ----------------------------------------------------------------------------------

size_t tk_tag_bytes(const char *s)
{
    const size_t n = *s == '<' ? strcspn(s + 1, "<>\n") : 0;
    return n && s[1 + n] == '>' && s[1] != ' ' && s[n] != ' ' ? n : 0;
}

long tk_tag_number(const char *tag, size_t bytes)
{
    size_t digits = 0;
    long number = 0;
    while (digits < bytes && tag[bytes - 1 - digits] >= '0' && tag[bytes - 1 - digits] <= '9')
        digits++;
    if (!digits || digits >= 9) return -1;
    for (size_t i = bytes - digits; i < bytes; i++) number = 10 * number + (tag[i] - '0');
    return number;
}

bool tk_tag_is_meant(const char *tag, size_t bytes)
{
    return tk_tag_number(tag, bytes) >= 0;
}

const char *tk_skip_spoken(const char *s, const char **text, size_t *bytes)
{
    static const char *const mark[][2] = {{"\"", "\""}, {"\xe2\x80\x9c", "\xe2\x80\x9d"}};
    for (size_t i = 0; i < sizeof mark / sizeof *mark; i++) {
        const size_t n = strlen(mark[i][0]);
        const char *end = strncmp(s, mark[i][0], n) ? NULL : strstr(s + n, mark[i][1]);
        if (!end) continue;
        *text = s + n;
        *bytes = (size_t)(end - s) - n;
        return end + strlen(mark[i][1]);
    }
    return s;
}

static bool in_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           (unsigned char)c >= 128;
}

// Bytes of the handle behind an @ at s; 0: it is none.
static size_t handle_bytes(const char *s)
{
    size_t n = 0;
    if (*s != '@' || !in_name(s[1]) || (s[1] >= '0' && s[1] <= '9')) return 0;
    while (in_name(s[1 + n])) n++;
    return n;
}

bool tk_named_next(tk_naming *of, tk_named *out)
{
    const char *text;
    size_t n;
    for (const char *s = of->at; *s; of->at = ++s) {
        if (s >= of->spoken) {
            const char *behind = tk_skip_spoken(s, &text, &n);
            of->spoken = behind > s ? behind : NULL;
        }
        const size_t tag = tk_tag_bytes(s);
        const size_t handle = of->spoken || of->within ? 0 : handle_bytes(s);
        of->within = in_name(*s);
        if (!tag && !handle) continue;
        *out = (tk_named){s + 1, tag ? tag : handle, !tag};
        of->at = s + 1 + out->bytes + (tag ? 1 : 0);
        of->within = !tag;
        return true;
    }
    return false;
}

static bool in_word(char c)
{
    return in_name(c) && c != '_';
}

bool tk_word_stands(const char *text, const char *at, const char *word)
{
    const size_t n = strlen(word);
    return n > 0 && strncmp(at, word, n) == 0 && (at == text || !in_word(at[-1])) &&
           !in_word(at[n]);
}

// ---- what is given -----------------------------------------------------------------------------

static bool is(const char *word, const char *text, size_t bytes)
{
    return strlen(word) == bytes && !memcmp(word, text, bytes);
}

bool tk_cameo_lends(const tk_storyboard *b, int64_t i, const char *kind)
{
    const char *of = strchr(b->cameo[i], ':');
    return !of || !strcmp(of + 1, kind);
}

int64_t tk_cameo_number(const tk_storyboard *b, const char *handle, size_t bytes)
{
    for (int64_t i = 0; i < b->n_cameo; i++) {
        const char *own = b->cameo[i] + (*b->cameo[i] == '@');
        if (strcspn(own, ":") == bytes && !strncasecmp(own, handle, bytes)) return i + 1;
    }
    return 0;
}

static const char *const kinds[] = {"face", "voice"};

// Of all that are given the k-th, cast first; false: behind the last.
static bool tag_at(const tk_storyboard *b, int64_t k, char out[96])
{
    if (k < b->n_cast) {
        tk_config_shown(b->cast[k].tag, strlen(b->cast[k].tag), out);
        return true;
    }
    k -= b->n_cast;
    for (int64_t i = 0; i < b->n_cameo; i++)
        for (int j = 0; j < 2; j++)
            if (tk_cameo_lends(b, i, kinds[j]) && k-- == 0) {
                snprintf(out, 96, "%s %" PRId64, kinds[j], i + 1);
                return true;
            }
    return false;
}

bool tk_tag_given(const tk_storyboard *b, const char *tag, size_t bytes)
{
    char lent[96];
    for (int64_t k = 0; k < b->n_cast; k++)
        if (is(b->cast[k].tag, tag, bytes)) return true;
    for (int64_t k = b->n_cast; tag_at(b, k, lent); k++)
        if (is(lent, tag, bytes)) return true;
    return false;
}

const char *tk_tags_say(const tk_storyboard *b, char out[TK_TAGS_WORDS])
{
    char tag[96], next[96];
    size_t n = (size_t)snprintf(out, TK_TAGS_WORDS, "there %s ", tag_at(b, 1, tag) ? "are" : "is");
    if (!tag_at(b, 0, tag)) strcpy(out + n, "none");
    for (int64_t k = 0; tag_at(b, k, tag); k++) {
        const bool last = !tag_at(b, k + 1, next);
        const char *between = !k ? "" : last ? " and " : ", ";
        if (n + strlen(between) + strlen(tag) + 8 > TK_TAGS_WORDS) {
            strcpy(out + n, " ...");
            break;
        }
        n += (size_t)snprintf(out + n, TK_TAGS_WORDS - n, "%s<%s>", between, tag);
    }
    return out;
}

// ---- a storyboard's ----------------------------------------------------------------------------

typedef struct naming { // a text of it
    tk_loading *l;
    const char *name, *text;
    tk_place at;
} naming;

// Whether the text had it before.
static bool had_before(const naming *t, const tk_named *x)
{
    tk_named y;
    for (tk_naming of = {.at = t->text}; tk_named_next(&of, &y) && y.text < x->text;)
        if (y.person == x->person && y.bytes == x->bytes && !memcmp(y.text, x->text, x->bytes))
            return true;
    return false;
}

static tk_status tell_tag(const naming *t, const tk_named *x)
{
    const tk_config *c = t->l->base;
    char tag[96], all[TK_TAGS_WORDS];
    tk_config_shown(x->text, x->bytes, tag);
    return tk_config_error(t->l, t->at, t->name,
                           "<%s> names a reference that is not given; %s. One is given as "
                           "cast: [{tag: %s, file: FILE}], or by who lends it as cameo: [HANDLE]",
                           tag, tk_tags_say(&c->story, all), tag);
}

static tk_status tell_person(const naming *t, const tk_named *x)
{
    const tk_config *c = t->l->base;
    const int64_t number = tk_cameo_number(&c->story, x->text, x->bytes);
    char who[96];
    tk_config_shown(x->text, x->bytes, who);
    for (char *w = who; *w; w++) *w = (char)(*w >= 'A' && *w <= 'Z' ? *w + 32 : *w);
    if (!number)
        return tk_config_error(t->l, t->at, t->name,
                               "@%s is not of cameo; name there who lends face and voice, as "
                               "cameo: [\"@%s\"], and write <face %" PRId64 "> in prompts. (Words "
                               "that are spoken or read stand in quotes)",
                               who, who, c->story.n_cameo + 1);
    const bool face = tk_cameo_lends(&c->story, number - 1, kinds[0]);
    const bool voice = tk_cameo_lends(&c->story, number - 1, kinds[1]);
    return tk_config_error(t->l, t->at, t->name, "@%s is <%s %" PRId64 "> in prompts%s: write that",
                           who, kinds[face ? 0 : 1], number,
                           face && voice ? ", and <voice ...> of that number" : "");
}

static tk_status check_text(const naming *t)
{
    const tk_config *c = t->l->base;
    tk_named x;
    for (tk_naming of = {.at = t->text}; !tk_config_full(t->l) && tk_named_next(&of, &x);) {
        if (had_before(t, &x)) continue;
        if (x.person)
            TK_TRY(tell_person(t, &x));
        else if (tk_tag_is_meant(x.text, x.bytes) && !tk_tag_given(&c->story, x.text, x.bytes))
            TK_TRY(tell_tag(t, &x));
    }
    return TK_OK;
}

// Bytes that are looked at, as work may grow with their square; no prompt is as long.
enum { LONGEST_TEXT = 16 << 10 };

static tk_status check_row(tk_loading *l, const tk_table *t, const void *base, const tk_source *of,
                           const tk_source *rows, const char *before, const char *option)
{
    const tk_option *o = tk_option_find(t, option);
    const tk_source *own = rows ? &rows[tk_table_index(t, o)] : of;
    const char *text = *(char *const *)tk_option_at(o, (void *)base);
    char name[TK_NAME_MAX];
    const tk_source *at = own->given || !of ? own : of;
    if (!text || !*text || own->bad || strlen(text) > LONGEST_TEXT) return TK_OK;
    snprintf(name, sizeof name, "%s%s", before, option);
    return check_text(&(naming){l, name, text, at->given ? at->at : (tk_place){.file = l->file}});
}

static const tk_source *option_source(const tk_loading *l, const char *name)
{
    return &l->source.row[tk_table_index(l->table, tk_option_find(l->table, name))];
}

tk_status tk_config_check_named(tk_loading *l)
{
    static const char *const own[] = {"style", "negative", "remix.prompt"};
    static const char *const of_shot[] = {"camera", "style", "prompt"};
    const tk_config *c = l->base;
    const tk_option *shots = tk_option_find(l->table, "shots");
    const tk_source *list = option_source(l, "shots");
    // Who is there is not known, or it is each storyboard's own.
    if (option_source(l, "cast")->bad || option_source(l, "cameo")->bad || c->jobs.n_storyboards)
        return TK_OK;
    for (int k = 0; k < 3; k++) TK_TRY(check_row(l, l->table, c, NULL, l->source.row, "", own[k]));
    for (int64_t i = 0; i < c->story.n_shots; i++) {
        const tk_source *shot = list->item ? &list->item[i] : list;
        char before[32];
        snprintf(before, sizeof before, "shots[%" PRId64 "].", i);
        for (int k = 0; k < 3; k++)
            TK_TRY(check_row(l, shots->items, &c->story.shots[i], shot, shot->row, before,
                             of_shot[k]));
    }
    return TK_OK;
}
