// SPDX-License-Identifier: Apache-2.0
#include "core/config/command.h"
#include "core/base/files.h"
#include "core/base/log.h"
#include "core/base/version.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static bool asks_help(const char *word)
{
    return !strcmp(word, "--help") || !strcmp(word, "-h");
}

static bool ends(const char *s, const char *with)
{
    const size_t n = strlen(s), m = strlen(with);
    return n >= m && !strcmp(s + n - m, with);
}

static bool is_config(const char *path)
{
    return ends(path, ".yaml") || ends(path, ".yml");
}

// ---- the table ---------------------------------------------------------------------------------

// Whether the row belongs to a group of commands: "data import" to "data".
static bool in_group(const tk_command *c, const char *word)
{
    const size_t n = strlen(word);
    return !strncmp(c->name, word, n) && c->name[n] == ' ';
}

static bool is_group(const tk_command *table, const char *word)
{
    for (const tk_command *c = table; c->name; c++)
        if (in_group(c, word)) return true;
    return false;
}

// The row that the words name, and how many words that took; NULL if there is none.
static const tk_command *find_command(const tk_command *table, int n, char **words, int *taken)
{
    char both[128];
    snprintf(both, sizeof both, "%.60s %.60s", words[0], n > 1 ? words[1] : "");
    for (const tk_command *c = table; c->name; c++) {
        const bool was = c->was && !strcmp(c->was, both);
        *taken = in_group(c, words[0]) ? 2 : 1;
        if (was)
            tk_log("this command is called %s now; %s holds for this release only", c->name,
                   c->was);
        if (was || !strcmp(c->name, *taken == 2 ? both : words[0])) return c;
    }
    return NULL;
}

static tk_status unknown_command(const tk_command *table, int n, char **words)
{
    char list[256] = "";
    if (!is_group(table, words[0]))
        return TK_FAIL(TK_INPUT, "there is no command '%s'; see talkie --help", words[0]);
    for (const tk_command *c = table; c->name; c++)
        if (in_group(c, words[0]))
            snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", *list ? ", " : "",
                     c->name + strlen(words[0]) + 1);
    return TK_FAIL(TK_INPUT, "there is no `talkie %s %s`; there are %s", words[0],
                   n > 1 ? words[1] : "", list);
}

// ---- answers that need no command --------------------------------------------------------------

// group: only its rows; NULL: all.
static void print_commands(const tk_command *table, const char *group)
{
    printf("talkie COMMAND ... [key=value ...]   video and sound from text, sharded over ranks\n");
    for (const tk_command *c = table; c->name; c++)
        if (!group || in_group(c, group))
            printf("\n  talkie %s %s\n      %s\n", c->name, c->arguments, c->help);
    printf("\n  talkie COMMAND --help   options of a command\n"
           "  talkie --options        every option, as a Markdown page\n"
           "  talkie --version\n\n"
           "Runs the same alone, under mpirun and under srun. "
           "Overrides win over the file: train.lr=1e-3\n");
}

// True if the words were answered; rank 0 speaks.
static bool answered(const tk_command *table, int rank, int n, char **words)
{
    const char *word = n > 0 ? words[0] : "--help";
    const bool all = asks_help(word) || !strcmp(word, "help");
    const bool group = is_group(table, word) && (n == 1 || asks_help(words[1]));
    const bool version = !strcmp(word, "--version"), options = !strcmp(word, "--options");
    if (rank == 0 && (all || group)) print_commands(table, group ? word : NULL);
    if (rank == 0 && version) printf("talkie %s\n", tk_revision());
    if (rank == 0 && options) tk_config_reference();
    return all || group || version || options;
}

static void print_help(const tk_command *c)
{
    printf("talkie %s %s [key=value ...]\n    %s\n\n", c->name, c->arguments, c->help);
    tk_config_help(c->options);
}

// ---- reading a command line --------------------------------------------------------------------

static tk_status sort_words(tk_invocation *in, int n, char **words)
{
    const tk_config_from from = in->command->config;
    TK_ARENA_NEW(in->overrides, &in->arena, n + 1);
    TK_ARENA_NEW(in->files, &in->arena, n + 1);
    for (int i = 0; i < n; i++) {
        char *w = words[i], *equals = strchr(w, '='), *slash = strchr(w, '/');
        const bool yaml = is_config(w);
        if (!strcmp(w, "-o") || !strcmp(w, "--output")) {
            if (i + 1 == n) return TK_FAIL(TK_INPUT, "%s needs the name of a file", w);
            char *set = tk_arena_printf(&in->arena, "output=%s", words[++i]);
            if (!set) return TK_FAIL(TK_MEMORY, "out of memory for the command line");
            in->overrides[in->n_overrides++] = set;
        } else if (w[0] == '-' && w[1]) {
            return TK_FAIL(TK_INPUT, "%s is not known here; options are key=value, see --help", w);
        } else if (equals && (!slash || equals < slash)) {
            in->overrides[in->n_overrides++] = w;
        } else if (!in->config_file &&
                   (from == TK_CONFIG_FILE || (from != TK_CONFIG_LAYERED && yaml))) {
            in->config_file = w;
        } else {
            in->files[in->n_files++] = w;
        }
    }
    return TK_OK;
}

static tk_status check_files(const tk_invocation *in)
{
    const tk_command *c = in->command;
    const char *why = "";
    if (in->n_files < c->least || (c->config == TK_CONFIG_FILE && !in->config_file))
        return TK_FAIL(TK_INPUT, "%s is missing; usage: talkie %s %s [key=value ...]", c->wants,
                       c->name, c->arguments);
    if (in->n_files > c->most) why = in->files[c->most];
    return *why ? TK_FAIL(TK_INPUT, "%s: one file too many; usage: talkie %s %s [key=value ...]",
                          why, c->name, c->arguments)
                : TK_OK;
}

// Those to be read that are not there.
static tk_status ask_files(tk_wrong *w, const tk_invocation *in)
{
    const tk_command *c = in->command;
    for (int i = 0; c->reads && i < in->n_files; i++) {
        const char *path = in->files[i];
        tk_file_seat seat;
        if (access(path, R_OK) == 0) continue;
        const int error = errno;
        const char *words =
            tk_arena_printf(w->arena, "cannot open %.400s%s: %s; give %s that can be read", path,
                            tk_file_sought(path, error, seat), strerror(error), c->wants);
        if (!words) return TK_FAIL(TK_MEMORY, "out of memory for messages");
        TK_TRY(tk_wrong_at(w, TK_COMMAND_LINE, "", words));
    }
    return TK_OK;
}

static tk_status ask_each(const tk_comm *world, tk_wrong *w, const tk_invocation *in, tk_asks *ask)
{
    if (world->rank) return TK_OK;
    TK_TRY(ask_files(w, in));
    return ask ? ask(w, in, world->size) : TK_OK;
}

tk_status tk_command_config(const tk_comm *world, tk_invocation *in, unsigned command, tk_asks *ask)
{
    tk_wrong w = tk_wrong_of(&in->config, "", &in->arena);
    TK_TRY(tk_config_gather(&w, &in->config, command, in->config_file, in->n_overrides,
                            in->overrides));
    TK_TRY(ask_each(world, &w, in, ask));
    return tk_wrong_end(&w);
}

// Of a command that reads its config itself: what it names, with all that is wrong with its options
// if anything is. Else the command tells of those, by what they are laid over.
static tk_status look_at_named(const tk_comm *world, tk_invocation *in)
{
    const tk_command *c = in->command;
    const char *first = in->n_files ? in->files[0] : "";
    const char *file = is_config(first) && access(first, R_OK) == 0 ? first : NULL;
    tk_wrong w = tk_wrong_of(&in->config, "", &in->arena);
    w.partial = true; // what it is laid over may say what is missing
    tk_status st =
        tk_config_gather(&w, &in->config, c->options, file, in->n_overrides, in->overrides);
    w.partial = false;
    const int before = w.n;
    if (st == TK_OK) st = ask_each(world, &w, in, c->ask);
    return st == TK_OK && w.n > before ? tk_wrong_end(&w) : st;
}

static tk_status read_command_line(const tk_comm *world, tk_invocation *in, int n, char **words)
{
    const tk_command *c = in->command;
    TK_TRY(sort_words(in, n, words));
    TK_TRY(check_files(in));
    if (c->config != TK_CONFIG_LAYERED) return tk_command_config(world, in, c->options, c->ask);
    if (!c->reads && !c->ask) return TK_OK;
    tk_invocation look = *in; // its config is the command's own business
    tk_config_init(&look.config);
    const tk_status st = look_at_named(world, &look);
    in->arena = look.arena;
    tk_config_free(&look.config);
    return st;
}

tk_status tk_config_agree(tk_comm *world, tk_status loaded, const tk_config *c)
{
    uint64_t digest = 0;
    if (loaded == TK_OK) loaded = tk_config_digest(c, &digest);
    TK_TRY(tk_agree(world, loaded));
    TK_TRY(tk_same(world, "the configuration", &digest, sizeof digest));
    tk_log_open(world->rank, (int)c->log_level);
    return TK_OK;
}

static tk_status invoke(const tk_command *c, tk_comm *world, int n, char **words)
{
    tk_invocation in = {.command = c};
    tk_arena_init(&in.arena, 0);
    tk_config_init(&in.config);
    tk_status st = tk_config_agree(world, read_command_line(world, &in, n, words), &in.config);
    if (st == TK_OK) st = c->run(world, &in);
    tk_config_free(&in.config);
    tk_arena_free(&in.arena);
    return st;
}

tk_status tk_command_run(const tk_command *table, tk_comm *world, int argc, char **argv)
{
    int n = argc - 1, taken;
    char **words = argv + 1;
    tk_log_open(world->rank, 1);
    if (answered(table, world->rank, n, words)) return TK_OK;
    const tk_command *c = find_command(table, n, words, &taken);
    if (!c) return tk_agree(world, unknown_command(table, n, words));
    for (int i = taken; i < n; i++) {
        if (!asks_help(words[i])) continue;
        if (world->rank == 0) print_help(c);
        return TK_OK;
    }
    const char *build = tk_revision();
    TK_TRY(tk_same(world, "the build of talkie (talkie --version)", build, strlen(build)));
    return invoke(c, world, n - taken, words + taken);
}
