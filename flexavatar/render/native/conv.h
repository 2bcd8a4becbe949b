// Convolutions of small networks, one picture at a time, on the pool.
#pragma once

#include <cstdint>

namespace flex {

// Channels last, with a border of one pixel: [height + 2, width + 2, channels]. The border of what
// is read stays zero.
struct Layer {
    int32_t width, height;       // of the output, before it is spread
    int32_t inputs, outputs;     // channels; outputs a multiple of eight
    int32_t kernel, stride;      // 3 with a border and 1, 2 and 2, or 1 and 1
    int32_t input_width;         // without its border
    int32_t spread;              // 2: four pixels for each, their channels one after the other
    const float* input;
    const float* weights;        // [outputs / 8, kernel, kernel, inputs, 8]
    const float* bias;           // [outputs]
    const float* add;            // like `output`, or null
    float* output;
    float* active;               // silu of the output, or null
};

// One after the other.
void run_layers(const Layer* layers, int count);

}  // namespace flex
