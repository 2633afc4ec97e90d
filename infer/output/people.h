// SPDX-License-Identifier: Apache-2.0
// Who is in clips that a storyboard goes on from, and what is kept of clips of somebody who is
// gone.
//
// A clip tells who is in it twice: in the JSON beside it (`cameos`), and in its manifest, where
// people are ingredients, with all manifests of what it was made from. Both count, also where the
// film is no longer what they were made for: who was in it then is seen in it now. A clip that was
// made from others names those who are in them, so that its JSON alone tells of all before it.
// Where both are gone its mark may still tell, by the logs of cameos.
#pragma once
#include "core/config/wrong.h"
#include "infer/cameo/use.h"
#include "infer/cameo/wish.h"
#include "infer/provenance/proof.h"

typedef struct tk_person_in {
    tk_handle who;
    const char *file; // the first of the storyboard's that tells it, as that names it
} tk_person_in;

typedef struct tk_people_in { // all files of a storyboard
    tk_person_in *person;     // (n) each once
    int n;
    const char **ours;  // (n_ours) films that were made here: they bear the mark, or, where its key
    int n_ours;         // is missing, are what their JSON or their manifest says
    const char **shows; // (n_shows) files that somebody is in
    int n_shows;
} tk_people_in;

// A person among a manifest's ingredients has the handle as its title, "@ada", and these words: the
// paper is the hash of what the person is in it by. NULL: out of memory.
char *tk_people_words(const char *paper, bool inherited, tk_arena *a);
bool tk_people_is_person(const tk_told_ingredient *x);
const char *tk_people_paper(const tk_told_ingredient *x); // of a person; "": its words name none

// In any file of a storyboard: remixed, seen, heard or shown to the model; the picture of a clip,
// OUTPUT.png, counts as the clip. Each person once. A line of *w where who is in it is said and
// cannot be read, and for more than TK_INHERITED.
// Of a film or a sound also who its mark says was in it (stripped.h), whatever else tells of it; a
// line where there is a mark that says nothing readable, and nothing else tells of this very file.
tk_status tk_people_find(tk_wrong *w, const tk_config *c, tk_arena *a, tk_people_in *out);

// Of a clip that names this person, by its path without suffix, the latents go, which can be gone
// on from; what they are is told by the digest in the JSON. Said; what is not there, or no file of
// that clip's, is left. Only TK_MEMORY fails.
tk_status tk_people_forget(const char *clip, const tk_handle *who);
// The same of all clips that a person's history names, with the windows of those never finished.
tk_status tk_people_forget_all(const tk_history *h, const tk_handle *who);
// Takes up what owners wish who cannot reach the store (infer/cameo/wish.h), with what is kept of
// clips of those who revoke. What is refused is warned of.
tk_status tk_people_take_wishes(const tk_cameo_store *s);
