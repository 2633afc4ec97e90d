// SPDX-License-Identifier: Apache-2.0
#include "infer/filter/policy.h"
#include "core/config/load.h"
#include "infer/cameo/handle.h"
#include "infer/filter/pattern.h"
#include "infer/filter/words.h"
#include <inttypes.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

typedef struct tk_policy_made { // to look by
    tk_fold *fold;
    tk_words *words;
    tk_policy_rule *rule;  // (n) of each number of `words`
    tk_policy_rule *shape; // (n_patterns)
    tk_pattern **pattern;
    int n, n_patterns;
} tk_policy_made;

// ---- the tables --------------------------------------------------------------------------------

#define TEXT(n, field, words)                                                                      \
    {                                                                                              \
        .name = n, .kind = TK_OPT_STRING, .offset = offsetof(OF, field), .sdef = "", .help = words \
    }
#define TEXTS(n, field, number, words)                                      \
    {                                                                       \
        .name = n, .kind = TK_OPT_STRINGS, .offset = offsetof(OF, field),   \
        .count = offsetof(OF, number), .imax = TK_WORDS_MOST, .help = words \
    }
#define ROWS(n, field, number, table, words)                                             \
    {                                                                                    \
        .name = n, .kind = TK_OPT_ITEMS, .items = &table, .offset = offsetof(OF, field), \
        .count = offsetof(OF, number), .imax = 1000, .help = words                       \
    }
#define OF tk_policy_role
static const tk_option role_rows[] = {
    TEXT("name", name, "what it is called"),
    TEXTS("users", users, n_users, "who has it, by name or number"),
};
static const tk_table role_table = TK_TABLE(role_rows, OF, "role");
#undef OF

#define OF tk_policy_category
static const tk_option category_rows[] = {
    TEXT("name", name, "what it is called"),
    {.name = "action",
     .kind = TK_OPT_ENUM,
     .offset = offsetof(OF, action),
     .imax = 2,
     .names = {"refuse", "log", "role"},
     .help = "what becomes of a text that it is found in"},
    TEXT("role", role, "who may, where the action is role"),
    TEXTS("words", words, n_words, "words, and several in a row; with a star where they go on"),
    TEXTS("patterns", patterns, n_patterns, "regular expressions, of plain text in lower case"),
    TEXTS("people", people, n_people,
          "names of people, each with the handle of a cameo or without"),
    TEXTS("innocent", innocent, n_innocent, "words in which the others mean nothing"),
};
static const tk_table category_table = TK_TABLE(category_rows, OF, "category");
#undef OF

const char *const tk_policy_given_name[TK_GIVEN_KINDS] = {"pictures", "sounds", "features"};

#define OF tk_policy
#define GIVEN(n, k, unsaid, words)                                                               \
    {                                                                                            \
        .name = n, .kind = TK_OPT_ENUM, .offset = offsetof(OF, given[k]), .imax = TK_GIVEN_ROLE, \
        .idef = unsaid, .names = {"pass", "refuse", "log", "role"},                              \
        .help = "what becomes of " words                                                         \
    }
static const tk_option policy_rows[] = {
    ROWS("roles", roles, n_roles, role_table, "roles and who has them"),
    TEXTS("common", common, n_common, "words of which no other is taken to be spelled"),
    ROWS("categories", categories, n_categories, category_table, "what is looked for"),
    {.name = "listen",
     .kind = TK_OPT_BOOL,
     .offset = offsetof(OF, listen),
     .imax = 1,
     .help = "whether what is said in sounds is looked at, as what is written"},
    {.name = "read",
     .kind = TK_OPT_BOOL,
     .offset = offsetof(OF, read),
     .imax = 1,
     .help = "whether what can be read in pictures is looked at, as what is written"},
    GIVEN("given.pictures", TK_GIVEN_PICTURES, TK_GIVEN_PASS,
          "pictures and films that a storyboard gives, in which nobody is known to consent"),
    GIVEN("given.sounds", TK_GIVEN_SOUNDS, TK_GIVEN_PASS,
          "sounds that a storyboard gives, in which nobody is known to consent"),
    GIVEN("given.features", TK_GIVEN_FEATURES, TK_GIVEN_REFUSE,
          "text features that a storyboard gives, of which nobody knows what they say"),
    TEXT("given.role", given_role, "who may, where one of these says role"),
};
#undef GIVEN
static const tk_table policy_table = TK_TABLE(policy_rows, OF, "policy");
#undef OF

// ---- what must be right ------------------------------------------------------------------------

typedef struct policy_reading {
    tk_loading l; // the first member
    tk_policy *p;
} policy_reading;

static tk_status wrong(policy_reading *r, const tk_source *item, const char *list, int64_t i,
                       const char *key, const char *words)
{
    char name[TK_NAME_MAX];
    snprintf(name, sizeof name, "%.60s[%" PRId64 "]%s%.60s", list, i, *key ? "." : "", key);
    return tk_config_error(&r->l, item->at, name, "%s", words);
}

static bool is_twice(const tk_policy *p, int64_t i)
{
    for (int64_t k = 0; k < i; k++)
        if (!strcmp(p->categories[k].name, p->categories[i].name)) return true;
    return false;
}

static bool has_role_named(const tk_policy *p, const char *name)
{
    for (int64_t k = 0; k < p->n_roles; k++)
        if (!strcmp(p->roles[k].name, name)) return true;
    return false;
}

static tk_status check_roles(policy_reading *r, const tk_source *rows)
{
    const tk_policy *p = r->p;
    for (int64_t i = 0; i < p->n_roles; i++) {
        if (!*p->roles[i].name)
            TK_TRY(wrong(r, &rows->item[i], "roles", i, "name", "missing: what it is called"));
        for (int64_t k = 0; k < i; k++)
            if (!strcmp(p->roles[k].name, p->roles[i].name))
                TK_TRY(wrong(r, &rows->item[i], "roles", i, "name", "there is one of that name"));
    }
    return TK_OK;
}

static tk_status check_given(policy_reading *r, const tk_source *row)
{
    const tk_policy *p = r->p;
    bool asks = false;
    const char *words = NULL;
    for (int k = 0; k < TK_GIVEN_KINDS; k++) asks |= p->given[k] == TK_GIVEN_ROLE;
    if (asks && !*p->given_role) words = "missing: who may, since given says role";
    if (!asks && *p->given_role) words = "says who may, but given does not say role";
    if (asks && *p->given_role && !has_role_named(p, p->given_role))
        words = "there is no role of that name below roles";
    tk_place at = row->at;
    if (!at.file) at.file = r->l.file;
    return words ? tk_config_error(&r->l, at, "given.role", "%s", words) : TK_OK;
}

static tk_status check_category(policy_reading *r, const tk_source *item, int64_t i)
{
    const tk_policy *p = r->p;
    const tk_policy_category *c = &p->categories[i];
    static const char list[] = "categories";
    if (!*c->name) TK_TRY(wrong(r, item, list, i, "name", "missing: what it is called"));
    if (is_twice(p, i)) TK_TRY(wrong(r, item, list, i, "name", "there is one of that name"));
    if (c->action == TK_POLICY_ROLE && !*c->role)
        TK_TRY(wrong(r, item, list, i, "role", "missing: who may, since the action is role"));
    if (c->action != TK_POLICY_ROLE && *c->role)
        TK_TRY(wrong(r, item, list, i, "role", "says who may, but the action is not role"));
    if (*c->role && !has_role_named(p, c->role))
        TK_TRY(wrong(r, item, list, i, "role", "there is no role of that name below roles"));
    if (c->n_words + c->n_patterns + c->n_people == 0)
        TK_TRY(wrong(r, item, list, i, "", "looks for nothing: give words, patterns or people"));
    return TK_OK;
}

// ---- making ------------------------------------------------------------------------------------

static tk_status say_wrong_rule(policy_reading *r, const tk_source *from, const char *name,
                                int64_t k, const char *text)
{
    char shown[96], words[256];
    snprintf(words, sizeof words, "%.200s", tk_status_message());
    tk_status_clear();
    return tk_config_error(&r->l, from->at, name, "item %" PRId64 ", \"%s\", %s", k,
                           tk_config_shown(text, strlen(text), shown), words);
}

// "Ada Oak @ada" becomes a name and a handle; the text is the policy's own.
static tk_status split_person(policy_reading *r, const char *text, tk_policy_rule *rule)
{
    const char *at = strchr(text, '@');
    tk_handle handle;
    if (!at) return TK_OK;
    size_t n = (size_t)(at - text);
    while (n && text[n - 1] == ' ') n--;
    TK_TRY(tk_handle_read(at, &handle));
    rule->text = tk_arena_printf(&r->p->arena, "%.*s", (int)n, text);
    rule->handle = tk_arena_strdup(&r->p->arena, handle.name);
    return rule->text && rule->handle ? TK_OK : TK_FAIL(TK_MEMORY, "out of memory for a name");
}

static tk_status add_rule(policy_reading *r, tk_policy_rule rule)
{
    tk_policy_made *m = r->p->made;
    int number;
    if (rule.kind == TK_RULE_PERSON) TK_TRY(split_person(r, rule.text, &rule));
    TK_TRY(tk_words_add(m->words, rule.text, &number));
    m->rule[m->n++] = rule;
    return TK_OK;
}

static tk_status make_words(policy_reading *r, const tk_source *item, int category, const char *key,
                            tk_rule_kind kind, char *const *text, int64_t n)
{
    char name[TK_NAME_MAX];
    snprintf(name, sizeof name, "categories[%d].%s", category, key);
    for (int64_t k = 0; k < n; k++) {
        const tk_status st = add_rule(r, (tk_policy_rule){category, kind, text[k], NULL});
        if (st == TK_INPUT) TK_TRY(say_wrong_rule(r, item, name, k, text[k]));
        if (st != TK_OK && st != TK_INPUT) return st;
    }
    r->p->words += kind == TK_RULE_INNOCENT ? 0 : n;
    return TK_OK;
}

static tk_status make_patterns(policy_reading *r, const tk_source *item, int category)
{
    tk_policy_made *m = r->p->made;
    const tk_policy_category *c = &r->p->categories[category];
    char name[TK_NAME_MAX];
    snprintf(name, sizeof name, "categories[%d].patterns", category);
    for (int64_t k = 0; k < c->n_patterns; k++) {
        tk_pattern *one;
        const tk_status st = tk_pattern_open(c->patterns[k], &one);
        if (st == TK_INPUT) TK_TRY(say_wrong_rule(r, item, name, k, c->patterns[k]));
        if (st != TK_OK && st != TK_INPUT) return st;
        if (st != TK_OK) continue;
        m->shape[m->n_patterns] = (tk_policy_rule){category, TK_RULE_PATTERN, c->patterns[k], NULL};
        m->pattern[m->n_patterns++] = one;
    }
    return TK_OK;
}

static tk_status prepare_rules(tk_policy *p)
{
    tk_policy_made *m = p->made;
    int64_t words = 0, patterns = 0;
    for (int64_t i = 0; i < p->n_categories; i++) {
        const tk_policy_category *c = &p->categories[i];
        words += c->n_words + c->n_people + c->n_innocent;
        patterns += c->n_patterns;
    }
    TK_ARENA_NEW(m->rule, &p->arena, words + 1);
    TK_ARENA_NEW(m->shape, &p->arena, patterns + 1);
    TK_ARENA_NEW(m->pattern, &p->arena, patterns + 1);
    TK_TRY(tk_fold_open(&m->fold));
    return tk_words_new(m->fold, &p->arena, &m->words);
}

static tk_status make_category(policy_reading *r, const tk_source *item, int i)
{
    const tk_policy_category *c = &r->p->categories[i];
    TK_TRY(check_category(r, item, i));
    TK_TRY(make_words(r, item, i, "words", TK_RULE_WORD, c->words, c->n_words));
    TK_TRY(make_words(r, item, i, "people", TK_RULE_PERSON, c->people, c->n_people));
    TK_TRY(make_words(r, item, i, "innocent", TK_RULE_INNOCENT, c->innocent, c->n_innocent));
    return make_patterns(r, item, i);
}

static const tk_source *source_rows(const policy_reading *r, const char *name)
{
    return &r->l.source.row[tk_table_index(&policy_table, tk_option_find(&policy_table, name))];
}

static tk_status check_policy(tk_loading *l)
{
    policy_reading *r = (policy_reading *)l;
    const tk_source *rows = source_rows(r, "categories"), *common = source_rows(r, "common");
    tk_policy *p = r->p;
    if (l->n_errors) return TK_OK; // what was not read is not looked at
    TK_TRY(prepare_rules(p));
    if (p->n_categories == 0)
        TK_TRY(tk_config_error(l, (tk_place){.file = l->file}, "categories",
                               "missing: a policy says what it looks for"));
    TK_TRY(check_roles(r, source_rows(r, "roles")));
    TK_TRY(check_given(r, source_rows(r, "given.role")));
    for (int64_t k = 0; k < p->n_common; k++) {
        const tk_status st = tk_words_add_common(p->made->words, p->common[k]);
        if (st == TK_INPUT) TK_TRY(say_wrong_rule(r, common, "common", k, p->common[k]));
        if (st != TK_OK && st != TK_INPUT) return st;
    }
    for (int64_t i = 0; i < p->n_categories; i++) TK_TRY(make_category(r, &rows->item[i], (int)i));
    return tk_words_close(p->made->words);
}

static tk_status load_policy(tk_policy *p, const char *file)
{
    policy_reading r = {.p = p};
    TK_ARENA_NEW(p->made, &p->arena, 1);
    p->file = tk_arena_strdup(&p->arena, file);
    if (!p->file) return TK_FAIL(TK_MEMORY, "out of memory for a path");
    r.l = (tk_loading){.table = &policy_table, .base = p, .arena = &p->arena, .file = p->file};
    return tk_table_load(&r.l, check_policy);
}

tk_status tk_policy_open(const char *file, tk_policy **out)
{
    tk_policy *p;
    *out = NULL;
    TK_NEW(p, 1);
    tk_arena_init(&p->arena, 1 << 20);
    const tk_status st = load_policy(p, file);
    if (st == TK_OK)
        *out = p;
    else
        tk_policy_close(p);
    return st;
}

void tk_policy_close(tk_policy *p)
{
    if (!p) return;
    for (int k = 0; p->made && k < p->made->n_patterns; k++) tk_pattern_close(p->made->pattern[k]);
    if (p->made) tk_fold_close(p->made->fold);
    tk_arena_free(&p->arena);
    tk_free(p);
}

// ---- looking -----------------------------------------------------------------------------------

// Whether it lies in an innocent word of its category.
static bool is_innocent(const tk_policy_made *m, const tk_found *all, int n, const tk_found *one)
{
    const int category = m->rule[one->word].category;
    for (int k = 0; k < n; k++) {
        const tk_policy_rule *r = &m->rule[all[k].word];
        if (all[k].begin > one->begin) break; // they are in order
        if (r->kind == TK_RULE_INNOCENT && r->category == category && all[k].as_written &&
            all[k].end >= one->end)
            return true;
    }
    return false;
}

typedef struct hits {
    tk_policy_hit *hit;
    int n;
    bool *had; // by rule: each is told once
} hits;

static tk_status look_for_words(tk_policy *p, int n, const tk_letter *letter, tk_arena *a, hits *h)
{
    const tk_policy_made *m = p->made;
    tk_found *found;
    int n_found;
    TK_TRY(tk_words_find(m->words, n, letter, a, &n_found, &found));
    TK_ARENA_NEW(h->hit, a, n_found + m->n_patterns + 1);
    for (int k = 0; k < n_found; k++) {
        const tk_policy_rule *r = &m->rule[found[k].word];
        if (r->kind == TK_RULE_INNOCENT || h->had[found[k].word]) continue;
        if (is_innocent(m, found, n_found, &found[k])) continue;
        h->had[found[k].word] = true;
        h->hit[h->n++] = (tk_policy_hit){r, found[k].begin, found[k].end, false};
    }
    return TK_OK;
}

static tk_status look_for_patterns(tk_policy *p, size_t bytes, int n, const tk_letter *letter,
                                   tk_arena *a, hits *h)
{
    const tk_policy_made *m = p->made;
    char *plain;
    int *at;
    if (!m->n_patterns) return TK_OK;
    TK_TRY(tk_fold_plain(bytes, n, letter, a, &plain, &at));
    const int length = (int)strlen(plain);
    for (int k = 0; k < m->n_patterns; k++) {
        int begin, end;
        const tk_pattern_end found = tk_pattern_find(m->pattern[k], plain, length, 0, &begin, &end);
        if (found == TK_PATTERN_NONE) continue;
        const bool slow = found == TK_PATTERN_TOO_LONG;
        h->hit[h->n++] =
            (tk_policy_hit){&m->shape[k], at[begin], slow ? (int)bytes : at[end], slow};
    }
    return TK_OK;
}

static int by_begin(const void *x, const void *y)
{
    const tk_policy_hit *a = x, *b = y;
    if (a->begin != b->begin) return a->begin < b->begin ? -1 : 1;
    return (a->end > b->end) - (a->end < b->end);
}

tk_status tk_policy_look(tk_policy *p, const char *text, size_t bytes, tk_arena *a, int *n,
                         tk_policy_hit **out)
{
    const tk_policy_made *m = p->made;
    hits h = {0};
    tk_letter *letter;
    int letters;
    TK_ARENA_NEW(h.had, a, m->n + 1);
    TK_TRY(tk_fold_text(m->fold, text, bytes, a, &letters, &letter));
    TK_TRY(look_for_words(p, letters, letter, a, &h));
    TK_TRY(look_for_patterns(p, bytes, letters, letter, a, &h));
    qsort(h.hit, (size_t)h.n, sizeof *h.hit, by_begin);
    *n = h.n;
    *out = h.hit;
    return TK_OK;
}

// ---- roles -------------------------------------------------------------------------------------

static bool is_user(const char *user, int64_t uid, const char *name)
{
    char number[32];
    snprintf(number, sizeof number, "%" PRId64, uid);
    return !strcmp(user, number) || (*name && !strcmp(user, name));
}

bool tk_policy_has_role(const tk_policy *p, int64_t uid, const char *role)
{
    char room[4096];
    struct passwd one, *found = NULL;
    if (uid < 0) return false;
    getpwuid_r((uid_t)uid, &one, room, sizeof room, &found);
    for (int64_t i = 0; i < p->n_roles; i++) {
        const tk_policy_role *r = &p->roles[i];
        for (int64_t k = 0; k < r->n_users && !strcmp(r->name, role); k++)
            if (is_user(r->users[k], uid, found ? one.pw_name : "")) return true;
    }
    return false;
}
