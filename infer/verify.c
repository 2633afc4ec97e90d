// SPDX-License-Identifier: Apache-2.0
#include "infer/verify.h"
#include "core/base/log.h"
#include "core/base/utf8.h"
#include "infer/provenance/proof.h"
#include "train/run/report.h"
#include <stdio.h>
#include <string.h>

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
        printf("%*sfrom %s (%s%s%s)%s%s\n", 2 * depth, "", *s->title ? s->title : "?",
               *s->relation ? s->relation : "?", *s->type ? ", " : "", s->type,
               *s->words ? ": " : "", s->words);
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

// ---- as JSON -----------------------------------------------------------------------------------

static json_t *ingredient_object(const tk_told_ingredient *s)
{
    json_t *manifest = s->manifest < 0 ? json_null() : json_integer(s->manifest);
    return json_pack("{s:s, s:s, s:s, s:s, s:o}", "title", s->title, "relationship", s->relation,
                     "type", s->type, "description", s->words, "manifest", manifest);
}

static json_t *told_object(const tk_told_manifest *m)
{
    json_t *from = json_array();
    for (int i = 0; i < m->n; i++)
        json_array_append_new(from, ingredient_object(&m->ingredient[i]));
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:o}", "label", m->label, "title",
                     m->title, "generator", m->generator, "source", m->source, "signer", m->signer,
                     "issuer", m->issuer, "trusted", (int)m->trusted, "ingredients", from);
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

static tk_status write_proof(const char *output, const char *path, const tk_proof *f, tk_arena *a)
{
    if (!*output) return TK_OK;
    char *name = tk_arena_printf(a, "%s", path);
    if (!name) return TK_FAIL(TK_MEMORY, "out of memory for %s", output);
    tk_utf8_clean(name, strlen(name)); // a file may be named by any bytes
    return tk_report_write(output,
                           json_pack("{s:s, s:i, s:s, s:o}", "format", "talkie-verify", "version",
                                     1, "file", name, "manifest", proof_object(f)));
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

static tk_status verify_clip(const tk_invocation *in, tk_arena *a)
{
    static const tk_file_kind kind = {
        .name = "report", .at = 0, .head = "{", .words = "\"talkie-verify\""};
    const tk_config *c = &in->config;
    const char *path = in->files[0], *output = c->output, *anchors = c->provenance.anchors;
    tk_proof *f;
    TK_ARENA_NEW(f, a, 1);
    if (*output) TK_TRY(tk_file_check_output(output, &kind, 1, in->files));
    TK_TRY(tk_proof_read(path, anchors, a, f));
    tell_proof(path, f, *anchors != 0);
    TK_TRY(write_proof(output, path, f, a));
    return conclude_proof(path, f, *anchors != 0);
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
