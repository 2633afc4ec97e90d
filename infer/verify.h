// SPDX-License-Identifier: Apache-2.0
// talkie verify FILE.mp4 [-o FILE.json] [provenance.anchors=FILE.pem] [watermark.key=FILE]: what a
// clip says of where it comes from, and whether that holds (docs/provenance.md); with a key whether
// it is marked under it (docs/watermark.md).
#pragma once
#include "core/config/command.h"

// tk_command.ask: anchors and a key that can be read, a report that can be written.
tk_asks tk_verify_ask;
// Collective; rank 0 reads and tells. TK_OK: all that is asked for holds; TK_DIFFERENT: it does
// not, or there is nothing to hold. With anchors the signer must lead to one of them; with a key
// the mark must be there, and the manifest may be gone.
tk_status tk_verify_command(tk_comm *world, tk_invocation *in);
