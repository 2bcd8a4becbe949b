#include "view_loss.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "pool.h"

namespace flex {
namespace {

constexpr float C1 = 0.01f * 0.01f, C2 = 0.03f * 0.03f;
constexpr int CHANNELS = 3, MOMENTS = 5, TERMS = 3;

int sampled(int n) { return (n + SSIM_STRIDE - 1) / SSIM_STRIDE; }

// The picture and its target, a plane each channel, and what the windows say, at every second pixel.
struct Planes {
    int width, height, columns, rows;
    int row_floats;  // of a row of sums, with a margin of zeros on both sides
    float *shown, *wanted, *terms, *sums;

    Planes(int w, int h, float* scratch)
        : width(w), height(h), columns(sampled(w)), rows(sampled(h)),
          row_floats(w + 2 * SSIM_RADIUS + SSIM_STRIDE) {
        shown = scratch;
        wanted = shown + size_t(CHANNELS) * w * h;
        terms = wanted + size_t(CHANNELS) * w * h;
        sums = terms + size_t(CHANNELS) * TERMS * rows * columns;
    }
    size_t floats() const { return row_sums(height) - shown; }
    float* row_sums(int y) const { return sums + size_t(y) * (MOMENTS + 1) * row_floats; }
    // One over the pixels of a window that is `tall` rows high.
    float share_of(int j, int tall) const {
        const int x = j * SSIM_STRIDE;
        const int last = std::min(width - 1, x + SSIM_RADIUS), first = std::max(0, x - SSIM_RADIUS);
        return 1.0f / float((last - first + 1) * tall);
    }
    size_t at(int c, int y) const { return (size_t(c) * height + y) * width; }
    float* term(int c, int k, int i) const {
        return terms + ((size_t(c) * TERMS + k) * rows + i) * columns;
    }
};

float sign(float x) { return float(x > 0) - float(x < 0); }

// In eight parts, which the compiler adds at once.
double sum(const float* values, int count) {
    double parts[8] = {}, whole = 0;
    int i = 0;
    for (; i + 8 <= count; i += 8)
        for (int l = 0; l < 8; ++l) parts[l] += values[i + l];
    for (; i < count; ++i) whole += values[i];
    for (const double part : parts) whole += part;
    return whole;
}

// One row laid over the background; its absolute errors and their gradient.
double absolute_row(const ViewTarget& t, const Planes& p, const float* rgba, int y, float* gradient) {
    const size_t row = size_t(y) * t.width;
    const float *pixel = rgba + 4 * row, *colors = t.colors + 3 * row;
    const float *matte = t.matte + row, *weight = t.weight + row;
    const float per_color = 1.0f / (float(CHANNELS) * t.width * t.height);
    const float per_alpha = t.alpha / (float(t.width) * t.height);
    float *errors = p.row_sums(y), *out = gradient + 4 * row;
    for (int x = 0; x < t.width; ++x) {
        const float error = pixel[4 * x + 3] - matte[x], slope = per_alpha * weight[x];
        errors[x] = slope * std::fabs(error);
        out[4 * x + 3] = slope * sign(error);
    }
    for (int c = 0; c < CHANNELS; ++c) {
        float *shown = p.shown + p.at(c, y), *wanted = p.wanted + p.at(c, y);
        const float behind = t.background[c];
        for (int x = 0; x < t.width; ++x) {
            const float drawn = pixel[4 * x + c] + (1 - pixel[4 * x + 3]) * behind;
            const float aim = colors[3 * x + c] * matte[x] + (1 - matte[x]) * behind;
            const float slope = per_color * weight[x];
            shown[x] = drawn;
            wanted[x] = aim;
            errors[x] += slope * std::fabs(drawn - aim);
            out[4 * x + c] = slope * sign(drawn - aim);
            out[4 * x + 3] -= behind * slope * sign(drawn - aim);
        }
    }
    return sum(errors, t.width);
}

// Sums over the rows of a window, a row of each moment.
void sum_rows(const Planes& p, int c, int first, int last, float* sums) {
    const int stride = p.row_floats;
    std::fill(sums, sums + size_t(MOMENTS) * stride, 0.0f);
    float *mx = sums + SSIM_RADIUS, *my = mx + stride, *xx = my + stride, *yy = xx + stride,
          *xy = yy + stride;
    for (int y = first; y <= last; ++y) {
        const float *a = p.shown + p.at(c, y), *b = p.wanted + p.at(c, y);
        for (int x = 0; x < p.width; ++x) {
            mx[x] += a[x];
            my[x] += b[x];
            xx[x] += a[x] * a[x];
            yy[x] += b[x] * b[x];
            xy[x] += a[x] * b[x];
        }
    }
}

// Means over windows from the sums of their rows, at every second pixel, in place.
void mean_windows(const Planes& p, int tall, float* sums) {
    for (int k = 0; k < MOMENTS; ++k) {
        float* row = sums + size_t(k) * p.row_floats;
        for (int x = 0; x < p.width; ++x) {
            float sum = 0;
            for (int l = 0; l <= 2 * SSIM_RADIUS; ++l) sum += row[x + l];
            row[x] = sum;
        }
        for (int j = 0; j < p.columns; ++j) row[j] = row[SSIM_STRIDE * j] * p.share_of(j, tall);
    }
}

// 1 - SSIM of a row of windows, and its slopes by the pixels: constant, by shown, by wanted.
double ssim_row(const ViewTarget& t, const Planes& p, int c, int i) {
    const int y = i * SSIM_STRIDE;
    const int first = std::max(0, y - SSIM_RADIUS), last = std::min(p.height - 1, y + SSIM_RADIUS);
    const int tall = last - first + 1;
    float* sums = p.row_sums(i);
    sum_rows(p, c, first, last, sums);
    mean_windows(p, tall, sums);
    const float *mx = sums, *my = mx + p.row_floats, *xx = my + p.row_floats,
                *yy = xx + p.row_floats, *xy = yy + p.row_floats;
    float *constant = p.term(c, 0, i), *by_shown = p.term(c, 1, i), *by_wanted = p.term(c, 2, i);
    float* losses = sums + size_t(MOMENTS) * p.row_floats;
    const float share = t.ssim / (float(CHANNELS) * p.columns * p.rows);
    const float* weights = t.weight + size_t(y) * t.width;
    for (int j = 0; j < p.columns; ++j) {
        const float n1 = 2 * mx[j] * my[j] + C1, n2 = 2 * (xy[j] - mx[j] * my[j]) + C2;
        const float d1 = mx[j] * mx[j] + my[j] * my[j] + C1;
        const float d2 = xx[j] - mx[j] * mx[j] + yy[j] - my[j] * my[j] + C2;
        const float inverse = 1 / (d1 * d2), value = n1 * n2 * inverse;
        const float weight = share * weights[SSIM_STRIDE * j], slope = -weight * p.share_of(j, tall);
        const float apart = 2 * mx[j] * value * (d2 - d1) * inverse;
        constant[j] = slope * (2 * my[j] * (n2 - n1) * inverse - apart);
        by_shown[j] = slope * -2 * value * d1 * inverse;
        by_wanted[j] = slope * 2 * n1 * inverse;
        losses[j] = weight * (1 - value);
    }
    return sum(losses, p.columns);
}

// What the windows say of each pixel of a row: sums over the rows of windows that it is in.
void sum_windows(const Planes& p, int c, int k, int y, float* sum) {
    const int first = std::max(0, (y - SSIM_RADIUS + SSIM_STRIDE - 1) / SSIM_STRIDE);
    const int last = std::min(p.rows - 1, (y + SSIM_RADIUS) / SSIM_STRIDE);
    std::fill(sum, sum + p.row_floats, 0.0f);
    for (int i = first; i <= last; ++i) {
        const float* term = p.term(c, k, i);
        for (int j = 0; j < p.columns; ++j) sum[1 + j] += term[j];
    }
}

// Adds the slopes of all windows that a row's pixels are in: pixel 2 m is in those from m - 1 to
// m + 1, pixel 2 m + 1 in one more.
void gather_row(const ViewTarget& t, const Planes& p, int y, float* gradient) {
    static_assert(SSIM_STRIDE == 2 && SSIM_RADIUS == 3, "which windows a pixel is in");
    float *sums[TERMS], *slopes = p.row_sums(y) + size_t(TERMS) * p.row_floats;
    for (int k = 0; k < TERMS; ++k) sums[k] = p.row_sums(y) + size_t(k) * p.row_floats;
    for (int c = 0; c < CHANNELS; ++c) {
        for (int k = 0; k < TERMS; ++k) sum_windows(p, c, k, y, sums[k]);
        const float *shown = p.shown + p.at(c, y), *wanted = p.wanted + p.at(c, y);
        for (int m = 0; m < p.columns; ++m) {
            float even[TERMS], odd[TERMS];
            for (int k = 0; k < TERMS; ++k) {
                even[k] = sums[k][m] + sums[k][m + 1] + sums[k][m + 2];
                odd[k] = even[k] + sums[k][m + 3];
            }
            const int x = 2 * m, next = std::min(x + 1, p.width - 1);
            slopes[x] = even[0] + even[1] * shown[x] + even[2] * wanted[x];
            slopes[x + 1] = odd[0] + odd[1] * shown[next] + odd[2] * wanted[next];
        }
        float* pixel = gradient + 4 * size_t(y) * p.width;
        for (int x = 0; x < p.width; ++x) {
            pixel[4 * x + c] += slopes[x];
            pixel[4 * x + 3] -= slopes[x] * t.background[c];
        }
    }
}

}  // namespace

int64_t view_loss_scratch(int width, int height) {
    return int64_t(Planes(width, height, nullptr).floats());
}

double view_loss(const ViewTarget& target, const float* rgba, float* scratch, float* gradient) {
    const Planes planes(target.width, target.height, scratch);
    std::vector<double> losses(planes.height + planes.rows, 0.0);
    parallel_for(planes.height, [&](int y) {
        losses[y] = absolute_row(target, planes, rgba, y, gradient);
    });
    if (target.ssim > 0) {
        parallel_for(planes.rows, [&](int i) {
            for (int c = 0; c < CHANNELS; ++c)
                losses[planes.height + i] += ssim_row(target, planes, c, i);
        });
        parallel_for(planes.height, [&](int y) { gather_row(target, planes, y, gradient); });
    }
    return std::accumulate(losses.begin(), losses.end(), 0.0);
}

}  // namespace flex
