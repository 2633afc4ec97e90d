// SPDX-License-Identifier: Apache-2.0
// The clips of a gallery: which files are shown, what is told of them, and why others are not.
//
// A file is looked at after it was taken into the site, so that what is judged is what is shown. A
// clip is shown if its manifest holds (and its signer is trusted, where anchors are given), it was
// made by talkie, it bears the mark (where a key is given), everybody in it still consents (where a
// store is given), and neither it nor anything it was made from was taken down. `asks` in clips.c
// has these questions in order; one more is a row there.
#pragma once
#include "core/config/config.h"
#include "infer/cameo/store.h"
#include "infer/gallery/site.h"
#include "infer/gallery/takedown.h"
#include "infer/mark/key.h"
#include "infer/provenance/proof.h"
#include <jansson.h>

enum {
    TK_GALLERY_FILES = 20000, // MP4 files of a folder; a page of more could not be scrolled
    TK_GALLERY_SHOTS = 1000   // of a clip, that the page tells of
};

typedef struct tk_gallery {
    const char *anchors; // PEM file of whom to trust; "" = nobody was named
    bool marks;          // the mark under `key` is asked for
    tk_mark_key key;
    bool consents;        // people in clips are asked for,
    tk_cameo_store store; // ... here
    tk_takedown takedown;
    json_t *shown;    // list of what is told of each clip, see docs/gallery.md
    json_t *left_out; // list of {name, why}
    json_t *known;    // number of each clip, and its claim with the signer -> its name
    tk_arena arena;
} tk_gallery;

// By provenance.anchors, watermark.key, consent.store and gallery.takedown, whose files are read:
// TK_INPUT where one is not what it should be.
tk_status tk_gallery_open(tk_gallery *g, const tk_config *c);
void tk_gallery_close(tk_gallery *g); // fine after open failed

// One file of the folder: into the site, and to `shown`; or to `left_out`. Fails only for what is
// not the file's fault.
tk_status tk_gallery_add(tk_gallery *g, const char *path, tk_site *site);
// clips.js: all that the page knows, as a script, since pages opened from a file may read nothing
// else. Nothing that a clip says ends the script or its strings.
tk_status tk_gallery_put_script(const tk_gallery *g, tk_site *site);

// MP4 files in a folder and in folders below it, in order of their paths, which begin with it;
// names that begin with a dot, links to folders and sites are passed by.
tk_status tk_gallery_find(const char *folder, tk_arena *a, char ***path, int64_t *n);
