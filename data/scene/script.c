// SPDX-License-Identifier: Apache-2.0
// Which beat fills which shot.
#include "data/scene/camera.h"
#include "data/scene/plot.h"
#include <string.h>

typedef struct choice {
    tk_beat_writer write;
    double weight; // how often it is tried before the others
} choice;

enum { BEATS = 12, TRIES = 12 };

// New things and deeds come before looking on; where something still moves, looking on is worth
// more. What only some sets and clips offer comes first there.
static int list_choices(const tk_plot *p, int k, choice c[BEATS])
{
    const tk_scene *s = p->s;
    const bool room = s->n_things < p->things;
    int n = 0;
    if (room) {
        c[n++] = (choice){tk_beat_drop, s->set == TK_SET_BEACH ? 1 : 2};
        c[n++] = (choice){tk_beat_rise, 1};
        if (s->ramp) c[n++] = (choice){tk_beat_ramp, 6};
        if (s->set == TK_SET_BEACH) c[n++] = (choice){tk_beat_splash, 4};
        if (p->things > 1) c[n++] = (choice){tk_beat_hit, s->n_things == 1 ? 5 : 2.5};
    }
    if (s->n_people > 0) {
        c[n++] = (choice){tk_beat_letgo, 4};
        if (p->speech) c[n++] = (choice){tk_beat_say, 2.2};
        if (p->speech && s->n_people > 1) c[n++] = (choice){tk_beat_ask, 4};
        c[n++] = (choice){tk_beat_walk, 1.5};
        c[n++] = (choice){tk_beat_turn, 0.8};
        c[n++] = (choice){tk_beat_look_at_person, 0.15};
    }
    if (k > 0) c[n++] = (choice){tk_beat_look_at_thing, s->n_people ? 1 : 2};
    return n;
}

static const choice *draw_choice(tk_plot *p, const choice *c, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++) sum += c[i].weight;
    double u = tk_draw(&p->d, 0, sum);
    for (int i = 0; i < n; i++)
        if ((u -= c[i].weight) < 0) return &c[i];
    return &c[n - 1];
}

static bool try_beat(tk_plot *p, int k, tk_beat_writer write)
{
    const tk_scene before = *p->s;
    if (write(p, k) && tk_plot_caption(p, k)) return true;
    *p->s = before;
    return false;
}

static bool write_shot(tk_plot *p, int k)
{
    choice c[BEATS];
    tk_shot *h = &p->s->shot[k];
    h->person = h->thing = h->other = h->place = -1;
    if (k > 0 && p->s->shot[k - 1].beat == TK_BEAT_ASK) {
        for (int i = 0; i < TRIES; i++)
            if (try_beat(p, k, tk_beat_answer)) return true;
        return false;
    }
    const int n = list_choices(p, k, c);
    for (int i = 0; i < TRIES && n > 0; i++)
        if (try_beat(p, k, draw_choice(p, c, n)->write)) return true;
    for (int i = 0; i < TRIES; i++)
        if (try_beat(p, k, tk_beat_look_at_person) || try_beat(p, k, tk_beat_look_at_thing))
            return true;
    return false;
}

bool tk_plot_write(tk_plot *p)
{
    for (int k = 0; k < p->s->n_shots; k++)
        if (!write_shot(p, k)) return false;
    return true;
}
