// SPDX-License-Identifier: Apache-2.0
// talkie cameo list|log|challenge|enroll|grant|revoke [@HANDLE] [FILM|FACE VOICE] [key=value ...]
#pragma once
#include "core/config/command.h"

tk_status tk_cameo_command(tk_comm *world, tk_invocation *in);
