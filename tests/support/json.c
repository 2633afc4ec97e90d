// SPDX-License-Identifier: Apache-2.0
// JSON for test scripts.
//
//     json FILE              whether FILE is a document
//     json FILE PATH...      the value at each path, a line each: json a.json 'shots[1].seconds'
//     json FILE PATH=VALUE   FILE with these values in their places, any number of them: json
//     a.json
//                            clip.fps=5 'shots=[]'; without a VALUE the place is left out; @OTHER:
//                            the digest by which talkie knows that file
//
// Exits with 1 where FILE is none, or a path leads nowhere.
#define XXH_INLINE_ALL
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

static _Noreturn void end(const char *file, const char *words)
{
    fprintf(stderr, "json: %s: %s\n", file, words);
    exit(1);
}

static json_t *digest_of(const char *file)
{
    static char bytes[16 << 20];
    char hex[17];
    FILE *f = fopen(file, "rb");
    const size_t n = f ? fread(bytes, 1, sizeof bytes, f) : 0;
    if (!f || n == sizeof bytes) end(file, "no file, or a large one");
    fclose(f);
    snprintf(hex, sizeof hex, "%016llx", (unsigned long long)XXH3_64bits(bytes, n));
    return json_string(hex);
}

// Where a path ends: a key of an object, or where that is empty an index of an array.
typedef struct last_part {
    json_t *in;
    char key[64];
    size_t index;
} last_part;

// The value at `path`, of `bytes`; NULL: there is none.
static json_t *look(json_t *at, const char *path, size_t bytes, last_part *last)
{
    const char *behind = path + bytes;
    while (path < behind) {
        *last = (last_part){.in = at};
        if (*path == '[') {
            last->index = strtoul(path + 1, (char **)&path, 10);
            path++; // the ]
            at = json_array_get(at, last->index);
        } else {
            path += *path == '.';
            const size_t n = strcspn(path, ".[=");
            snprintf(last->key, sizeof last->key, "%.*s", (int)n, path);
            path += n;
            at = json_object_get(at, last->key);
        }
    }
    return at;
}

static void change(const char *file, json_t *root, const char *path, const char *value)
{
    last_part last;
    json_t *new = *value == '@' ? digest_of(value + 1)
                  : *value      ? json_loads(value, JSON_DECODE_ANY, NULL)
                                : NULL;
    json_t *old = look(root, path, (size_t)(value - 1 - path), &last);
    int failed;
    if (*value && !new) end(path, "the value is no JSON");
    if (!new)
        failed = !old || (*last.key ? json_object_del(last.in, last.key)
                                    : json_array_remove(last.in, last.index));
    else if (*last.key)
        failed = json_object_set_new(last.in, last.key, new);
    else
        failed = json_array_set_new(last.in, last.index, new);
    if (failed) end(file, path);
}

int main(int argc, char **argv)
{
    json_error_t error;
    last_part last;
    json_t *root =
        argc > 1 ? json_load_file(argv[1], JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &error) : NULL;
    if (argc < 2) end("no file", "json FILE [PATH|PATH=VALUE]...");
    if (!root) end(argv[1], error.text);
    bool changed = false;
    for (int i = 2; i < argc; i++) {
        const char *value = strchr(argv[i], '=');
        if (value) {
            change(argv[1], root, argv[i], value + 1);
            changed = true;
            continue;
        }
        json_t *at = look(root, argv[i], strlen(argv[i]), &last);
        if (!at) end(argv[1], argv[i]);
        json_dumpf(at, stdout, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(15));
        putchar('\n');
    }
    if (changed) json_dumpf(root, stdout, JSON_INDENT(2));
    json_decref(root);
    return 0;
}
