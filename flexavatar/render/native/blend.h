// What lies between two instants of the same Gaussians.
#pragma once

#include <cstddef>

#include "raster.h"

namespace flex {

// a + share (b - a), exact at both ends.
void lerp(const float* a, const float* b, float share, size_t count, float* out);
// Sizes between by their logarithms, turns on the shorter way, the rest by lerp.
void blend(int count, const GaussianArrays& a, const GaussianArrays& b, float share,
           const GradientArrays& out);

}  // namespace flex
