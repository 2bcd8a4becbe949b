// From the numbers that a fit changes to the Gaussians of one view, and back.
#pragma once

#include "raster.h"

namespace flex {

constexpr int MOTION_FIELDS = 28;  // place 3, gradient 9, turn after 4, turn before 4, width 3,
                                   // share of the opacity 1, odds of opacity and colours 4
constexpr int START_FIELDS = 7;    // offset 3, logarithm of the scale 3, least scale squared 1

// Fields are planes of `padded` floats, a multiple of 8.
struct PosePlan {
    int32_t count, padded;
    const float* motion;  // [MOTION_FIELDS, padded]: how one photo's expression moves each splat
    const float* start;   // [START_FIELDS, padded]
    float shrink, grow, drift;  // how far scales and offsets may go from their start
};

// Values as they are fitted: offsets for means, logarithms of scales, logits of opacities, and
// colours 0..1 for sh.
void pose_splats(const PosePlan& plan, const GaussianArrays& values, const GradientArrays& out);
// Gradients of the values from those of the Gaussians.
void pose_splats_backward(const PosePlan& plan, const GaussianArrays& values,
                          const GaussianArrays& grads, const GradientArrays& out);

}  // namespace flex
