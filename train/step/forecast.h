// SPDX-License-Identifier: Apache-2.0
// The memory that training will need on a rank, told before it takes any (parallel/forecast.h):
// some of its steps are gone through.
#pragma once
#include "parallel/forecast.h"
#include "train/step/trainer.h"

// For world rank `rank` of the layout of *c, whose degrees are filled in, on a device like `like`.
// Steps gone through: the first two, and of 1024 spread over the run the one whose largest
// microbatch has most rows.
tk_status tk_forecast_training(const tk_config *c, int rank, tk_loader *l, const tk_device *like,
                               tk_forecast *out);

// Takes all of it at once, so that steps take none: memory of the device, before the trainer is
// opened, and the host's, after. TK_MEMORY where the device has less; with words of what would fit,
// as far as a few other options of the config do.
tk_status tk_forecast_take_pool(const tk_forecast *f, const tk_config *c, int rank, tk_loader *l,
                                tk_device *d);
tk_status tk_forecast_take_staging(const tk_forecast *f, tk_trainer *t);
