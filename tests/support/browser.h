// SPDX-License-Identifier: Apache-2.0
// Chromium without a window, driven by a test: its DevTools protocol over two pipes, JSON between
// NULs. Its profile is a folder that goes with it. Whatever a page complains of (an exception, what
// its policy of contents refuses) and whatever it asks beyond this machine's files is kept.
#pragma once
#include <jansson.h>
#include <stdbool.h>

typedef struct browser browser;

browser *browser_open(void); // NULL: there is no chromium here
void browser_close(browser *b);

// A command to the page; its result is the caller's. A test in which one fails fails.
json_t *browser_call(browser *b, const char *method, json_t *params); // takes params; NULL: none
// The value of an expression in JavaScript, of a promise what it gives.
json_t *browser_value(browser *b, const char *expression);
double browser_number(browser *b, const char *expression);
// The same as text, until the next call.
const char *browser_text(browser *b, const char *expression);
bool browser_true(browser *b, const char *expression);
// Until it is true; fails the test where it does not become so within seconds.
void browser_wait(browser *b, const char *expression);

void browser_show(browser *b, const char *url); // until it is loaded
void browser_size(browser *b, int width, int height, bool phone);
void browser_key(browser *b, const char *key);   // "ArrowDown", "m"; with all that a person's does
void browser_shot(browser *b, const char *path); // PNG
const char *browser_complaints(browser *b);      // "": none
void browser_forgive(browser *b);                // forgets them
