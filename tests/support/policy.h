// SPDX-License-Identifier: Apache-2.0
// For tests of policies: a folder with the files of one, its log and a storyboard without shots;
// words that the shipped policy refuses.
#pragma once
#include "tests/support/filters.h"
#include "tests/support/test.h"
#include <unistd.h>

static char filters_folder[] = "/tmp/talkie-filters-XXXXXX";
static char policy_path[64], log_path[64], story_path[64];
__attribute__((unused)) static const char *const refused_words[] = {
    "bomb",   "grenade", "murder",  "heroin",   "cocaine", "hostage",
    "pistol", "rifle",   "torture", "massacre", "kidnap",  "terrorist"}; // of the shipped policy

static inline void put_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    fclose(f);
}

static inline void make_filters_folder(void)
{
    assert_non_null(mkdtemp(filters_folder));
    snprintf(policy_path, sizeof policy_path, "%s/policy.yaml", filters_folder);
    snprintf(log_path, sizeof log_path, "%s/log.jsonl", filters_folder);
    snprintf(story_path, sizeof story_path, "%s/story.yaml", filters_folder);
    put_file(story_path, "shots: []\n");
}

static inline void remove_filters_folder(void)
{
    unlink(policy_path);
    unlink(log_path);
    unlink(story_path);
    assert_int_equal(rmdir(filters_folder), 0);
}
