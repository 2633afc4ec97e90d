// SPDX-License-Identifier: Apache-2.0
// Any list of structs, by its table alone: a cast whose people have pictures of their own.
/*TEST timeout: 60 */
#include "core/config/load.h"
#include "tests/support/test.h"
#include <stdlib.h>

typedef struct picture {
    char *file;
    double weight;
} picture;

typedef struct person {
    char *name;
    int64_t age;
    double pitch; // voice.pitch
    picture *pictures;
    int64_t n_pictures;
} person;

typedef struct cast {
    char *title;
    person *people;
    int64_t n_people;
    char **places;
    int64_t n_places;
    int64_t *acts;
    int64_t n_acts;
} cast;

static const tk_option picture_rows[] = {
    {.name = "file", .kind = TK_OPT_STRING, .offset = offsetof(picture, file), .sdef = ""},
    {.name = "weight",
     .kind = TK_OPT_FLOAT,
     .offset = offsetof(picture, weight),
     .fdef = 1,
     .fmax = 2,
     .help = "how much it counts"},
};
static const tk_table picture_table = TK_TABLE(picture_rows, picture, "picture");

static const tk_option person_rows[] = {
    {.name = "name", .kind = TK_OPT_STRING, .offset = offsetof(person, name), .sdef = "nobody"},
    {.name = "age",
     .kind = TK_OPT_INT,
     .offset = offsetof(person, age),
     .idef = 30,
     .imax = 120,
     .help = "in years"},
    {.name = "voice.pitch",
     .kind = TK_OPT_FLOAT,
     .offset = offsetof(person, pitch),
     .fdef = 120,
     .fmin = 50,
     .fmax = 500,
     .help = "in Hz"},
    {.name = "pictures",
     .kind = TK_OPT_ITEMS,
     .items = &picture_table,
     .offset = offsetof(person, pictures),
     .count = offsetof(person, n_pictures),
     .imax = 3,
     .help = "of the face"},
};
static const tk_table person_table = TK_TABLE(person_rows, person, "person");

static const tk_option cast_rows[] = {
    {.name = "title",
     .kind = TK_OPT_STRING,
     .offset = offsetof(cast, title),
     .sdef = "",
     .commands = TK_CMD_SAMPLE,
     .help = "of the film"},
    {.name = "people",
     .kind = TK_OPT_ITEMS,
     .items = &person_table,
     .offset = offsetof(cast, people),
     .count = offsetof(cast, n_people),
     .imax = 4,
     .commands = TK_CMD_SAMPLE | TK_OPTION_BINDS,
     .help = "who plays"},
    {.name = "places",
     .kind = TK_OPT_STRINGS,
     .offset = offsetof(cast, places),
     .count = offsetof(cast, n_places),
     .imax = 4,
     .commands = TK_CMD_SAMPLE,
     .help = "where"},
    {.name = "acts",
     .kind = TK_OPT_INTS,
     .offset = offsetof(cast, acts),
     .count = offsetof(cast, n_acts),
     .imin = 1,
     .imax = 9,
     .commands = TK_CMD_SAMPLE,
     .help = "that are played"},
};
static const tk_table cast_table = TK_TABLE(cast_rows, cast, "cast");

static tk_arena arena;

static int open_arena(void **state)
{
    (void)state;
    tk_arena_init(&arena, 0);
    return 0;
}

static int close_arena(void **state)
{
    (void)state;
    tk_arena_free(&arena);
    return 0;
}

// Reads text and overrides over what *c has; the errors as TK_INPUT.
static tk_status read_over(cast *c, const char *text, int n, const char *const *overrides)
{
    tk_loading l = {.table = &cast_table,
                    .base = c,
                    .arena = &arena,
                    .command = TK_CMD_SAMPLE,
                    .file = "cast.yaml"};
    tk_yaml_node *root = NULL;
    tk_status st = tk_loading_open(&l);
    if (st == TK_OK) st = tk_config_read_yaml(&l, text, strlen(text), l.file, &root);
    if (st == TK_OK && root) st = tk_config_apply(&l, root);
    for (int i = 0; i < n && st == TK_OK; i++) st = tk_config_override(&l, overrides[i]);
    if (st == TK_OK) st = tk_wrong_end(l.wrong);
    tk_arena_free(&l.scratch);
    return st;
}

static tk_status read_cast(cast *c, const char *text, int n, const char *const *overrides)
{
    tk_table_default(&cast_table, c);
    return read_over(c, text, n, overrides);
}

static const char *const film = "title: Dawn\n"
                                "people:\n"
                                "  - name: Ada\n"
                                "    voice: {pitch: 210}\n"
                                "    pictures: [{file: a.png}, {file: b.png, weight: 0.5}]\n"
                                "  - {age: 7, voice.pitch: 300}\n";

static void test_items__are_read_dumped_and_read_again(void **state)
{
    (void)state;
    cast c, again;
    assert_ok(read_cast(&c, film, 0, NULL));
    assert_int_equal(2, c.n_people);
    assert_string_equal("Ada", c.people[0].name);
    assert_int_equal(30, c.people[0].age);
    assert_true(c.people[0].pitch == 210 && c.people[1].pitch == 300);
    assert_int_equal(2, c.people[0].n_pictures);
    assert_true(c.people[0].pictures[0].weight == 1 && c.people[0].pictures[1].weight == 0.5);
    assert_string_equal("nobody", c.people[1].name);
    const char *dump = tk_table_dump(&cast_table, &c, 0, &arena);
    assert_string_equal("title: \"Dawn\"\n"
                        "people:\n"
                        "  - name: \"Ada\"\n"
                        "    age: 30\n"
                        "    voice:\n"
                        "      pitch: 210\n"
                        "    pictures:\n"
                        "      - file: \"a.png\"\n"
                        "        weight: 1\n"
                        "      - file: \"b.png\"\n"
                        "        weight: 0.5\n"
                        "  - name: \"nobody\"\n"
                        "    age: 7\n"
                        "    voice:\n"
                        "      pitch: 300\n"
                        "    pictures: []\n"
                        "places: []\n"
                        "acts: auto\n",
                        dump);
    assert_ok(read_cast(&again, dump, 0, NULL));
    assert_string_equal(dump, tk_table_dump(&cast_table, &again, 0, &arena));
}

static void test_items__whole_numbers_are_listed_or_left_to_the_program(void **state)
{
    (void)state;
    static const struct {
        const char *text, *dump;
    } good[] = {{"[3, 1]", "[3, 1]"}, {"[]", "[]"}, {"7", "[7]"}, {"auto", "auto"}};
    static const char *const bad[] = {"[0]",   "[1, 10]", "[1, x]", "[1.5]",
                                      "[[1]]", "{a: 1}",  "none",   ""};
    static const char *const over[] = {"acts=2,4", "acts=[5]", "acts=auto", "acts=6"};
    static const char *const dumps[] = {"[2, 4]", "[5]", "auto", "[6]"};
    char text[512];
    cast c;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        snprintf(text, sizeof text, "acts: %s\n", good[i].text);
        assert_ok(read_cast(&c, text, 0, NULL));
        assert_string_equal(good[i].dump, tk_config_format(&cast_rows[3], &c, &arena));
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        snprintf(text, sizeof text, "acts: %s\n", bad[i]);
        assert_int_equal(TK_INPUT, read_cast(&c, text, 0, NULL));
        assert_says("auto, or a list of at most 64 whole numbers from 1 to 9");
    }
    for (size_t i = 0; i < sizeof over / sizeof *over; i++) {
        assert_ok(read_cast(&c, "acts: [1]\n", 1, &over[i]));
        assert_string_equal(dumps[i], tk_config_format(&cast_rows[3], &c, &arena));
    }
    for (int n = TK_INTS_MAX; n <= TK_INTS_MAX + 1; n++) {
        size_t at = (size_t)snprintf(text, sizeof text, "acts: [1");
        for (int i = 1; i < n; i++)
            at += (size_t)snprintf(text + at, sizeof text - at, ", %d", 1 + i % 9);
        snprintf(text + at, sizeof text - at, "]\n");
        assert_int_equal(n > TK_INTS_MAX ? TK_INPUT : TK_OK, read_cast(&c, text, 0, NULL));
    }
}

static void test_items__are_overridden(void **state)
{
    (void)state;
    static const char *const good[] = {"people[0].name=Eve", "people[0].pictures[1].weight=2",
                                       "people[0].pictures[2].file=c.png", "people[2].age=50",
                                       "people[1].pictures=[{file: d.png}]"};
    static const char *const more[] = {"people[1].voice.pitch=99"};
    cast c;
    assert_ok(read_cast(&c, film, 5, good));
    assert_string_equal("Eve", c.people[0].name);
    assert_true(c.people[0].pitch == 210 && c.people[0].pictures[1].weight == 2);
    assert_int_equal(3, c.people[0].n_pictures);
    assert_string_equal("c.png", c.people[0].pictures[2].file);
    assert_string_equal("d.png", c.people[1].pictures[0].file);
    assert_int_equal(50, c.people[2].age);
    // A second reading goes over the first: a list whole, an item's row alone.
    assert_ok(read_over(&c, "title: Dusk\n", 1, more));
    assert_int_equal(3, c.n_people);
    assert_true(c.people[1].pitch == 99 && c.people[0].pitch == 210);
    assert_ok(read_over(&c, "people: [{name: Bo}]\n", 0, NULL));
    assert_int_equal(1, c.n_people);
    assert_int_equal(0, c.people[0].n_pictures);
}

static void test_items__errors_say_where(void **state)
{
    (void)state;
    static const char *const bad[] = {"people[0].agee=3",
                                      "people[0].pictures[0].wieght=1",
                                      "people[9].age=3",
                                      "people[x].age=3",
                                      "people[0].pictures[5].file=x",
                                      "people[0].voice=3",
                                      "people[0].age=old",
                                      "poeple[0].age=3",
                                      "places[0].x=1",
                                      "people=[{name: A, b: 1}]"};
    cast c;
    const tk_status st = read_cast(&c,
                                   "people:\n"
                                   "  - nmae: Ada\n"
                                   "    age: 121\n"
                                   "    voice: {pich: 3}\n"
                                   "    pictures: [{weight: 3}, {fiel: x}, 7]\n"
                                   "    pictures: []\n"
                                   "    age: 3\n"
                                   "  - Bob\n"
                                   "nmae: x\n",
                                   10, bad);
    assert_int_equal(TK_INPUT, st);
    const char *const want[] = {
        "cast.yaml:2:5: people[0].nmae: no such option; did you mean people[0].name?",
        "cast.yaml:3:10: people[0].age: 121 is not a whole number from 0 to 120",
        "cast.yaml:4:13: people[0].voice.pich: no such option; did you mean people[0].voice.pitch?",
        "cast.yaml:5:25: people[0].pictures[0].weight: 3 is not a number from 0 to 2",
        "cast.yaml:5:30: people[0].pictures[1].fiel: no such option; did you mean "
        "people[0].pictures[1].file?",
        "cast.yaml:5:40: people[0].pictures[2]: a picture wants keys: file, weight",
        "cast.yaml:6:5: people[0].pictures: given twice; first at line 5",
        "cast.yaml:7:5: people[0].age: given twice; first at line 3",
        "cast.yaml:8:5: people[1]: a person wants keys: name, age, voice.pitch, pictures",
        "cast.yaml:9:1: nmae: no such option; did you mean people[].name?",
        "command line: people[0].agee: no such option; did you mean people[0].age?",
        "command line: people[0].pictures[0].wieght: no such option; did you mean "
        "people[0].pictures[0].weight?",
        "command line: people[9].age: there are 2 persons; a new one is people[2]",
        "command line: people[x].age: wants the form people[0].name=...",
        "command line: people[0].pictures[5].file: there are 3 pictures; a new one is "
        "people[0].pictures[3]",
        "command line: people[0].voice: is a section; name one of its options, as "
        "people[0].voice.pitch",
        "command line: people[0].age: old is not a whole number from 0 to 120",
        "command line: poeple[0].age: no such option; did you mean people[].age?",
        "command line: places[0].x: no such option; there are title, people, places, acts",
        "command line: people[0].b: no such option; there are name, age, voice.pitch, pictures",
    };
    char all[8192] = "";
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
        strcat(all, want[i]);
        strcat(all, i + 1 < sizeof want / sizeof want[0] ? "\n" : "");
    }
    assert_string_equal(all, tk_status_message());
    assert_int_equal(TK_INPUT, read_cast(&c, "people: [{}, {}, {}, {}, {}]\n", 0, NULL));
    assert_says("cast.yaml:1:9: people: 5 persons; the most is 4");
    assert_int_equal(TK_INPUT, read_cast(&c, "people: {name: Ada}\n", 0, NULL));
    assert_says("people: wants a list of persons (\"- name: ...\" and so on)");
}

static void test_items__differ_row_by_row(void **state)
{
    (void)state;
    static const char *const change[] = {"people[0].age=31", "people[0].pictures[0].weight=2",
                                         "people[2].name=Bo", "title=Dusk"};
    cast c, d;
    char *binding, *others;
    assert_ok(read_cast(&c, film, 0, NULL));
    assert_ok(read_cast(&d, film, 4, change));
    tk_table_changes(&cast_table, &c, &d, 0, &arena, &binding, &others);
    assert_string_equal("\n  title: \"Dawn\" -> \"Dusk\"", others);
    assert_string_equal("\n  people[0].age: 30 -> 31"
                        "\n  people[0].pictures[0].weight: 1 -> 2"
                        "\n  people[2]: none -> {name: \"Bo\", age: 30, voice.pitch: 120, "
                        "pictures: []}",
                        binding);
    tk_table_changes(&cast_table, &d, &d, 0, &arena, &binding, &others);
    assert_string_equal("", binding);
    assert_string_equal("", others);
}

static void test_items__are_in_help_and_reference(void **state)
{
    (void)state;
    static const char *const names[] = {"title",
                                        "people",
                                        "people[].name",
                                        "people[].voice.pitch",
                                        "people[].pictures",
                                        "people[].pictures[].weight",
                                        "places"};
    for (int page = 0; page < 2; page++) {
        char *text;
        size_t n;
        FILE *f = open_memstream(&text, &n);
        if (page)
            tk_table_reference(f, &cast_table);
        else
            tk_table_help(f, &cast_table, TK_CMD_SAMPLE);
        fclose(f);
        const char *at = text;
        for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) { // in this order
            char row[64];
            snprintf(row, sizeof row, page ? "\n| `%s` |" : "\n  %s ", names[i]);
            at = strstr(at, row);
            if (!at) fail_msg("no row of %s in %s", names[i], text);
        }
        free(text);
    }
}

static void test_items__allocation_fails(void **state)
{
    (void)state;
    static const char *const some[] = {"people[0].pictures[2].file=c.png", "people[2].agee=50"};
    for (int n = 1; n <= 2; n++) { // without and with an error to report
        for (int64_t i = 1;; i++) {
            cast c;
            tk_arena_reset(&arena);
            tk_alloc_fail_at(i, true);
            const tk_status st = read_cast(&c, film, n, some);
            tk_alloc_fail_at(0, false);
            if (st == TK_MEMORY) continue;
            assert_int_equal(n == 2 ? TK_INPUT : TK_OK, st);
            break;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_items__are_read_dumped_and_read_again),
        cmocka_unit_test(test_items__whole_numbers_are_listed_or_left_to_the_program),
        cmocka_unit_test(test_items__are_overridden),
        cmocka_unit_test(test_items__errors_say_where),
        cmocka_unit_test(test_items__differ_row_by_row),
        cmocka_unit_test(test_items__are_in_help_and_reference),
        cmocka_unit_test(test_items__allocation_fails),
    };
    return cmocka_run_group_tests(tests, open_arena, close_arena);
}
