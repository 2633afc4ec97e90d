// SPDX-License-Identifier: Apache-2.0
// A model of every kind of weight and no width to spare.
#pragma once
#include "core/config/config.h"

static const tk_model_config tiny_model = {.hidden = 24,
                                           .heads = 3,
                                           .head_dim = 8,
                                           .layers = 3,
                                           .refiner_layers = 1,
                                           .ffn = 20,
                                           .video_channels = 5,
                                           .audio_channels = 4,
                                           .text_channels = 6,
                                           .text = TK_TEXT_BYTES,
                                           .freq_dim = 8,
                                           .time_hidden = 12,
                                           .time_dim = 10,
                                           .rope_freq_dim = 1,
                                           .rope_theta = 1e4,
                                           .norm_eps = 1e-6,
                                           .qk_norm_eps = 1e-6,
                                           .final_norm_eps = 1e-6};
