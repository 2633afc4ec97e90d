// SPDX-License-Identifier: Apache-2.0
// A policy: what may not be asked for and what becomes of it, in YAML (configs/policy.yaml,
// docs/filters.md).
//
//     TK_TRY(tk_policy_open("policy.yaml", &p));       // all of it is right, or TK_INPUT
//     TK_TRY(tk_policy_look(p, text, bytes, arena, &n, &hit));
//     tk_policy_close(p);
#pragma once
#include "core/base/mem.h"

typedef enum tk_policy_action {
    TK_POLICY_REFUSE,
    TK_POLICY_LOG, // it goes on, and is told
    TK_POLICY_ROLE // refused to all but users of its role
} tk_policy_action;

// What a storyboard gives: what may show or be somebody, and text features, which are read in the
// place of prompts and say what nobody can read.
typedef enum tk_policy_given {
    TK_GIVEN_PICTURES, // stills and films
    TK_GIVEN_SOUNDS,   // of films, too
    TK_GIVEN_FEATURES,
    TK_GIVEN_KINDS
} tk_policy_given;
extern const char *const tk_policy_given_name[TK_GIVEN_KINDS]; // "pictures"

typedef enum tk_given_action { // where nobody is known to consent to it
    TK_GIVEN_PASS,
    TK_GIVEN_REFUSE,
    TK_GIVEN_LOG,
    TK_GIVEN_ROLE
} tk_given_action;

typedef struct tk_policy_role {
    char *name;
    char **users; // by name, or by number
    int64_t n_users;
} tk_policy_role;

typedef struct tk_policy_category {
    char *name, *role; // role: of TK_POLICY_ROLE
    int64_t action;    // tk_policy_action
    char **words, **patterns, **innocent;
    char **people; // names, with the handle of their cameo where they may have one: "Ada Oak @ada"
    int64_t n_words, n_patterns, n_people, n_innocent;
} tk_policy_category;

typedef enum tk_rule_kind {
    TK_RULE_WORD,
    TK_RULE_PERSON,
    TK_RULE_INNOCENT, // what lies in it is nothing
    TK_RULE_PATTERN
} tk_rule_kind;

typedef struct tk_policy_rule {
    int category;
    tk_rule_kind kind;
    const char *text;   // as the policy has it, of a person the name
    const char *handle; // of a person's cameo (infer/cameo/handle.h), without the @; NULL: none
} tk_policy_rule;

typedef struct tk_policy {
    const char *file;
    tk_policy_role *roles;
    int64_t n_roles;
    char **common; // words that nothing is spelled over
    int64_t n_common;
    tk_policy_category *categories;
    int64_t n_categories;
    int64_t listen;                // 1: what is said is looked at, too
    int64_t read;                  // 1: ... and what can be read in pictures
    int64_t given[TK_GIVEN_KINDS]; // tk_given_action
    char *given_role;              // of TK_GIVEN_ROLE
    int64_t words;                 // of all categories, names included
    struct tk_policy_made *made;
    tk_arena arena;
} tk_policy;

// TK_INPUT with a line for all that is wrong with the file.
tk_status tk_policy_open(const char *file, tk_policy **out);
void tk_policy_close(tk_policy *p); // NULL is fine

typedef struct tk_policy_hit {
    const tk_policy_rule *rule;
    int begin, end;  // bytes of the text
    bool unfinished; // the pattern took too long: nobody knows whether it is there
} tk_policy_hit;
// What of the policy is in a text, by place, each rule once; in `a`. One thread at a time.
tk_status tk_policy_look(tk_policy *p, const char *text, size_t bytes, tk_arena *a, int *n,
                         tk_policy_hit **hits);

// Whether the kernel's user `uid` has a role. Names are those of the host's user table.
bool tk_policy_has_role(const tk_policy *p, int64_t uid, const char *role);
