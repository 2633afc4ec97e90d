// SPDX-License-Identifier: Apache-2.0
// talkie sample STORYBOARD.yaml|JOBS.yaml [-o FILE] [key=value ...]
#pragma once
#include "core/config/command.h"

tk_status tk_sample_command(tk_comm *world, tk_invocation *in);
