// SPDX-License-Identifier: Apache-2.0
// Which of some classes something belongs to, learned from labelled examples: linear discriminants,
// class means under one covariance (Fisher 1936). What a judge knows of looks and voices it has
// from examples that it is shown before, never from those it judges.
#pragma once
#include "core/base/mem.h"
#include <stdint.h>

typedef struct tk_classes {
    int64_t classes, d; // numbers of features
    double *weight;     // (classes, d) of features less `middle`, over `spread`
    double *bias;       // (classes)
    double *middle;     // (d) mean of all examples
    double *spread;     // (d) deviation of all examples; 1 where they are all alike
    int64_t *shown;     // (classes) examples
} tk_classes;

// From examples x (n, d) of class label[i], each in [0, classes), all equally likely beforehand. A
// class of which none was shown is never found. ridge: added to the covariance of the scaled
// features, 1e-3 say, more where examples are few. Features must be finite; TK_NUMERIC otherwise.
tk_status tk_classes_learn(int64_t n, int64_t d, int64_t classes, const double *x, const int *label,
                           double ridge, tk_arena *a, tk_classes *out);
// The likeliest class of x (d), -1 where x is not finite or nothing was learned. odds (classes, may
// be NULL): how likely each is.
int tk_classes_find(const tk_classes *c, const double *x, double *odds);

// What was found for what was there.
typedef struct tk_confusion {
    int64_t classes;
    int64_t *n; // (classes, classes + 1): row what was there, column what was found, the last: none
} tk_confusion;
tk_status tk_confusion_new(int64_t classes, tk_arena *a, tk_confusion *out);
void tk_confusion_add(tk_confusion *c, int there, int found); // found -1: none
int64_t tk_confusion_right(const tk_confusion *c);
int64_t tk_confusion_all(const tk_confusion *c);
// Share that is right where one always finds what is there most often: the level of chance.
double tk_confusion_chance(const tk_confusion *c);
