// SPDX-License-Identifier: Apache-2.0
// The world's scenes: who and what is where, how it moves, who says what, how it is filmed and cut,
// and what the captions say. A pure function of (seed, index): endless data with exact truth.
//
// A scene plays in one set, in one plane: metres, x to the right, y up, the floor (or the water's
// surface) at 0; backdrops lie behind the plane and move less than it as the camera pans. Time is
// in seconds from the clip's begin and runs on through the cuts: what was knocked over lies there
// in the next shot. Nothing here draws or sounds; data/film does, from these numbers alone.
#pragma once
#include "core/config/config.h"
#include "data/speech/speak.h"

typedef enum tk_set { TK_SET_ROOM, TK_SET_STREET, TK_SET_BEACH, TK_SET_WORKSHOP, TK_SETS } tk_set;
typedef enum tk_style { TK_STYLE_NATURAL, TK_STYLE_NOIR, TK_STYLE_ANIME, TK_STYLES } tk_style;
typedef enum tk_kind { TK_BALL, TK_CRATE, TK_BALLOON, TK_KINDS } tk_kind;
typedef enum tk_size { TK_SIZE_WIDE, TK_SIZE_MEDIUM, TK_SIZE_CLOSE, TK_SIZES } tk_size;
typedef enum tk_move { TK_MOVE_NONE, TK_MOVE_PAN, TK_MOVE_PUSH, TK_MOVES } tk_move;
enum {
    TK_COLOURS = 6,
    TK_PLACES = 3, // left, middle, right of the frame
    TK_SCENE_SHOTS = 8,
    TK_SCENE_THINGS = 2,
    TK_SCENE_PEOPLE = 2,
    TK_SCENE_LINES = 12, // lines spoken
    TK_SCENE_WORDS = 3,
    TK_SCENE_EVENTS = 128,
    TK_SCENE_ARCS = 160, // of all things
    TK_SCENE_STEPS = 32  // pieces of people's ways
};
extern const char *const tk_set_name[TK_SETS], *const tk_style_name[TK_STYLES],
                                                   *const tk_kind_name[TK_KINDS],
                                                       *const tk_size_name[TK_SIZES],
                                                           *const tk_colour_name[TK_COLOURS],
                                                               *const tk_place_name[TK_PLACES];
#define TK_GRAVITY 9.81    // m/s^2
#define TK_STEP_LENGTH 0.4 // metres from footfall to footfall; at one, the feet are that far apart

// Characters (data/scene/cast.c): ten, the last two held out of training (world.held_out).
typedef struct tk_character {
    const char *name, *pronoun; // "Ada", "She"
    int voice;                  // of data/speech
    // how data/film draws them: each person differs from every other in at least three of these
    uint8_t skin[3], hair[3], top[3], bottom[3];
    int hair_style; // 0 bald or cropped, 1 short, 2 long, 3 bun, 4 curls
    int hat;        // 0 none, 1 cap, 2 brimmed; the colour is that of `top`
    bool glasses, beard;
    double height; // metres, hat not counted; a head is a third of it, so that faces can be seen
} tk_character;
enum { TK_CAST = 10, TK_CAST_TRAINED = 8 };
// Besides the cast there are strangers (world.strangers), each in one clip alone: looks are drawn,
// voices are among those of strangers, captions say "someone". So a model that is given faces and
// voices learns to look at them instead of knowing whose they are. Nobody looks like those held
// out.
enum { TK_STRANGER = TK_CAST };
static inline bool tk_is_held_out(int character)
{
    return character >= TK_CAST_TRAINED && character < TK_CAST;
}
// In how many of eight things (colours of skin, hair, clothes; hair, hat, glasses, beard) two
// characters can be told apart.
int tk_characters_apart(const tk_character *a, const tk_character *b);
// What else training does not see under world.held_out = without.
#define TK_HELD_SET TK_SET_WORKSHOP
#define TK_HELD_KIND TK_CRATE
#define TK_HELD_COLOUR 2 // green
extern const tk_character tk_characters[TK_CAST];

// A thing: light ones bounce (balls) and float, heavy ones thud and sink; balloons rise.
typedef struct tk_thing {
    tk_kind kind;
    int colour;
    bool heavy;
    double radius;      // metres (half side of a crate)
    double density;     // over that of water
    double restitution; // speed after an impact over speed before
    double mass;        // kg, from density and size
} tk_thing;

// How a thing moves from time t on, until its next arc begins. Before its first it is not there.
typedef enum tk_law {
    TK_LAW_REST,   // nothing moves
    TK_LAW_FREE,   // constant acceleration (ax, ay): flight, rolling on a floor or down a ramp
    TK_LAW_DRAG,   // velocity goes to (0, vend) at rate k: rising in air, sinking in water
    TK_LAW_BOB,    // damped swing about y = level at rate k and angular frequency w, x slows at k
    TK_LAW_CARRIED // in the hand of person `by`
} tk_law;
typedef struct tk_arc {
    double t, x, y, vx, vy;
    double ax, ay, vend, k, w, level;
    double angle, spin; // radians, radians/s: crates tip over, balls roll
    tk_law law;
    double torque; // change of spin, radians/s^2 (under TK_LAW_FREE)
    int thing, by;
} tk_arc;

// A piece of a person's way: from time t on at x, going at vx (0: stands), looking to -1 left, +1
// right, 0 the camera.
typedef struct tk_step {
    double t, x, vx;
    int person, facing;
} tk_step;

typedef enum tk_event_kind {
    TK_EVENT_IMPACT, // a thing meets the floor, a wall or a ramp
    TK_EVENT_HIT,    // two things collide
    TK_EVENT_SPLASH, // a thing meets the water
    TK_EVENT_STEP,   // a foot meets the floor
    TK_EVENTS
} tk_event_kind;
typedef struct tk_scene_event { // sounds begin at round(t * sample_rate)
    tk_event_kind kind;
    double t, x, speed; // m/s at impact (of approach, for hits)
    int thing, other;   // other: the other thing of a hit, else -1; of steps: the person in `thing`
} tk_scene_event;

typedef struct tk_scene_line { // words spoken by a person, as data/speech says them
    double t, seconds;
    int person, n;
    int word[TK_SCENE_WORDS]; // of data/speech's vocabulary
} tk_scene_line;

// What happens in a shot. Which thing and which person it is about, the shot says; `other` is the
// thing that is hit, or the person spoken to.
typedef enum tk_beat {
    TK_BEAT_LOOK,   // nothing new: what has become of the thing, or the person stands there
    TK_BEAT_DROP,   // a thing falls from above, bounces or lies
    TK_BEAT_RISE,   // a balloon is let go
    TK_BEAT_RAMP,   // a ball rolls down the ramp and on
    TK_BEAT_SPLASH, // a thing falls into the water, sinks or floats
    TK_BEAT_HIT,    // a thing runs into another
    TK_BEAT_LETGO,  // the person lets go what she carries (into the water, up, or to the floor)
    TK_BEAT_SAY,    // the person stands and speaks
    TK_BEAT_WALK,   // the person walks left or right
    TK_BEAT_TURN,   // the person turns
    TK_BEAT_ASK,    // the person asks the other one
    TK_BEAT_ANSWER, // the person answers; a reverse shot
    TK_BEATS
} tk_beat;

// What is seen to become of the shot's thing, and said in the caption.
typedef enum tk_outcome {
    TK_OUTCOME_NONE, // the shot is about a person
    TK_OUTCOME_LIES,
    TK_OUTCOME_BOUNCES,
    TK_OUTCOME_FALLS, // it has not landed yet when the shot ends
    TK_OUTCOME_ROLLS,
    TK_OUTCOME_SLIDES,
    TK_OUTCOME_HITS, // the other thing
    TK_OUTCOME_SINKS,
    TK_OUTCOME_FLOATS,
    TK_OUTCOME_RISES,
    TK_OUTCOMES
} tk_outcome;

typedef struct tk_camera { // what is seen: centre and width of view, metres
    double cx, cy, span;
} tk_camera;

typedef struct tk_shot {
    double start, seconds;
    tk_style style;
    bool tells; // style and set, in its caption
    tk_size size;
    tk_move move;
    bool reverse;       // from the other side: the set's other wall is behind
    tk_camera from, to; // at the shot's begin and end, even between
    tk_beat beat;
    tk_outcome outcome;
    int person, thing, other; // what the shot is about; -1 none
    int place;                // where the thing is let go, of the frame; -1: not said
    int toward;               // walks, turns: -1 left, 1 right, 0 to the camera
    int first_line, n_lines;  // spoken in it
    char caption[192];
} tk_shot;

typedef struct tk_scene {
    uint64_t seed;
    int64_t index;
    tk_set set;
    bool ramp;                       // stands in the set: from (ramp_x, ramp_y) down to ramp_end
    double ramp_x, ramp_y, ramp_end; // metres
    double water_from, bed;          // water right of that x (INFINITY: none), its bed's y
    double light;                    // where light comes from: -1 left .. 1 right
    bool silent;                     // the set is not heard
    int n_things, n_people, n_shots, n_lines, n_events, n_arcs, n_steps;
    tk_thing thing[TK_SCENE_THINGS];
    int person[TK_SCENE_PEOPLE];  // characters; TK_STRANGER is `stranger`
    int clothes[TK_SCENE_PEOPLE]; // those of which characters they wear: their own
    tk_character stranger;
    tk_shot shot[TK_SCENE_SHOTS];
    tk_scene_line line[TK_SCENE_LINES];    // in time order, never two at once
    tk_scene_event event[TK_SCENE_EVENTS]; // in time order
    tk_arc arc[TK_SCENE_ARCS];             // in time order
    tk_step step[TK_SCENE_STEPS];          // in time order
} tk_scene;

// Frames of a clip: s->seconds cut to whole latent frames, at least one.
int64_t tk_scene_frames(const tk_world_config *s, const tk_media_config *m, int64_t patch_frames);

// A character of the scene, TK_STRANGER too; who person i is; and whose clothes it wears.
static inline const tk_character *tk_scene_one(const tk_scene *s, int character)
{
    return character == TK_STRANGER ? &s->stranger : &tk_characters[character];
}
static inline const tk_character *tk_scene_character(const tk_scene *s, int i)
{
    return tk_scene_one(s, s->person[i]);
}
static inline const tk_character *tk_scene_dressed(const tk_scene *s, int i)
{
    return tk_scene_one(s, s->clothes[i]);
}

// How long a voice takes to say n words, to within a millisecond a word.
double tk_line_seconds(int voice, const int *word, int n);

// Speech for scenes and films at the media's sample rate. NULL where nobody speaks: without
// world.speech or people, and, which is said once, below 8000 samples a second. Builds without
// speech refuse world.speech.
tk_status tk_scene_open_speech(const tk_world_config *s, const tk_media_config *m, tk_speech **out);
bool tk_scene_speaks(const tk_world_config *c, const tk_media_config *m); // somebody does

// The scene of clip `index`. Cuts fall on latent frames (multiples of patch_frames / fps). People
// speak by `speech`; NULL: nobody does.
tk_status tk_scene_make(const tk_world_config *s, const tk_media_config *m, int64_t patch_frames,
                        tk_speech *speech, uint64_t seed, int64_t index, tk_scene *out);

typedef struct tk_pose { // of a thing
    double x, y, angle;
    bool seen; // false: not there yet
} tk_pose;
tk_pose tk_scene_thing_at(const tk_scene *s, int thing, double t);

typedef struct tk_body {   // of a person
    double x;              // of the feet's middle
    int facing;            // -1, 0, 1
    double turn;           // -1 .. 1: facing, smooth while turning
    double stride;         // phase of the walk, 0 .. 1; a foot lands at 0 and at 0.5; standing: -1
    int carries;           // thing in hand, else -1
    double hand_x, hand_y; // where the carried thing's centre is
    int line;              // being spoken, else -1: the mouth follows tk_scene_line's phones
    double blink;          // 0 open .. 1 shut
} tk_body;
tk_body tk_scene_body_at(const tk_scene *s, int person, double t);

// A person's head as it is drawn, in the plane, metres; hair and hat not counted.
typedef struct tk_face {
    double x, y;                    // centre of the head, an ellipse
    double half_width, half_height; // of the head
    double mouth_x, mouth_y;        // centre of the mouth
    double mouth_width;             // at rest, as seen (narrower when the head is turned)
} tk_face;
tk_face tk_scene_face_at(const tk_scene *s, int person, double t);

int tk_scene_shot_at(const tk_scene *s, double t); // showing at time t
static inline tk_style tk_scene_style_at(const tk_scene *s, double t)
{
    return s->shot[tk_scene_shot_at(s, t)].style;
}
bool tk_scene_in_style(const tk_scene *s, tk_style style); // any shot is
// How the plane is seen at time t in pictures height x width: the centre of the top left pixel is
// (0.5, 0.5).
typedef struct tk_view {
    double cx, cy, half_width, half_height, pixels_per_metre;
} tk_view;
tk_view tk_scene_view_at(const tk_scene *s, int64_t height, int64_t width, double t);
void tk_scene_project(const tk_view *v, double x, double y, double *px, double *py);
