// SPDX-License-Identifier: Apache-2.0
// Film: the pictures and sounds of a scene (data/scene/scene.h), and nothing else.
//
// Pure functions of their arguments: the same bytes on any thread, in any order. What is drawn lies
// where tk_scene_view_at and tk_scene_project say; sounds begin at the sample of their event.
// People speak by `speech`, which was opened at the media's sample rate; it is not needed (NULL)
// for scenes in which nobody does.
#pragma once
#include "data/scene/scene.h"
#include "data/speech/speak.h"

// Frame i shows time i / fps. rgb: (frames, height, width, 3).
tk_status tk_film_render(const tk_scene *s, const tk_media_config *m, tk_speech *speech,
                         int64_t frames, uint8_t *rgb);

// pcm: (samples, channels) in [-1, 1].
tk_status tk_film_sound(const tk_scene *s, const tk_media_config *m, tk_speech *speech,
                        int64_t samples, float *pcm);

// How open mouths are drawn, 0 to 1: open (frames, s->n_people).
tk_status tk_film_mouths(const tk_scene *s, tk_speech *speech, int64_t frames, double fps,
                         float *open);

// References: a character's face alone before a plain wall, rgb: (side, side, 3); and the voice
// alone saying the words of `text`, at the rate `speech` was opened with, from the first sample on
// and then silence, pcm: (samples). TK_INPUT for words that it does not know.
tk_status tk_film_portrait(const tk_character *who, tk_style style, int64_t side, uint8_t *rgb);
tk_status tk_film_voice(const tk_character *who, tk_speech *speech, const char *text,
                        int64_t samples, float *pcm);

// Colours as they are drawn where the light falls straight, by tk_colour_name.
extern const uint8_t tk_film_colour[TK_COLOURS][3];
