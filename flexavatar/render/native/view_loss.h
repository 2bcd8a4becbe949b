// How far a drawn picture is from its target, with the gradient.
#pragma once

#include <cstdint>

namespace flex {

constexpr int SSIM_STRIDE = 2;  // windows overlap by five pixels of seven: every second says as much
constexpr int SSIM_RADIUS = 3;

struct ViewTarget {
    const float* colors;  // [H, W, 3]
    const float* matte;   // [H, W]
    const float* weight;  // [H, W]
    float background[3];
    float ssim, alpha;  // weights of the structure and of the matte
    int32_t width, height;
};

// Floats of working memory for a picture.
int64_t view_loss_scratch(int width, int height);

// Mean absolute error, mean error of the matte and 1 - SSIM of a picture [H, W, 4], each weighted;
// the gradient has the picture's shape.
double view_loss(const ViewTarget& target, const float* rgba, float* scratch, float* gradient);

}  // namespace flex
