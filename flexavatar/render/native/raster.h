// What the stages of the rasteriser share: projected splats, tile lists, and their memory.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <new>

#include "simd.h"

namespace flex {

constexpr float EPS2D = 0.3f;  // pixels^2, added to every projected covariance
constexpr float DET_MAX = 1e30f;  // pixels^4: a splat 3e7 pixels wide is an accident
constexpr float NEAR_PLANE = 0.01f;
constexpr float ALPHA_MIN = 1.0f / 255.0f;
constexpr float ALPHA_MAX = 0.999f;
constexpr float T_MIN = 1e-4f;
constexpr float SH_C0 = 0.28209479177387814f;

constexpr int TILE_SHIFT = 5;
constexpr int TILE = 1 << TILE_SHIFT;
constexpr int MAX_CHUNKS = 32;
constexpr uint64_t ENTRIES_AT_ONCE = 1u << 22;  // bounds the memory of a band of tiles
constexpr int GRADS = 16;  // floats of gradient a splat collects in one tile: one cache line

// A pinhole camera as the caller passes it.
struct Pinhole {
    float view[12];  // world to camera: three rows of rotation and translation
    float fx, fy, cx, cy;
    int32_t width, height;
};

// The caller's arrays, and with the same shapes their gradients.
struct GaussianArrays {
    const float* means;      // [N, 3]
    const float* quats;      // [N, 4] wxyz
    const float* scales;     // [N, 3]
    const float* opacities;  // [N]
    const float* sh;         // [N, 3]
};
struct GradientArrays {
    float* means;
    float* quats;
    float* scales;
    float* opacities;
    float* sh;
};

// The picture, as floats with depth or as bytes over a background.
struct Image {
    float* rgba;         // [H, W, 4] premultiplied, or null for depth alone
    float* depth;        // [H, W] metres
    uint8_t* rgba8;      // [H, W, 4], or null for floats
    float background[4]; // premultiplied
    int32_t width, height;
};

// A finished picture and the gradient of the loss to it.
struct PictureGradient {
    const float* rgba;        // [H, W, 4]
    const float* depth;       // [H, W]
    const float* grad_rgba;   // [H, W, 4]
    const float* grad_depth;  // [H, W] or null
};

// A splat on the image plane, one cache line. With d = pixel - mean and u = stiff (dy - slope dx),
// opacity exp(-sigma) has sigma = inv_xx dx^2 / 2 + u^2: two squares, so nothing cancels.
struct alignas(64) Splat {
    float x, y;            // mean, pixels
    float inv_xx;          // 1 / covariance xx
    float slope;           // covariance xy / xx
    float stiff;           // square root of half the conic's yy
    float ratio;           // exp(-2 stiff^2): how the step of exp(-u^2) itself shrinks per row
    float opacity;
    float limit;           // log(255 opacity): sigma at which alpha is ALPHA_MIN
    float red, green, blue;
    float depth;
    float half_x, half_y;  // half size of the box that holds every drawn pixel
    float tip;             // dx of the lowest point of the outline
    uint32_t first_slot;   // of its gradients, within the band of tiles at hand
};
static_assert(sizeof(Splat) == 64, "one cache line");

// Tiles that a splat's box touches; empty if it is not drawn.
struct TileRect {
    uint16_t x, y, width, height;
};

// A splat in a tile's list. The bits of a positive float sort as the float does.
struct Entry {
    uint32_t depth_bits;
    uint32_t splat;
};

// Memory that only grows, cache line aligned, not initialised.
template <class T>
class Buffer {
public:
    Buffer() = default;
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;
    ~Buffer() { std::free(data_); }

    T* reserve(size_t count) {
        if (count > capacity_) {
            std::free(data_);
            capacity_ = 0;
            const size_t bytes = (count + count / 4) * sizeof(T);
            data_ = static_cast<T*>(std::aligned_alloc(64, (bytes + 63) / 64 * 64));
            if (!data_) throw std::bad_alloc();
            capacity_ = count + count / 4;
        }
        return data_;
    }
    T* get() const { return data_; }
    T& operator[](size_t i) const { return data_[i]; }

private:
    T* data_ = nullptr;
    size_t capacity_ = 0;
};

// Everything one drawing needs; kept between a picture and its gradient.
struct Context {
    Pinhole camera;
    int count = 0;           // N
    int chunk = 0, chunks = 0;  // Gaussians are handled in pieces of `chunk`
    int tiles_x = 0, tiles_y = 0;
    Buffer<Splat> splats;          // [N]
    Buffer<TileRect> rects;        // [N]
    Buffer<uint32_t> chunk_tiles;  // [chunks, tiles]: entries
    Buffer<uint32_t> next;         // [chunks, tiles]: while filling, where the next entry goes
    Buffer<uint32_t> tile_size;    // [tiles]
    Buffer<uint32_t> tile_start;   // [tiles], within the band
    Buffer<uint32_t> tile_used;    // [tiles]: entries until every pixel was closed
    Buffer<Entry> entries, spare;  // the lists of one band, and room to sort them
    Buffer<float> slots;           // [entries, GRADS]
    Buffer<uint8_t> touched;       // [entries]: slot holds something
    Buffer<float> sums;            // [N, GRADS], only when there are several bands
    int filled_first = -1, filled_last = -1;  // tile rows that are in `entries`, sorted once drawn

    int tiles() const { return tiles_x * tiles_y; }
};

// The stages, in order.
void project(Context& ctx, const GaussianArrays& in);
int band_end(const Context& ctx, int first_row);
uint32_t fill_band(Context& ctx, int first_row, int last_row);
void draw(Context& ctx, const Image& image, int first_row, int last_row);  // rows of tiles
void draw_backward(Context& ctx, const PictureGradient& in, const GaussianArrays& gaussians,
                   const GradientArrays& out);
void sum_slots(Context& ctx, bool fresh);
void project_backward(Context& ctx, const GaussianArrays& in, const GradientArrays& out,
                      bool summed);

}  // namespace flex
