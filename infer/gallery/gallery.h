// SPDX-License-Identifier: Apache-2.0
// talkie gallery CLIPS -o SITE [provenance.anchors=FILE.pem] [watermark.key=FILE]
// [gallery.takedown=FILE.yaml]: a page of the clips in a folder, for a browser without a network
// (docs/gallery.md).
#pragma once
#include "core/config/command.h"

// tk_command.ask: a site that can be written, and none in which the folder lies; anchors, a key and
// a list of what was taken down that can be read.
tk_asks tk_gallery_ask;
// Collective; rank 0 works. TK_INPUT: no such folder, no MP4 file in it, no site of ours at SITE. A
// clip that cannot be shown is left out and named with the reason, on stdout and by the page.
tk_status tk_gallery_command(tk_comm *world, tk_invocation *in);
