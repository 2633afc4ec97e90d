// SPDX-License-Identifier: Apache-2.0
// In the place of the files that need libcbor and OpenSSL (make PROVENANCE=0): nothing is signed.
#include "infer/provenance/cose.h"
#include "infer/provenance/manifest.h"
#include "infer/provenance/proof.h"

static tk_status no_signatures(const char *path)
{
    return TK_FAIL(TK_INPUT,
                   "%s: this talkie was built without signatures (make PROVENANCE=0): it signs and "
                   "verifies no clip",
                   path);
}

tk_status tk_signer_open(const tk_provenance_config *c, tk_signer **out)
{
    *out = NULL;
    return no_signatures(c->key);
}

tk_status tk_signer_ask(tk_wrong *w, const tk_provenance_config *c)
{
    return tk_wrong_with(w, "provenance.key", no_signatures(c->key));
}

tk_status tk_signer_hash(const tk_provenance_config *c, uint8_t hash[TK_CERTIFICATE_HASH])
{
    (void)hash;
    return no_signatures(c->chain);
}

void tk_signer_close(tk_signer *s)
{
    (void)s; // there is none
}

tk_status tk_manifest_room(const tk_signer *by, const tk_manifest *m, int64_t *bytes)
{
    (void)by, (void)m;
    *bytes = 0;
    return no_signatures("");
}

tk_status tk_manifest_put(const tk_signer *by, const tk_manifest *m, int fd, const char *path)
{
    (void)by, (void)m, (void)fd;
    return no_signatures(path);
}

tk_status tk_anchors_open(const char *path, tk_anchors **out)
{
    *out = NULL;
    return no_signatures(*path ? path : "provenance.anchors");
}

void tk_anchors_close(tk_anchors *a)
{
    (void)a; // there are none
}

tk_status tk_mp4_hash_whole(int fd, const char *path, int64_t bytes, uint8_t hash[TK_MP4_HASH])
{
    (void)fd, (void)bytes, (void)hash;
    return no_signatures(path);
}

tk_status tk_proof_read(const char *path, const char *anchors, tk_arena *a, tk_proof *out)
{
    (void)anchors, (void)a;
    *out = (tk_proof){0};
    return no_signatures(path);
}

const char *tk_proof_change(const tk_told_manifest *m, int i)
{
    (void)m, (void)i;
    return "";
}

const char *tk_proof_state_name(tk_proof_state s)
{
    (void)s;
    return "none";
}
