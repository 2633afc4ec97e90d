// SPDX-License-Identifier: Apache-2.0
#include "infer/verify.h"
#include "core/base/digest.h"
#include "core/base/log.h"
#include "core/base/utf8.h"
#include "infer/mark/find.h"
#include "infer/provenance/proof.h"
#include "train/run/report.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

// ---- in words ----------------------------------------------------------------------------------

static void tell_ingredients(const tk_proof *f, int k, int depth, bool told[]);

static void tell_manifest_below(const tk_proof *f, const tk_told_ingredient *s, int depth,
                                bool told[])
{
    const tk_told_manifest *m = &f->manifest[s->manifest];
    printf("%*ssigned by %s, issued by %s%s%s\n", 2 * depth + 2, "", *m->signer ? m->signer : "?",
           *m->issuer ? m->issuer : "?", m->trusted ? ", who is trusted" : "",
           told[s->manifest] ? "; see above" : "");
    if (!told[s->manifest]) tell_ingredients(f, s->manifest, depth + 1, told);
}

// Each manifest once: those of anybody's may go in circles.
static void tell_ingredients(const tk_proof *f, int k, int depth, bool told[])
{
    const tk_told_manifest *m = &f->manifest[k];
    told[k] = true;
    for (int i = 0; i < m->n; i++) {
        const tk_told_ingredient *s = &m->ingredient[i];
        const char *change = tk_proof_change(m, i);
        printf("%*sfrom %s (%s%s%s)%s%s%s%s\n", 2 * depth, "", *s->title ? s->title : "?",
               *s->relation ? s->relation : "?", *s->type ? ", " : "", s->type,
               *s->words ? ": " : "", s->words, *change ? ": " : "", change);
        if (s->manifest >= 0) tell_manifest_below(f, s, depth, told);
    }
}

static void tell_signer(const tk_told_manifest *m, bool anchors)
{
    printf("  signed by %s, issued by %s: %s\n", *m->signer ? m->signer : "?",
           *m->issuer ? m->issuer : "?",
           m->trusted ? "trusted"
           : anchors  ? "not trusted, leads to none of provenance.anchors"
                      : "whom to trust was not said (provenance.anchors)");
}

static void tell_proof(const char *path, const tk_proof *f, bool anchors)
{
    bool told[TK_MANIFESTS] = {false};
    printf("%s: manifest: %s\n", path, tk_proof_state_name(f->state));
    for (int i = 0; i < f->faults; i++)
        printf("  %s: %s%s%s%s\n", f->fault[i].code, f->fault[i].words,
               *f->fault[i].where ? " (" : "", f->fault[i].where, *f->fault[i].where ? ")" : "");
    if (f->n == 0) return;
    tell_signer(&f->manifest[0], anchors);
    printf("  %s, made by %s%s%s\n", *f->manifest[0].title ? f->manifest[0].title : "?",
           *f->manifest[0].generator ? f->manifest[0].generator : "?",
           *f->manifest[0].source ? ", " : "", f->manifest[0].source);
    tell_ingredients(f, 0, 2, told);
}

static void tell_part(const char *where, const tk_mark_found *f)
{
    char turned[40] = "";
    if (!f->looked) {
        printf("  %s: nothing to look at\n", where);
        return;
    }
    if (f->turned) snprintf(turned, sizeof turned, ", turned by %d degrees", f->turned);
    printf("  %s: %s, p <= 1e%+.0f (%.1f deviations, best of %.3g tries; scale %.2f, speed "
           "%.2f%s%s)\n",
           where, tk_mark_is_present(f) ? "found" : "not found", ceil(f->log10p), f->z, f->tries,
           f->scale, f->speed, f->mirrored ? ", mirrored" : "", turned);
}

static void tell_mark(const char *path, const tk_mark_report *m)
{
    printf("%s: mark: %s\n", path, m->present ? "found" : "not found");
    tell_part("picture", &m->picture);
    tell_part("sound", &m->sound);
    if (m->says)
        printf("  it says %0*" PRIx64 " (%d bits)\n", m->says->message.small ? 4 : 16,
               m->says->message.payload, m->says->message.small ? 16 : 64);
    else if (m->present)
        printf("  what it says cannot be read\n");
}

// ---- as JSON -----------------------------------------------------------------------------------

static json_t *ingredient_object(const tk_told_ingredient *s)
{
    json_t *manifest = s->manifest < 0 ? json_null() : json_integer(s->manifest);
    return json_pack("{s:s, s:s, s:s, s:s, s:o}", "title", s->title, "relationship", s->relation,
                     "type", s->type, "description", s->words, "manifest", manifest);
}

static json_t *change_object(const tk_told_change *c)
{
    json_t *shots = json_array();
    for (int i = 0; i < c->shots; i++) json_array_append_new(shots, json_integer(c->shot[i]));
    return json_pack("{s:i, s:s, s:s, s:s, s:o}", "ingredient", c->ingredient, "change", c->words,
                     "strength", c->strength, "kept", c->kept, "shots", shots);
}

static json_t *taken_list(const tk_told_manifest *m)
{
    json_t *all = json_array();
    for (int i = 0; i < m->takes; i++) {
        const tk_told_change *t = &m->taken[i];
        json_t *as = json_array();
        for (int k = 0; k < t->shots; k++) json_array_append_new(as, json_integer(t->shot[k]));
        json_array_append_new(all, json_pack("{s:i, s:s, s:o}", "ingredient", t->ingredient,
                                             "change", t->words, "as", as));
    }
    return all;
}

static json_t *hash_text(const uint8_t *x)
{
    char text[65];
    return x ? json_string(tk_bytes_hex(x, 32, text)) : json_null();
}

static json_t *told_object(const tk_told_manifest *m)
{
    json_t *from = json_array(), *change = change_object(&m->change);
    if (m->change.ingredient < 0) {
        json_decref(change);
        change = json_null();
    }
    for (int i = 0; i < m->n; i++)
        json_array_append_new(from, ingredient_object(&m->ingredient[i]));
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:o, s:o, s:o, s:o}", "label", m->label,
                     "title", m->title, "generator", m->generator, "source", m->source, "signer",
                     m->signer, "issuer", m->issuer, "trusted", (int)m->trusted, "ingredients",
                     from, "remix", change, "taken", taken_list(m), "latents",
                     hash_text(m->latents));
}

static json_t *proof_object(const tk_proof *f)
{
    json_t *faults = json_array(), *told = json_array();
    for (int i = 0; i < f->faults; i++)
        json_array_append_new(faults, json_pack("{s:s, s:s, s:s}", "code", f->fault[i].code, "in",
                                                f->fault[i].where, "words", f->fault[i].words));
    for (int i = 0; i < f->n; i++) json_array_append_new(told, told_object(&f->manifest[i]));
    return json_pack("{s:s, s:o, s:o}", "state", tk_proof_state_name(f->state), "faults", faults,
                     "lineage", told);
}

// What a part says: null where it is not found or cannot be read.
static json_t *payload_object(const tk_mark_found *f)
{
    char digits[TK_MARK_DIGITS];
    if (!f || !f->said || !tk_mark_is_present(f)) return json_null();
    return json_string(tk_mark_say(&f->message, digits));
}

static json_t *found_object(const tk_mark_found *f)
{
    if (!f->looked) return json_null();
    return json_pack("{s:b, s:o, s:f, s:f, s:f, s:f, s:f, s:b, s:i}", "present",
                     (int)tk_mark_is_present(f), "payload", payload_object(f), "log10_p", f->log10p,
                     "deviations", f->z, "tries", f->tries, "scale", f->scale, "speed", f->speed,
                     "mirrored", (int)f->mirrored, "turned", f->turned);
}

static json_t *mark_object(const tk_mark_report *m)
{
    if (!m) return json_null();
    return json_pack("{s:b, s:o, s:o, s:o}", "present", (int)m->present, "payload",
                     payload_object(m->says), "picture", found_object(&m->picture), "sound",
                     found_object(&m->sound));
}

static tk_status write_proof(const char *output, const char *path, const tk_proof *f,
                             const tk_mark_report *m, tk_arena *a)
{
    if (!*output) return TK_OK;
    char *name = tk_arena_printf(a, "%s", path);
    if (!name) return TK_FAIL(TK_MEMORY, "out of memory for %s", output);
    tk_utf8_clean(name, strlen(name)); // a file may be named by any bytes
    return tk_report_write(output, json_pack("{s:s, s:i, s:s, s:o, s:o}", "format", "talkie-verify",
                                             "version", 1, "file", name, "manifest",
                                             proof_object(f), "mark", mark_object(m)));
}

// ---- the command -------------------------------------------------------------------------------

static tk_status conclude_proof(const char *path, const tk_proof *f, bool anchors)
{
    switch (f->state) {
    case TK_PROOF_NONE:
        return TK_FAIL(TK_DIFFERENT,
                       "%s has no manifest: nothing says where it comes from, or it was taken out",
                       path);
    case TK_PROOF_INVALID:
        return TK_FAIL(TK_DIFFERENT, "%s: its manifest does not hold: %s (%s)", path,
                       f->fault[0].words, f->fault[0].code);
    case TK_PROOF_VALID:
        if (!anchors) return TK_OK;
        return TK_FAIL(TK_DIFFERENT,
                       "%s: its manifest holds, but its signer leads to none of "
                       "provenance.anchors (signingCredential.untrusted)",
                       path);
    default:
        return TK_OK;
    }
}

// The mark is what was asked for: a manifest that is gone says nothing against it.
static tk_status conclude_mark(const char *path, const tk_proof *f, const tk_mark_report *m,
                               bool anchors)
{
    if (!m->present)
        return TK_FAIL(TK_DIFFERENT,
                       "%s bears no mark of this key that could be told from chance (p <= 1e-6)",
                       path);
    return f->state == TK_PROOF_NONE && !anchors ? TK_OK : conclude_proof(path, f, anchors);
}

// Who asks after the mark may ask in files that have no room for a manifest.
static tk_status read_manifest(const tk_config *c, const char *path, tk_arena *a, tk_proof *f)
{
    char head[8] = {0};
    int64_t bytes;
    int fd;
    TK_TRY(tk_file_open(path, &fd, &bytes));
    const tk_status st = bytes >= 8 ? tk_pread_all(fd, path, head, sizeof head, 0) : TK_OK;
    close(fd);
    TK_TRY(st);
    if (*c->watermark.key && !*c->provenance.anchors && memcmp(head + 4, "ftyp", 4)) return TK_OK;
    return tk_proof_read(path, c->provenance.anchors, a, f);
}

tk_status tk_verify_ask(tk_wrong *w, const tk_invocation *in, int ranks)
{
    static const tk_file_kind kind = {
        .name = "report", .at = 0, .head = "{", .words = "\"talkie-verify\""};
    const tk_config *c = &in->config;
    tk_mark_key key;
    (void)ranks; // one works
    if (*c->provenance.anchors) tk_wrong_unread(w, "provenance.anchors", c->provenance.anchors);
    if (*c->watermark.key)
        TK_TRY(tk_wrong_with(w, "watermark.key", tk_mark_key_read(c->watermark.key, &key)));
    if (!*c->output) return TK_OK;
    return tk_wrong_with(w, "output", tk_file_check_output(c->output, &kind, 1, in->files));
}

static tk_status verify_clip(const tk_invocation *in, tk_arena *a)
{
    const tk_config *c = &in->config;
    const char *path = in->files[0], *output = c->output, *anchors = c->provenance.anchors;
    const bool marks = *c->watermark.key;
    tk_mark_report mark;
    tk_mark_key key;
    tk_proof *f;
    TK_ARENA_NEW(f, a, 1);
    if (marks) TK_TRY(tk_mark_key_read(c->watermark.key, &key));
    TK_TRY(read_manifest(c, path, a, f));
    if (marks) TK_TRY(tk_mark_find(path, key, INFINITY, &mark));
    tell_proof(path, f, *anchors != 0);
    if (marks) tell_mark(path, &mark);
    TK_TRY(write_proof(output, path, f, marks ? &mark : NULL, a));
    return marks ? conclude_mark(path, f, &mark, *anchors != 0)
                 : conclude_proof(path, f, *anchors != 0);
}

tk_status tk_verify_command(tk_comm *world, tk_invocation *in)
{
    tk_arena a;
    tk_status st = TK_OK;
    tk_arena_init(&a, 0);
    if (world->rank == 0) st = verify_clip(in, &a);
    tk_arena_free(&a);
    return tk_agree(world, st);
}
