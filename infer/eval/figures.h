// SPDX-License-Identifier: Apache-2.0
// Figures: how often what was asked for was found, with how sure that is, as a table and as JSON.
#pragma once
#include "core/base/mem.h"
#include <jansson.h>
#include <stdint.h>

// X(section, its heading in tables)
#define TK_FIGURE_SECTION_MAP(X)                                            \
    X(TK_FIGURES_CLAUSES, "captions, clause by clause")                     \
    X(TK_FIGURES_FILM, "film")                                              \
    X(TK_FIGURES_PHYSICS, "physics")                                        \
    X(TK_FIGURES_SOUND, "sound")                                            \
    X(TK_FIGURES_CUTS, "the same in the next shot that shows or sounds it") \
    X(TK_FIGURES_STORY, "the same at the end of a story as at its begin")

typedef enum tk_figure_section {
#define X(section, heading) section,
    TK_FIGURE_SECTION_MAP(X)
#undef X
        TK_FIGURE_SECTIONS
} tk_figure_section;

// X(figure, section, name in reports, words), by section. Objects, faces, clothes and lips are
// asked for in styles that have colours.
#define TK_FIGURE_MAP(X)                                                              \
    X(TK_FIG_WHO, CLAUSES, "who", "who: the prompted character, not in noir")         \
    X(TK_FIG_CLOTHES, CLAUSES, "clothes", "clothes: that one's, not in noir")         \
    X(TK_FIG_KIND, CLAUSES, "kind", "what: a thing of the prompted kind")             \
    X(TK_FIG_COLOUR, CLAUSES, "colour", "colour: a thing of the prompted colour")     \
    X(TK_FIG_OBJECT, CLAUSES, "object", "object: of both")                            \
    X(TK_FIG_ACTION, CLAUSES, "action", "action: it comes to what is prompted")       \
    X(TK_FIG_WORDS, CLAUSES, "words", "words: those prompted, in order")              \
    X(TK_FIG_SET, CLAUSES, "set", "set")                                              \
    X(TK_FIG_STYLE, CLAUSES, "style", "style")                                        \
    X(TK_FIG_SIZE, CLAUSES, "size", "size: how near the camera is")                   \
    X(TK_FIG_CUTS, FILM, "cuts", "cuts where they were asked for, and no others")     \
    X(TK_FIG_LARGEST, FILM, "largest_cuts", "the largest changes are cuts asked for") \
    X(TK_FIG_GRAVITY, PHYSICS, "gravity", "falls within a quarter of gravity")        \
    X(TK_FIG_BOUNCE, PHYSICS, "bounce", "bounces as high as it should")               \
    X(TK_FIG_BUOYANCY, PHYSICS, "buoyancy", "sinks, floats or rises as it should")    \
    X(TK_FIG_COLLISION, PHYSICS, "collision", "collisions that keep momentum")        \
    X(TK_FIG_STATE, PHYSICS, "state", "what lies still, in its place after a cut")    \
    X(TK_FIG_SYNC, SOUND, "sync", "contacts with a sound within 80 ms")               \
    X(TK_FIG_STEPS, SOUND, "steps", "steps at the pace of one who walks")             \
    X(TK_FIG_LINES, SOUND, "lines", "lines word for word, and not a word more")       \
    X(TK_FIG_QUIET, SOUND, "quiet", "no word where none is prompted")                 \
    X(TK_FIG_VOICE, SOUND, "voice", "a line by the voice of who is to speak")         \
    X(TK_FIG_LIPS, SOUND, "lips", "lips in step with what is said, not in noir")      \
    X(TK_FIG_SCAPE, SOUND, "scape", "the soundscape of the prompted set")             \
    X(TK_FIG_SAME, CUTS, "same_after_cut", "object")                                  \
    X(TK_FIG_SAME_FACE, CUTS, "face_after_cut", "face")                               \
    X(TK_FIG_SAME_CLOTHES, CUTS, "clothes_after_cut", "clothes")                      \
    X(TK_FIG_SAME_VOICE, CUTS, "voice_after_cut", "voice")                            \
    X(TK_FIG_SAME_SET, CUTS, "set_after_cut", "set")                                  \
    X(TK_FIG_SAME_SCAPE, CUTS, "scape_after_cut", "soundscape")                       \
    X(TK_FIG_STORY_OBJECT, STORY, "object_in_story", "object")                        \
    X(TK_FIG_STORY_FACE, STORY, "face_in_story", "face")                              \
    X(TK_FIG_STORY_CLOTHES, STORY, "clothes_in_story", "clothes")                     \
    X(TK_FIG_STORY_VOICE, STORY, "voice_in_story", "voice")                           \
    X(TK_FIG_STORY_SET, STORY, "set_in_story", "set")                                 \
    X(TK_FIG_STORY_SCAPE, STORY, "scape_in_story", "soundscape")                      \
    X(TK_FIG_DRIFT, STORY, "drift", "colours of a shot that is told again")

typedef enum tk_figure {
#define X(figure, section, name, words) figure,
    TK_FIGURE_MAP(X)
#undef X
        TK_FIGURES
} tk_figure;

// How far apart two things are that belong together: medians with quartiles.
// X(offset, name in reports, width of a bin, words)
#define TK_OFFSET_MAP(X)                                                               \
    X(TK_OFF_CONTACT, "contact_ms", 5, "ms from a contact to its sound, median")       \
    X(TK_OFF_LIPS, "lips_ms", 10, "ms by which sound is behind lips, median")          \
    X(TK_OFF_TOGETHER, "lips_together", 0.02, "correlation of lips and sound, median") \
    X(TK_OFF_DRIFT, "drift_colours", 0.005, "colours gone when told again, of 1, median")

typedef enum tk_offset {
#define X(offset, name, bin, words) offset,
    TK_OFFSET_MAP(X)
#undef X
        TK_OFFSETS
} tk_offset;
enum { TK_OFFSET_BINS = 101 }; // the middle one is about 0

typedef struct tk_figures { // sums over clips, in whole numbers: hits of tries
    double hits[TK_FIGURES], of[TK_FIGURES];
    double offset[TK_OFFSETS][TK_OFFSET_BINS]; // how many lay there
} tk_figures;

static inline void tk_figures_count(tk_figures *f, tk_figure k, int64_t hits, int64_t of)
{
    f->hits[k] += (double)hits;
    f->of[k] += (double)of;
}
// In the offset's unit; what is beyond the bins lies in the outermost.
void tk_figures_apart(tk_figures *f, tk_offset k, double by);
void tk_figures_add(tk_figures *to, const tk_figures *f);
// Mean over the figures that there is something to tell of; NaN if there is none.
double tk_figures_score(const tk_figures *f);

// Where the share lies with 95% certainty (Wilson 1927); 0 to 1 of no tries.
typedef struct tk_interval {
    double low, high;
} tk_interval;
tk_interval tk_figures_interval(double hits, double of);
// A part (0.5: the median) of the offsets lies below that; NaN of none.
double tk_figures_quantile(const tk_figures *f, tk_offset k, double part);

// Columns side by side, a row for each figure that any of them tells of, under their sections.
typedef struct tk_column_of_figures {
    const char *name;
    const tk_figures *figures;
} tk_column_of_figures;
void tk_figures_print(int n, const tk_column_of_figures *column);
// {name: {section, what, COLUMN: {share, low, high, hits, of}, ...}, ...}, offsets as {what,
// COLUMN: {median, low, high, of}}, low and high being quartiles; NULL: out of memory.
json_t *tk_figures_report(int n, const tk_column_of_figures *column);
