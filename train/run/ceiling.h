// SPDX-License-Identifier: Apache-2.0
// What matrix products reach on this machine: what rates of training and sampling are compared
// with.
#pragma once
#include "core/config/config.h"
#include "core/device/device.h"

// FLOP/s of y (rows, out) = x (rows, in) @ w (out, in)^T, all of type t, on the device, measured
// for about `seconds` through the operator table. 0 on a device that does not compute.
tk_status tk_gemm_rate(tk_device *d, tk_dtype t, int64_t rows, int64_t in, int64_t out,
                       double seconds, double *flops_per_s);
tk_dtype tk_product_type(const tk_config *c); // that the model's products are of
int64_t tk_square_side(tk_device *d); // of a product large enough for the device to be at its best
// The same of such a product: *side cubed.
tk_status tk_square_rate(tk_device *d, tk_dtype t, int64_t *side, double *flops_per_s);

// FLOP/s that oneDNN reaches at best over the linear layers of a block, as this rank computes them
// on `rows` rows of a stream with so many threads: forward, or forward and backward. Measured by
// scripts/gemm_ceiling.c, a program of its own. parallel.tensor must be filled in.
tk_status tk_gemm_ceiling(const tk_config *c, int threads, int64_t rows, bool backward,
                          double *rate);
// What the model's FLOP/s on device d are to be compared with: of the host, the above; of an
// accelerator, the rate of its large square product in the type of train.precision. *words ends
// "... of the 12.3 GFLOP/s that ".
tk_status tk_model_ceiling(tk_device *d, const tk_config *c, int64_t rows, bool backward,
                           double *rate, const char **words);
// TK_NUMERIC when more than the ceiling was reached: such a figure is wrong.
tk_status tk_check_fraction(const char *what, double reached, double ceiling);
