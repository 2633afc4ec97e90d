// SPDX-License-Identifier: Apache-2.0
// talkie parity GOLDEN: loads a golden file (weights, inputs, outputs and gradients of a small
// instance computed by the reference implementation; DESIGN in MODEL.md, "Parity"), runs this model
// forward and backward on the mesh and compares.
#pragma once
#include "core/config/command.h"

// Prints the relative errors (norm of difference / norm) of the outputs and of every weight
// gradient. TK_NUMERIC when an output is off by more than 1e-5 or a gradient by more than 1e-4.
tk_status tk_parity_command(tk_comm *world, tk_invocation *in);
