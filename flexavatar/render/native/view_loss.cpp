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
    int moment_row, term_row;  // floats of a row of sums, with a margin of zeros on both sides
    float *shown, *wanted, *terms, *sums;

    Planes(int w, int h, float* scratch)
        : width(w), height(h), columns(sampled(w)), rows(sampled(h)),
          moment_row(w + 2 * SSIM_RADIUS + SSIM_STRIDE), term_row(columns + 2 * SSIM_RADIUS) {
        shown = scratch;
        wanted = shown + size_t(CHANNELS) * w * h;
        terms = wanted + size_t(CHANNELS) * w * h;
        sums = terms + size_t(CHANNELS) * TERMS * rows * columns;
    }
    size_t floats() const { return sums - shown + std::max(moment_sums(rows), term_sums(height)); }
    size_t moment_sums(int i) const { return size_t(i) * MOMENTS * moment_row; }
    size_t term_sums(int y) const { return size_t(y) * TERMS * term_row; }
    size_t at(int c, int y) const { return (size_t(c) * height + y) * width; }
    float* term(int c, int k, int i) const {
        return terms + ((size_t(c) * TERMS + k) * rows + i) * columns;
    }
};

float sign(float x) { return float(x > 0) - float(x < 0); }

// One row laid over the background; its absolute errors and their gradient.
double absolute_row(const ViewTarget& t, const Planes& p, const float* rgba, int y, float* gradient) {
    const float per_color = 1.0f / (float(CHANNELS) * t.width * t.height);
    const float per_alpha = t.alpha / (float(t.width) * t.height);
    double loss = 0;
    for (int x = 0; x < t.width; ++x) {
        const size_t i = size_t(y) * t.width + x;
        const float matte = t.matte[i], alpha = rgba[4 * i + 3], weight = t.weight[i];
        float colors = 0, by_alpha = per_alpha * weight * sign(alpha - matte);
        for (int c = 0; c < CHANNELS; ++c) {
            const float behind = t.background[c];
            const float shown = rgba[4 * i + c] + (1 - alpha) * behind;
            const float wanted = t.colors[3 * i + c] * matte + (1 - matte) * behind;
            p.shown[p.at(c, y) + x] = shown;
            p.wanted[p.at(c, y) + x] = wanted;
            const float slope = per_color * weight * sign(shown - wanted);
            gradient[4 * i + c] = slope;
            by_alpha -= slope * behind;
            colors += std::fabs(shown - wanted);
        }
        gradient[4 * i + 3] = by_alpha;
        loss += weight * (per_color * colors + per_alpha * std::fabs(alpha - matte));
    }
    return loss;
}

// Sums over the rows of a window, a row of each moment.
void sum_rows(const Planes& p, int c, int first, int last, float* sums) {
    const int stride = p.moment_row;
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

// 1 - SSIM of a row of windows, and its slopes by the pixels: constant, by shown, by wanted.
double ssim_row(const ViewTarget& t, const Planes& p, int c, int i) {
    const int y = i * SSIM_STRIDE;
    const int first = std::max(0, y - SSIM_RADIUS), last = std::min(p.height - 1, y + SSIM_RADIUS);
    float* sums = p.sums + p.moment_sums(i);
    sum_rows(p, c, first, last, sums);
    float *constant = p.term(c, 0, i), *by_shown = p.term(c, 1, i), *by_wanted = p.term(c, 2, i);
    const float share = t.ssim / (float(CHANNELS) * p.columns * p.rows);
    double loss = 0;
    for (int j = 0; j < p.columns; ++j) {
        const int x = j * SSIM_STRIDE;
        const int across = std::min(p.width - 1, x + SSIM_RADIUS) - std::max(0, x - SSIM_RADIUS) + 1;
        const float part = 1.0f / float(across * (last - first + 1));
        float m[MOMENTS];
        for (int k = 0; k < MOMENTS; ++k) {
            const float* from = sums + size_t(k) * p.moment_row + x;
            float sum = 0;
            for (int l = 0; l <= 2 * SSIM_RADIUS; ++l) sum += from[l];
            m[k] = sum * part;
        }
        const float n1 = 2 * m[0] * m[1] + C1, n2 = 2 * (m[4] - m[0] * m[1]) + C2;
        const float d1 = m[0] * m[0] + m[1] * m[1] + C1;
        const float d2 = m[2] - m[0] * m[0] + m[3] - m[1] * m[1] + C2;
        const float inverse = 1 / (d1 * d2), value = n1 * n2 * inverse;
        const float weight = share * t.weight[size_t(y) * t.width + x], slope = -weight * part;
        const float by_mean =
            2 * m[1] * (n2 - n1) * inverse - 2 * m[0] * value * (1 / d1 - 1 / d2);
        constant[j] = slope * by_mean;
        by_shown[j] = slope * -2 * value / d2;
        by_wanted[j] = slope * 2 * n1 * inverse;
        loss += weight * (1 - value);
    }
    return loss;
}

// Adds the slopes of all windows that a row's pixels are in.
void gather_row(const ViewTarget& t, const Planes& p, int y, float* gradient) {
    const int first = std::max(0, (y - SSIM_RADIUS + SSIM_STRIDE - 1) / SSIM_STRIDE);
    const int last = std::min(p.rows - 1, (y + SSIM_RADIUS) / SSIM_STRIDE);
    const int stride = p.term_row;
    float* sums = p.sums + p.term_sums(y);
    for (int c = 0; c < CHANNELS; ++c) {
        std::fill(sums, sums + size_t(TERMS) * stride, 0.0f);
        for (int k = 0; k < TERMS; ++k)
            for (int i = first; i <= last; ++i) {
                const float* term = p.term(c, k, i);
                float* sum = sums + size_t(k) * stride + SSIM_RADIUS;
                for (int j = 0; j < p.columns; ++j) sum[j] += term[j];
            }
        const float *shown = p.shown + p.at(c, y), *wanted = p.wanted + p.at(c, y);
        for (int x = 0; x < p.width; ++x) {
            float term[TERMS];
            const int to = (x + SSIM_RADIUS) / SSIM_STRIDE + SSIM_RADIUS;
            const int from = (x + (SSIM_RADIUS + 1) * (SSIM_STRIDE - 1)) / SSIM_STRIDE;
            for (int k = 0; k < TERMS; ++k) {
                term[k] = 0;
                for (int j = from; j <= to; ++j) term[k] += sums[size_t(k) * stride + j];
            }
            const float slope = term[0] + term[1] * shown[x] + term[2] * wanted[x];
            float* pixel = gradient + 4 * (size_t(y) * p.width + x);
            pixel[c] += slope;
            pixel[3] -= slope * t.background[c];
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
