// A step of Adam, in one pass over a parameter.
#pragma once

#include <cstdint>

namespace flex {

struct AdamStep {
    int64_t count;
    float *value, *mean, *square;
    const float* grad;
    const float* share;  // of the step that is taken, or null: all of it
    const float* start;  // what the value is pulled to, or null
    float pull;          // added to the gradient, times the distance from the start
    float rate;          // with the correction of the first mean in it
    float decay, square_decay;
    float root_scale;  // the correction of the second mean
    float least_root;
};

void adam_step(const AdamStep& step);

}  // namespace flex
