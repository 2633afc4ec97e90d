// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 180 */
// The gallery's page in a browser, used as a person does: swipes, wheel, keys; what plays, what
// sounds; lineage, remix, report, search, order; a thousand clips. With TK_TEST_SHOTS=FOLDER it
// leaves pictures there.
#include "tests/infer/gallery/films.h"
#include "tests/support/browser.h"

static const film films[] = {
    {"clips/one.mp4", 1, NULL, 9, "noir", {"close: the red ball drops", "Ada says \"hello\""}},
    {"clips/two.mp4", 2, "clips/one.mp4", 5, NULL, {"wide: the blue crate slides"}},
    {"clips/three.mp4",
     3,
     "clips/two.mp4",
     4,
     NULL,
     {"\"</script><img src=x onerror=alert(1)>\\ \xc2\x85 end"}},
    {"clips/<img src=x onerror=alert(1)>.mp4", 4, NULL, 3, NULL, {NULL}},
    {"clips/beach.mp4", 5, NULL, 2, "anime", {"Bo walks on the beach", "the waves"}},
    {"clips/street.mp4", 6, NULL, 90, "noir", {"the red ball rolls down the street"}},
    {"clips/rain.mp4", 7, NULL, 1, "anime", {"rain on the roof"}},
};
enum { FILMS = sizeof films / sizeof *films };

static browser *b;
static char clips[200], site[200], page[300];

#define PLAYING "[...document.querySelectorAll('video')].filter(v => !v.paused && !v.ended)"
#define CURRENT "document.querySelector('.slide.current')"

static void shot(const char *name)
{
    char path[400];
    const char *folder = getenv("TK_TEST_SHOTS");
    if (!folder) return;
    snprintf(path, sizeof path, "%s/%s.png", folder, name);
    usleep(300000);
    browser_shot(b, path);
}

static int open_page(void **state)
{
    if (signed_open(state) != 0) return -1;
    snprintf(clips, sizeof clips, "%s", signed_path("clips"));
    snprintf(site, sizeof site, "%s", signed_path("site"));
    snprintf(page, sizeof page, "file://%s/index.html", site);
    mkdir(clips, 0700);
    for (int i = 0; i < FILMS; i++) film_make(&films[i]);
    return gallery_by(clips, site, "", "") == TK_OK ? 0 : -1;
}

static int close_page(void **state)
{
    browser_close(b);
    return signed_close(state);
}

// The page as it is for somebody who comes for the first time, on a phone.
static int come_anew(void **state)
{
    (void)state;
    browser_size(b, 390, 844, true);
    // The page that is left remembers nothing more.
    json_decref(browser_value(
        b, "try { localStorage.clear(); Storage.prototype.setItem = () => {}; } catch { }"));
    browser_show(b, page);
    return 0;
}

static int at(void)
{
    return (int)browser_number(b, "Number(document.getElementById('feed').dataset.at)");
}

static const char *title_now(void)
{
    return browser_text(b, CURRENT ".querySelector('h2').textContent");
}

static void wait_at(int i)
{
    for (int k = 0; k < 300; k++) {
        json_t *v = browser_value(b, "[Number(feed.dataset.at), Math.abs(feed.scrollTop / "
                                     "feed.clientHeight - feed.dataset.at)]");
        const bool there = json_number_value(json_array_get(v, 0)) == i &&
                           json_number_value(json_array_get(v, 1)) < 0.003;
        json_decref(v);
        if (there) return;
        usleep(30000);
    }
    fail_msg("clip %d is not reached; scrolled to, at: %s", i,
             browser_text(b, "`${feed.scrollTop / feed.clientHeight}, ${feed.dataset.at}`"));
}

// The clip that is looked at plays, and no other does or has more than its neighbours loaded.
static void one_plays(void)
{
    browser_wait(b, PLAYING ".length === 1 && " CURRENT ".contains(" PLAYING "[0]) && " PLAYING
                            "[0].currentTime > 0");
    assert_true(browser_number(b, "document.querySelectorAll('video[src]').length") <= 3);
    assert_true(browser_number(b, "document.querySelectorAll('.slide').length") <= 5);
    assert_true(browser_true(
        b, "[...document.querySelectorAll('.slide:not(.current)')].every(s => s.inert)"));
}

static void click(const char *selector)
{
    char text[400];
    double x, y;
    snprintf(text, sizeof text,
             "(() => { const e = document.querySelector(\"%s\"); e.scrollIntoView({block: "
             "'nearest'}); const r = "
             "e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; })()",
             selector);
    json_t *place = browser_value(b, text);
    x = json_number_value(json_array_get(place, 0));
    y = json_number_value(json_array_get(place, 1));
    json_decref(place);
    for (int up = 0; up < 2; up++)
        json_decref(browser_call(b, "Input.dispatchMouseEvent",
                                 json_pack("{s:s, s:f, s:f, s:s, s:i}", "type",
                                           up ? "mouseReleased" : "mousePressed", "x", x, "y", y,
                                           "button", "left", "clickCount", 1)));
}

// A finger that moves so far up (negative) or down in six steps, and rests before it is lifted or
// not.
static void swipe(int pixels, bool rests)
{
    for (int i = 0; i <= 7; i++) {
        const char *type = i == 0 ? "touchStart" : i <= 6 ? "touchMove" : "touchEnd";
        json_t *points = json_array();
        const int y = (pixels < 0 ? 650 : 200) + pixels * i / 6;
        if (i <= 6) json_array_append_new(points, json_pack("{s:i, s:i}", "x", 190, "y", y));
        if (i > 6 && rests) usleep(300000);
        json_decref(browser_call(b, "Input.dispatchTouchEvent",
                                 json_pack("{s:s, s:o}", "type", type, "touchPoints", points)));
        usleep(8000);
    }
}

static void turn_wheel(int delta)
{
    json_decref(browser_call(b, "Input.dispatchMouseEvent",
                             json_pack("{s:s, s:i, s:i, s:i, s:i}", "type", "mouseWheel", "x", 190,
                                       "y", 400, "deltaX", 0, "deltaY", delta)));
}

// Goes to a clip by its name, in the order that is chosen.
static void go_to(const char *name)
{
    char text[300];
    snprintf(text, sizeof text, "talkie.goTo(talkie.site.clips.find(c => c.name === '%s'))", name);
    json_decref(browser_value(b, text));
    snprintf(text, sizeof text, CURRENT ".querySelector('h2').textContent === '%.*s'",
             (int)strlen(name) - 4, name);
    browser_wait(b, text);
}

static void no_complaints(void)
{
    if (*browser_complaints(b)) fail_msg("%s", browser_complaints(b));
}

// ---- playing -----------------------------------------------------------------------------------

static void one_plays_and_sounds_once_it_may(void **state)
{
    (void)state;
    one_plays();
    browser_wait(
        b, "!document.getElementById('unmute').hidden"); // browsers let nothing sound by itself
    assert_true(browser_true(b, PLAYING "[0].muted"));
    shot("phone");
    click("#unmute");
    browser_wait(b, "document.getElementById('unmute').hidden && !" PLAYING "[0].muted");
    browser_wait(b, PLAYING "[0].webkitAudioDecodedByteCount > 0");
    browser_key(b, "ArrowDown");
    wait_at(1);
    one_plays();
    assert_false(browser_true(b, PLAYING "[0].muted"));
    click("#sound");
    browser_wait(b, PLAYING "[0].muted");
    assert_string_equal(
        browser_text(b, "document.getElementById('sound').getAttribute('aria-pressed')"), "false");
    no_complaints();
}

static void swipes_go_one_clip_at_a_time(void **state)
{
    (void)state;
    one_plays();
    swipe(-500, false);
    wait_at(1);
    one_plays();
    swipe(-500, false);
    wait_at(2);
    one_plays();
    swipe(500, false);
    wait_at(1);
    one_plays();
    assert_true(browser_true(
        b, "[...document.querySelectorAll('.slide:not(.current) video')].every(v => v.paused && "
           "v.currentTime === 0)"));
    swipe(-120, true); // a little way: it snaps back
    usleep(600000);
    wait_at(1);
    no_complaints();
}

static void a_turn_of_the_wheel_is_one_clip(void **state)
{
    (void)state;
    browser_size(b, 1280, 800, false);
    one_plays();
    turn_wheel(120);
    wait_at(1);
    usleep(300000);
    turn_wheel(120);
    wait_at(2);
    usleep(300000);
    turn_wheel(-120);
    wait_at(1);
    usleep(300000);
    // A stroke over a pad, which runs out for a second.
    json_decref(browser_value(
        b, "(() => { for (let i = 0; i < 60; i++) { const e = new WheelEvent('wheel', {deltaY: 60 "
           "- i, cancelable: true}); Object.defineProperty(e, 'timeStamp', {value: "
           "performance.now() + 16 * i}); feed.dispatchEvent(e); } })()"));
    wait_at(2);
    usleep(500000);
    assert_int_equal(at(), 2);
    one_plays();
    shot("desktop");
    no_complaints();
}

static void keys_do_all_of_it(void **state)
{
    (void)state;
    one_plays();
    browser_key(b, "ArrowDown");
    wait_at(1);
    assert_true(browser_true(b, "document.activeElement === " CURRENT));
    browser_key(b, "j");
    wait_at(2);
    browser_key(b, "ArrowUp");
    wait_at(1);
    browser_key(b, "End");
    wait_at(FILMS - 1);
    one_plays();
    browser_key(b, "Home");
    wait_at(0);
    one_plays();
    browser_key(b, " ");
    browser_wait(b, PLAYING ".length === 0");
    browser_wait(b, CURRENT ".querySelector('.play').getAttribute('aria-label') === 'Play'");
    browser_key(b, " ");
    one_plays();
    browser_key(b, "?");
    browser_wait(b, "document.getElementById('panel').open");
    browser_key(b, "ArrowDown"); // the panel's, not the feed's
    usleep(300000);
    assert_int_equal(at(), 0);
    shot("about");
    browser_key(b, "Escape");
    browser_wait(b, "!document.getElementById('panel').open");
    no_complaints();
}

static void captions_say_what_is_said(void **state)
{
    (void)state;
    go_to("one.mp4");
    one_plays();
    assert_string_equal(
        browser_text(b, "[..." CURRENT
                        ".querySelector('video').textTracks[0].cues].map(c => c.text).join('|')"),
        "[close: the red ball drops]|Ada: hello");
    assert_string_equal(browser_text(b, CURRENT ".querySelector('video').textTracks[0].mode"),
                        "showing");
    browser_wait(b, CURRENT ".querySelector('video').textTracks[0].activeCues.length === 1");
    browser_key(b, "c");
    assert_string_equal(browser_text(b, CURRENT ".querySelector('video').textTracks[0].mode"),
                        "disabled");
    no_complaints();
}

// ---- order and search --------------------------------------------------------------------------

static void likes_change_the_order_and_say_why(void **state)
{
    (void)state;
    assert_string_equal(title_now(), "rain"); // the newest, where nothing was liked
    click("#order-time");
    assert_string_equal(
        browser_text(b, "talkie.arrange('').map(c => c.name).join(' ')"),
        "rain.mp4 beach.mp4 <img src=x onerror=alert(1)>.mp4 three.mp4 two.mp4 one.mp4 street.mp4");
    click("#order-you"); // the oldest one is the last
    assert_true(browser_true(b, "talkie.arrange('')[6].name === 'street.mp4'"));
    go_to("one.mp4");
    browser_key(b, "l");
    assert_string_equal(
        browser_text(b, CURRENT ".querySelector('.actions button').getAttribute('aria-pressed')"),
        "true");
    browser_show(b, page); // the browser remembers
    browser_wait(b, "document.querySelector('.slide.current')");
    click("#order-you");
    assert_string_equal(
        browser_text(b, "(c => c.why)(talkie.arrange('').find(c => c.name === 'street.mp4'))"),
        "like what you liked: ball, noir, red");
    assert_true(browser_true(b, "talkie.arrange('').findIndex(c => c.name === 'street.mp4') < 6"));
    go_to("street.mp4");
    assert_true(browser_true(b, CURRENT ".querySelector('.why').checkVisibility()"));
    click("#order-time");
    browser_wait(b, "document.body.classList.contains('by-time')");
    no_complaints();
}

static void search_finds_words_of_prompts(void **state)
{
    (void)state;
    click("#query");
    json_decref(browser_call(b, "Input.insertText", json_pack("{s:s}", "text", "RED ball")));
    browser_wait(b, CURRENT "?.getAttribute('aria-setsize') === '2'");
    browser_wait(b, "document.getElementById('said').textContent === '2 clips'");
    one_plays();
    json_decref(browser_call(b, "Input.insertText", json_pack("{s:s}", "text", " nowhere")));
    browser_wait(b, "!document.getElementById('empty').hidden && "
                    "document.querySelectorAll('.slide').length === 0");
    json_decref(browser_value(b, "(q => { q.value = ''; q.dispatchEvent(new Event('input')); "
                                 "})(document.getElementById('query'))"));
    browser_wait(b, CURRENT "?.getAttribute('aria-setsize') === '7'");
    no_complaints();
}

// ---- panels ------------------------------------------------------------------------------------

static void lineage_is_walked(void **state)
{
    (void)state;
    go_to("three.mp4");
    browser_key(b, "t");
    browser_wait(b, "document.getElementById('panel').open");
    assert_string_equal(
        browser_text(b,
                     "[...document.querySelectorAll('[role=treeitem] > .entry > .title')].map(t => "
                     "t.textContent).join(' ')"),
        "three.mp4 world.safetensors two world.safetensors one world.safetensors");
    shot("lineage");
    click("[role=treeitem] [role=treeitem].here > .entry");
    browser_wait(b, CURRENT ".querySelector('h2').textContent === 'two'");
    // From two to one by keys: this clip, its model, one.
    browser_wait(
        b, "document.querySelectorAll('[role=treeitem]').length === 5"); // and three, made from it
    json_decref(browser_value(b, "document.querySelector('[role=tree] [tabindex=\"0\"]').focus()"));
    for (int i = 0; i < 2; i++) browser_key(b, "ArrowDown");
    assert_string_equal(
        browser_text(b, "document.activeElement.querySelector('.title').textContent"), "one");
    browser_key(b, "Enter");
    browser_wait(b, CURRENT ".querySelector('h2').textContent === 'one'");
    assert_string_equal(browser_text(b, "[...document.querySelectorAll('.tree')][1].textContent"),
                        "twosigned by signer of the testswatch");
    browser_key(b, "Escape");
    browser_wait(b, "!document.getElementById('panel').open");
    one_plays();
    no_complaints();
}

static void remix_is_a_storyboard(void **state)
{
    (void)state;
    json_decref(browser_call(
        b, "Browser.grantPermissions",
        json_pack("{s:[s,s]}", "permissions", "clipboardReadWrite", "clipboardSanitizedWrite")));
    go_to("one.mp4");
    browser_key(b, "r");
    browser_wait(b, "document.querySelector('.outlet')");
    click("#panel input[value='1']");
    click("#panel input[value='0']");
    json_decref(browser_value(
        b, "(p => { p.value = 'Ada sings: \"la\"'; p.dispatchEvent(new Event('input')); })"
           "(document.getElementById('remix-prompt'))"));
    static const char want[] = "# A remix. Keep this as remix.yaml where \"one.mp4\" lies, give "
                               "the checkpoint's path, then:\n"
                               "#   talkie sample remix.yaml -o remix.mp4\n"
                               "checkpoint: \"world.safetensors\"\n"
                               "remix:\n"
                               "  clip: \"one.mp4\"\n"
                               "  shots: [1]\n"
                               "  prompt: \"Ada sings: \\\"la\\\"\"\n"
                               "  strength: 0.6\n";
    assert_string_equal(browser_text(b, "document.querySelector('.outlet').value"), want);
    click("button.copy");
    browser_wait(b, "document.querySelector('button.copy').textContent === 'Copied'");
    assert_string_equal(browser_text(b, "navigator.clipboard.readText()"), want);
    shot("remix");
    browser_key(b, "Escape");
    // What YAML does not print is written by its number.
    assert_string_equal(browser_text(b, "talkie.yaml('a\\u0085\\u2028\"\\n')"),
                        "\"a\\u0085\\u2028\\\"\\n\"");
    no_complaints();
}

// A report is a takedown list: the next site is without the clip and what was made from it.
static void reports_take_down(void **state)
{
    (void)state;
    go_to("two.mp4");
    click(".slide.current button[aria-label=Report]");
    browser_wait(b, "document.querySelector('.outlet')");
    json_decref(browser_value(
        b, "(p => { p.value = 'it is me:\\n\"no\"'; p.dispatchEvent(new Event('input')); })"
           "(document.getElementById('report-words'))"));
    shot("report");
    const char *text = browser_text(b, "document.querySelector('.outlet').value");
    signed_write("takedown.yaml", text, strlen(text));
    browser_key(b, "Escape");
    char other[300];
    snprintf(other, sizeof other, "%s", signed_path("other"));
    assert_ok(gallery_by(clips, other, "", signed_path("takedown.yaml")));
    json_t *told = gallery_told(other);
    assert_int_equal(json_array_size(json_object_get(told, "clips")), FILMS - 2);
    const json_t *out = json_array_get(json_object_get(told, "leftOut"), 1);
    assert_string_equal(json_string_value(json_object_get(out, "name")), "two.mp4");
    assert_string_equal(json_string_value(json_object_get(out, "why")),
                        "taken down: It shows a person who did not agree to it: it is me: \"no\"");
    json_decref(told);
    no_complaints();
}

static void hostile_words_do_nothing(void **state)
{
    (void)state;
    go_to("three.mp4");
    browser_key(b, "t");
    browser_key(b, "Escape");
    browser_key(b, "r");
    browser_key(b, "Escape");
    json_decref(
        browser_value(b, "talkie.goTo(talkie.site.clips.find(c => c.name.startsWith('<')))"));
    browser_wait(b, CURRENT ".querySelector('h2').textContent === '<img src=x onerror=alert(1)>'");
    one_plays();
    assert_int_equal(browser_number(b, "document.querySelectorAll('img[src=x]').length"), 0);
    assert_int_equal(browser_number(b, "document.querySelectorAll('script').length"), 7);
    // The page's own policy refuses what is not of the folder, should words ever get that far.
    assert_string_equal(
        browser_text(b, "fetch('http://127.0.0.1:9/').then(() => 'sent', () => 'refused')"),
        "refused");
    assert_string_equal(
        browser_text(
            b,
            "(() => { try { document.body.innerHTML = '<b>x</b>'; return 'taken'; } catch { return "
            "'refused'; } })()"),
        "refused");
    if (!strstr(browser_complaints(b), "Content Security Policy") ||
        strstr(browser_complaints(b), "network: "))
        fail_msg("%s", browser_complaints(b));
    browser_forgive(b);
}

static void where_motion_is_reduced_nothing_plays_by_itself(void **state)
{
    (void)state;
    json_decref(browser_call(b, "Emulation.setEmulatedMedia",
                             json_pack("{s:[{s:s, s:s}]}", "features", "name",
                                       "prefers-reduced-motion", "value", "reduce")));
    browser_show(b, page);
    browser_wait(b, "document.querySelector('.slide.current')");
    usleep(500000);
    assert_int_equal(browser_number(b, PLAYING ".length"), 0);
    browser_key(b, "ArrowDown");
    assert_int_equal(browser_number(b, "feed.scrollTop / feed.clientHeight"), 1); // at once
    usleep(300000);
    assert_int_equal(browser_number(b, PLAYING ".length"), 0);
    browser_key(b, " ");
    one_plays();
    browser_key(b, "ArrowDown");
    wait_at(2);
    browser_wait(b, PLAYING ".length === 0");
    json_decref(browser_call(b, "Emulation.setEmulatedMedia", json_pack("{s:[]}", "features")));
    no_complaints();
}

// ---- a thousand clips --------------------------------------------------------------------------

enum { MANY = 1000 };

// The same site with each clip under many numbers: names of its files, and entries.
static void multiply(json_t *told)
{
    json_t *list = json_object_get(told, "clips");
    for (int i = FILMS; i < MANY; i++) {
        char from[300], to[300], number[17];
        json_t *e = json_deep_copy(json_array_get(list, (size_t)i % FILMS));
        const char *own = json_string_value(json_object_get(e, "number"));
        snprintf(number, sizeof number, "%016x", i);
        for (int k = 0; k < 2; k++) {
            snprintf(from, sizeof from, k ? "%s/posters/%s.jpg" : "%s/clips/%s.mp4", site, own);
            snprintf(to, sizeof to, k ? "%s/posters/%s.jpg" : "%s/clips/%s.mp4", site, number);
            assert_int_equal(link(from, to), 0);
        }
        json_object_set_new(e, "number", json_string(number));
        json_object_set_new(e, "time", json_integer(1790000000 - 60 * i));
        json_array_append_new(list, e);
    }
}

// Milliseconds between frames while twenty clips go by: median and worst.
static void count_frames(double *median, double *worst)
{
    json_t *v = browser_value(b, "(async () => { const gaps = []; let last = 0, run = true;"
                                 "  const tick = t => { if (last) gaps.push(t - last); last = t; "
                                 "if (run) requestAnimationFrame(tick); };"
                                 "  requestAnimationFrame(tick);"
                                 "  for (let i = 0; i < 10; i++) { talkie.feed.step(i < 5 ? 1 : "
                                 "-1); await new Promise(r => setTimeout(r, 250)); }"
                                 "  run = false; gaps.sort((x, y) => x - y); return "
                                 "[gaps[gaps.length >> 1], gaps.at(-1)]; })()");
    *median = json_number_value(json_array_get(v, 0));
    *worst = json_number_value(json_array_get(v, 1));
    json_decref(v);
}

static void a_thousand_clips_cost_what_seven_do(void **state)
{
    double few[2], many[2];
    char path[300];
    (void)state;
    const int nodes = (int)browser_number(b, "document.querySelectorAll('*').length");
    browser_key(b, "ArrowDown");
    wait_at(1);
    count_frames(&few[0], &few[1]);
    json_t *told = gallery_told(site);
    multiply(told);
    char *text = json_dumps(told, JSON_COMPACT | JSON_ENSURE_ASCII);
    snprintf(path, sizeof path, "%s/clips.js", site);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fprintf(f, "'use strict';\nwindow.talkie = {site: %s};\n", text);
    assert_int_equal(fclose(f), 0);
    free(text);
    json_decref(told);
    browser_show(b, page);
    one_plays();
    assert_int_equal(browser_number(b, "Number(" CURRENT ".ariaSetSize)"), MANY);
    for (int i = 1; i <= 12; i++) {
        browser_key(b, "ArrowDown");
        wait_at(i);
    }
    browser_key(b, "End");
    wait_at(MANY - 1);
    one_plays();
    // A slide that the jump cut short, which still puts the feed where it ended.
    json_decref(browser_value(b, "talkie.feed.step(-500), feed.scrollTop = 9000"));
    wait_at(MANY - 501);
    one_plays();
    json_decref(browser_value(b, "for (const k of [1, 400, -100]) talkie.feed.step(k)"));
    wait_at(MANY - 501 + 301); // who jumps while the feed slides goes on from there
    one_plays();
    const int now = (int)browser_number(b, "document.querySelectorAll('*').length");
    count_frames(&many[0], &many[1]);
    printf("elements of the page: %d with %d clips, %d with %d; milliseconds of a frame, median "
           "and worst: %.1f %.1f, %.1f %.1f\n",
           nodes, FILMS, now, MANY, few[0], few[1], many[0], many[1]);
    assert_true(now <= nodes + 120); // two slides that lie before the first one, and no more
    assert_true(many[0] <= 2 * few[0] + 17);
    assert_true(browser_number(b, "(() => { const t = performance.now(); talkie.arrange('red "
                                  "ball'); return performance.now() - "
                                  "t; })()") < 1000);
    no_complaints();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(one_plays_and_sounds_once_it_may, come_anew),
        cmocka_unit_test_setup(swipes_go_one_clip_at_a_time, come_anew),
        cmocka_unit_test_setup(a_turn_of_the_wheel_is_one_clip, come_anew),
        cmocka_unit_test_setup(keys_do_all_of_it, come_anew),
        cmocka_unit_test_setup(captions_say_what_is_said, come_anew),
        cmocka_unit_test_setup(likes_change_the_order_and_say_why, come_anew),
        cmocka_unit_test_setup(search_finds_words_of_prompts, come_anew),
        cmocka_unit_test_setup(lineage_is_walked, come_anew),
        cmocka_unit_test_setup(remix_is_a_storyboard, come_anew),
        cmocka_unit_test_setup(reports_take_down, come_anew),
        cmocka_unit_test_setup(hostile_words_do_nothing, come_anew),
        cmocka_unit_test_setup(where_motion_is_reduced_nothing_plays_by_itself, come_anew),
        cmocka_unit_test_setup(a_thousand_clips_cost_what_seven_do, come_anew),
    };
    b = browser_open();
    if (!b) {
        puts("skipped: chromium is not here (apt-get install chromium)");
        return 77;
    }
    return cmocka_run_group_tests(tests, open_page, close_page);
}
