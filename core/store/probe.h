// SPDX-License-Identifier: Apache-2.0
// Files that could kill the reader are read first by a process that may die.
//
// The HDF5 library trusts the files it reads: a flipped byte of metadata can make it write past its
// buffers, before any check of ours has a turn. So tk_h5_open starts the program anew with PROBE as
// its word, once, and tells that prober the path of every file it opens. The prober forks a process
// for each, under limits of memory and time, which walks all of the file's metadata through the
// library and ends. If it dies, or some of it cannot be read (what lies behind is then unknown),
// the file is damaged. Files that this process made or has probed before are not probed again.
//
//     int main(int argc, char **argv) {
//         if (tk_h5_probing(argc, argv)) return tk_h5_probe_main(); // before anything else
//         tk_h5_probe_by("/proc/self/exe");
#pragma once
#include "core/base/status.h"

// The program whose main() looks as above. Until this is called nothing is probed.
void tk_h5_probe_by(const char *program);
bool tk_h5_probing(int argc, char **argv);
int tk_h5_probe_main(void); // the exit code

// TK_INPUT when reading the file would kill this process; TK_IO when it could not be looked at in
// time, which says nothing of the file. `path` is a regular file.
tk_status tk_h5_probe(const char *path);
void tk_h5_trust(const char *path); // made by this process: not to be probed
