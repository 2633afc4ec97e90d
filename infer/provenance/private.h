// SPDX-License-Identifier: Apache-2.0
// A private key of P-256 out of a PEM file ("PRIVATE KEY" or "EC PRIVATE KEY"), of which nothing is
// left in memory that a core dump has. Internal to infer/provenance.
#pragma once
#include "core/base/status.h"
#include <openssl/evp.h>

// TK_INPUT, naming provenance.key, where others may read the file (tk_secret_read), it is encrypted
// or no such key. The caller frees *out.
tk_status tk_private_read(const char *path, EVP_PKEY **out);
