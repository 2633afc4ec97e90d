// SPDX-License-Identifier: Apache-2.0
// People who lend their likeness: who they are, for what and to whom they lend it, and what was
// done with it. docs/cameo.md says what this holds against, and what not.
//
//     STORE/server.pub                public key of the server, in hexadecimal digits
//     STORE/wishes/                   what owners who cannot reach the store drop: wish.h
//     STORE/people/ada/card           who enrolled when, hashes of the references; the
//                                     server's signature
//                      face, voice    references, sealed
//                      consent        signed by the registrar
//                      consent.next   a newer one, until the log has its line
//                      log, log.end   infer/cameo/history.h
//     KEYS/server.key                 what the server signs by
//     KEYS/ada.key                    what opens the references of ada; revoking destroys it
//
// What holds of a person is what the log says last: a card or a consent that was once in force and
// is put back is none. Whoever changes anything holds the person's folder locked.
#pragma once
#include "core/config/config.h"
#include "infer/cameo/handle.h"
#include "infer/cameo/history.h"

// ---- uses --------------------------------------------------------------------------------------

enum { TK_USE_FACE = 1, TK_USE_VOICE = 2, TK_USE_REMIX = 4, TK_USES = 3 }; // bits; how many
extern const char *const tk_use_name[TK_USES];
enum { TK_USE_WORDS = 64 };
const char *tk_uses_say(unsigned uses, char words[TK_USE_WORDS]); // "face, voice"

typedef enum tk_reference_kind { TK_CAMEO_FACE, TK_CAMEO_VOICE, TK_CAMEO_KINDS } tk_reference_kind;

struct tk_wish;

// ---- the store ---------------------------------------------------------------------------------

enum { TK_CAMEO_BYTES = 32 << 20, TK_CONSENT_USERS = 64 }; // of a reference; that a consent names

typedef struct tk_cameo_store {
    tk_folder people, keys, wishes; // wishes: not open where there are none, or to look
    tk_seal_pair *server;           // `secret` only where it signs
    tk_secret server_memory;        // that it lies in
    bool signs;
    unsigned char registrar[TK_SEAL_PUBLIC]; // whose signature counts,
    bool has_registrar;                      // ... if anybody's
    char hook[4096];                         // program that is told; "": none
    int64_t uid;                             // whose folder it is
} tk_cameo_store;

typedef enum tk_store_for {
    TK_STORE_TO_LOOK, // the server's public key is enough: nothing is signed
    TK_STORE_TO_USE,  // the server's key is needed
    TK_STORE_TO_MAKE  // the same; folders and the server's key are made where there are none
} tk_store_for;

// By consent.store, consent.keys, consent.registrar and consent.hook. TK_INPUT saying what is
// missing. After a failure there is nothing to close.
tk_status tk_cameo_store_open(const tk_consent_config *c, tk_store_for what, tk_cameo_store *out);
void tk_cameo_store_close(tk_cameo_store *s); // of one that is zero: fine

// ---- a person ----------------------------------------------------------------------------------

typedef struct tk_cameo_card {
    int64_t owner; // uid of who enrolled
    int64_t enrolled;
    char by[32]; // "challenge", "registrar": what was trusted to know the person
    char reference[TK_CAMEO_KINDS][TK_PAPER_HASH]; // of the sealed files; "none"
    char hash[TK_PAPER_HASH];                      // of the card
} tk_cameo_card;

typedef struct tk_consent {
    bool everyone;
    int64_t user[TK_CONSENT_USERS]; // uids
    int n;
    unsigned uses;
    int64_t from, until; // seconds since 1970, UTC; until: the first second that is not covered
    char hash[TK_PAPER_HASH]; // of the paper
} tk_consent;

typedef struct tk_lender { // as the store has it
    tk_handle who;
    tk_folder folder; // locked
    tk_history history;
    bool enrolled, consents; // there is a card, a consent, that the log says is in force
    bool has_key;
    bool forged;        // the consent of the log is not signed by the registrar who counts
    int64_t owner;      // uid of who first enrolled, -1: nobody did; the handle stays theirs
    int64_t since;      // of the last enrolment, seconds since 1970
    bool has_owner_key; // given since then,
    unsigned char owner_key[TK_SEAL_PUBLIC]; // ... by whose signature it may be revoked
    tk_cameo_card card;
    tk_consent consent;
} tk_lender;

// Verifies all there is of the person. TK_INPUT where there is nobody of that handle, or where what
// is there does not hold. The caller closes *out also after a failure; its memory is in `a`.
tk_status tk_lender_open(const tk_cameo_store *s, const tk_handle *who, bool writes, tk_arena *a,
                         tk_lender *out);
void tk_lender_close(tk_lender *p);

typedef enum tk_standing { // what a paper by which a clip was made is to the person now
    TK_STANDING_NONE,      // the log knows none of this hash
    TK_STANDING_PAST,      // it was of an enrolment that was revoked since
    TK_STANDING_NOW        // it is, or was, of the enrolment in force
} tk_standing;
tk_standing tk_lender_standing(const tk_lender *p, const char *paper);

// ---- what is done with them --------------------------------------------------------------------

typedef struct tk_cameo_new {
    tk_handle who;
    int64_t owner;                         // uid
    const char *by;                        // see tk_cameo_card
    const void *reference[TK_CAMEO_KINDS]; // files of media; NULL: none
    size_t bytes[TK_CAMEO_KINDS];
} tk_cameo_new;

// With a key of its own. TK_INPUT where the handle is another owner's, or is enrolled already.
tk_status tk_cameo_enroll(const tk_cameo_store *s, const tk_cameo_new *x);
// In the place of any consent before; `registrar`: whose public key is the store's, else TK_INPUT.
tk_status tk_cameo_grant(const tk_cameo_store *s, const tk_handle *who, const tk_consent *x,
                         const tk_seal_pair *registrar);
// Destroys the key, then all that it opened. Done again, it ends what a dead run began. *done (may
// be NULL): whether it is revoked now, which it is also where TK_INPUT tells what did not hold
// before.
tk_status tk_cameo_revoke(const tk_cameo_store *s, const tk_handle *who, int64_t user, bool *done);
// The same by the signed wish of its owner (wish.h), which is verified first. One that was taken up
// already, and nothing happened since: fine. *judged: whether it could be told if the wish counts,
// which takes a log that holds; TK_INPUT is of the wish only then.
tk_status tk_cameo_revoke_as_wished(const tk_cameo_store *s, const struct tk_wish *w, bool *judged);
// Wishes signed by this key count from now on, in the place of any before, until it is revoked.
// TK_INPUT where `owner` is not whose cameo it is.
tk_status tk_cameo_give_key(const tk_cameo_store *s, const tk_handle *who, int64_t owner,
                            const unsigned char key[TK_SEAL_PUBLIC]);
// Handles of all who ever enrolled, in order of their bytes.
tk_status tk_cameo_list(const tk_cameo_store *s, tk_arena *a, tk_handle **out, int *n);
