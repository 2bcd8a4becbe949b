// Eight floats at a time, in GCC's vector extensions: one source for AVX-512, AVX2, SSE and NEON.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#if defined(__SSE__)
#include <immintrin.h>
#endif

namespace flex {

#define FLEX_INLINE inline __attribute__((always_inline))

constexpr int LANES = 8;
typedef float f8 __attribute__((vector_size(32)));
typedef float f8u __attribute__((vector_size(32), aligned(4), may_alias));
typedef int32_t i8 __attribute__((vector_size(32)));

FLEX_INLINE f8 splat(float x) { return f8{x, x, x, x, x, x, x, x}; }
FLEX_INLINE f8 load(const float* p) { return *reinterpret_cast<const f8u*>(p); }
FLEX_INLINE void store(float* p, f8 x) { *reinterpret_cast<f8u*>(p) = x; }
FLEX_INLINE f8 lane_numbers() { return f8{0, 1, 2, 3, 4, 5, 6, 7}; }

#if defined(__AVX__)
FLEX_INLINE f8 select(i8 mask, f8 yes, f8 no) { return mask ? yes : no; }
FLEX_INLINE i8 above(f8 a, f8 b) { return a > b; }
FLEX_INLINE i8 reaches(f8 a, f8 b) { return a >= b; }
FLEX_INLINE f8 min8(f8 a, f8 b) { return (f8)_mm256_min_ps((__m256)a, (__m256)b); }
FLEX_INLINE f8 max8(f8 a, f8 b) { return (f8)_mm256_max_ps((__m256)a, (__m256)b); }
FLEX_INLINE f8 sqrt8(f8 a) { return (f8)_mm256_sqrt_ps((__m256)a); }
FLEX_INLINE f8 floor8(f8 a) { return (f8)_mm256_floor_ps((__m256)a); }
FLEX_INLINE i8 to_int(f8 a) { return __builtin_convertvector(a, i8); }
FLEX_INLINE f8 to_float(i8 a) { return __builtin_convertvector(a, f8); }
FLEX_INLINE bool any(i8 mask) { return !_mm256_testz_si256((__m256i)mask, (__m256i)mask); }
FLEX_INLINE unsigned bits(i8 mask) { return unsigned(_mm256_movemask_ps((__m256)mask)); }
// 1 / a to within a few units in the last place: an estimate and one Newton step.
FLEX_INLINE f8 reciprocal(f8 a) {
    f8 r = (f8)_mm256_rcp_ps((__m256)a);
    return r * (2.0f - a * r);
}
#else
// Without vectors of eight the compiler splits plain arithmetic well, but takes comparisons apart
// number by number. These are split by hand.
typedef float f4 __attribute__((vector_size(16)));
typedef int32_t i4 __attribute__((vector_size(16)));

template <class Half, class Whole>
struct Halves {
    Half low, high;
    explicit Halves(Whole x) { std::memcpy(this, &x, sizeof x); }
    Halves(Half l, Half h) : low(l), high(h) {}
    Whole whole() const {
        Whole x;
        std::memcpy(&x, this, sizeof x);
        return x;
    }
};
typedef Halves<f4, f8> HalfFloats;
typedef Halves<i4, i8> HalfInts;

FLEX_INLINE i8 above(f8 a, f8 b) {
    const HalfFloats x(a), y(b);
    return HalfInts(x.low > y.low, x.high > y.high).whole();
}
FLEX_INLINE i8 reaches(f8 a, f8 b) {
    const HalfFloats x(a), y(b);
    return HalfInts(x.low >= y.low, x.high >= y.high).whole();
}
FLEX_INLINE f8 select(i8 mask, f8 yes, f8 no) { return (f8)((mask & (i8)yes) | (~mask & (i8)no)); }
FLEX_INLINE f8 min8(f8 a, f8 b) { return select(above(b, a), a, b); }
FLEX_INLINE f8 max8(f8 a, f8 b) { return select(above(a, b), a, b); }
FLEX_INLINE i8 to_int(f8 a) {
    const HalfFloats x(a);
    return HalfInts(__builtin_convertvector(x.low, i4), __builtin_convertvector(x.high, i4)).whole();
}
FLEX_INLINE f8 to_float(i8 a) {
    const HalfInts x(a);
    return HalfFloats(__builtin_convertvector(x.low, f4), __builtin_convertvector(x.high, f4))
        .whole();
}
FLEX_INLINE f8 floor8(f8 a) {  // for |a| < 2^31, beyond which there is nothing to round
    const f8 cut = to_float(to_int(a));
    const f8 down = cut - select(above(cut, a), splat(1.0f), splat(0.0f));
    return select(above(splat(1e9f), a) & above(a, splat(-1e9f)), down, a);
}
FLEX_INLINE f8 sqrt8(f8 a) {
    for (int l = 0; l < LANES; ++l) a[l] = std::sqrt(a[l]);
    return a;
}
FLEX_INLINE bool any(i8 mask) {
    const HalfInts x(mask);
    uint64_t words[2];
    const i4 both = x.low | x.high;
    std::memcpy(words, &both, sizeof words);
    return (words[0] | words[1]) != 0;
}
FLEX_INLINE unsigned bits(i8 mask) {
    unsigned found = 0;
    for (int l = 0; l < LANES; ++l) found |= unsigned(mask[l] < 0) << l;
    return found;
}
FLEX_INLINE f8 reciprocal(f8 a) { return 1.0f / a; }
#endif

FLEX_INLINE f8 clamp8(f8 x, f8 low, f8 high) { return min8(max8(x, low), high); }
FLEX_INLINE f8 abs8(f8 x) { return (f8)((i8)x & 0x7fffffff); }

FLEX_INLINE f8 minus_abs8(f8 x) { return (f8)((i8)x | INT32_MIN); }

// e^x for |x| <= 87, to 2 units in the last place; further out the result means nothing.
// 2^r on [-0.5, 0.5] by a minimax polynomial.
FLEX_INLINE f8 exp8(f8 x) {
    const float magic = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
    const float log2e = 1.44269504f;
    const f8 shifted = x * log2e + magic;
    const f8 r = x * log2e - (shifted - magic);
    f8 y = splat(1.327646027e-3f);
    y = y * r + 9.675541241e-3f;
    y = y * r + 5.550713310e-2f;
    y = y * r + 2.402211973e-1f;
    y = y * r + 6.931469670e-1f;
    y = y * r + 1.000000072f;
    return (f8)((i8)y + ((i8)shifted << 23));
}

// The natural logarithm of a normal x > 0, to 2 units in the last place or 1e-7, whichever is more.
// log(1 + r) on [sqrt(1/2) - 1, sqrt(2) - 1] by Cephes' polynomial.
FLEX_INLINE f8 log8(f8 x) {
    const i8 high = (i8)x - 0x3f3504f3;  // bits of sqrt(1/2): exponents count from there
    const f8 power = to_float(high >> 23);
    const f8 r = (f8)((high & 0x7fffff) + 0x3f3504f3) - 1.0f;
    f8 y = splat(7.0376836292e-2f);
    y = y * r - 1.1514610310e-1f;
    y = y * r + 1.1676998740e-1f;
    y = y * r - 1.2420140846e-1f;
    y = y * r + 1.4249322787e-1f;
    y = y * r - 1.6668057665e-1f;
    y = y * r + 2.0000714765e-1f;
    y = y * r - 2.4999993993e-1f;
    y = y * r + 3.3333331174e-1f;
    return r + r * r * (y * r - 0.5f) + power * 0.693147181f;
}

// Rows to columns: out[i][j] = in[j][i].
FLEX_INLINE void transpose8(f8 m[8]) {
    f8 a[8], b[8];
    for (int i = 0; i < 4; ++i) {
        a[2 * i] = __builtin_shuffle(m[2 * i], m[2 * i + 1], i8{0, 8, 1, 9, 4, 12, 5, 13});
        a[2 * i + 1] = __builtin_shuffle(m[2 * i], m[2 * i + 1], i8{2, 10, 3, 11, 6, 14, 7, 15});
    }
    for (int i = 0; i < 8; i += 4) {
        b[i] = __builtin_shuffle(a[i], a[i + 2], i8{0, 1, 8, 9, 4, 5, 12, 13});
        b[i + 1] = __builtin_shuffle(a[i], a[i + 2], i8{2, 3, 10, 11, 6, 7, 14, 15});
        b[i + 2] = __builtin_shuffle(a[i + 1], a[i + 3], i8{0, 1, 8, 9, 4, 5, 12, 13});
        b[i + 3] = __builtin_shuffle(a[i + 1], a[i + 3], i8{2, 3, 10, 11, 6, 7, 14, 15});
    }
    for (int i = 0; i < 4; ++i) {
        m[i] = __builtin_shuffle(b[i], b[i + 4], i8{0, 1, 2, 3, 8, 9, 10, 11});
        m[i + 4] = __builtin_shuffle(b[i], b[i + 4], i8{4, 5, 6, 7, 12, 13, 14, 15});
    }
}

// Sum of every vector in its own lane of the result.
FLEX_INLINE f8 sums8(f8 m[8]) {
    transpose8(m);
    return ((m[0] + m[1]) + (m[2] + m[3])) + ((m[4] + m[5]) + (m[6] + m[7]));
}

// Denormals count as zero on this thread while an object of this kind lives.
class FlushDenormals {
public:
#if defined(__SSE__)
    FlushDenormals() : saved_(_mm_getcsr()) { _mm_setcsr(saved_ | 0x8040); }
    ~FlushDenormals() { _mm_setcsr(saved_); }

private:
    unsigned saved_;
#else
    FlushDenormals() {}
#endif
};

// Three- and four-component values of eight items at once.
struct V3 {
    f8 x, y, z;
};

FLEX_INLINE V3 operator+(V3 a, V3 b) { return {a.x + b.x, a.y + b.y, a.z + b.z}; }
FLEX_INLINE V3 operator-(V3 a, V3 b) { return {a.x - b.x, a.y - b.y, a.z - b.z}; }
FLEX_INLINE V3 operator*(V3 a, f8 s) { return {a.x * s, a.y * s, a.z * s}; }
FLEX_INLINE f8 dot(V3 a, V3 b) { return a.x * b.x + a.y * b.y + a.z * b.z; }
FLEX_INLINE V3 cross(V3 a, V3 b) {
    return {a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x};
}

// Eight items of `Width` floats each, taken apart by component; items past `count` repeat the last.
template <int Width>
FLEX_INLINE void gather_items(const float* items, int count, f8 out[Width]) {
    float lanes[Width][LANES];
    const int step = count < LANES ? 0 : 1;
    for (int l = 0; l < LANES; ++l) {
        const float* item = items + Width * (step ? l : l < count ? l : count - 1);
        for (int k = 0; k < Width; ++k) lanes[k][l] = item[k];
    }
    for (int k = 0; k < Width; ++k) out[k] = load(lanes[k]);
}

// The reverse, for the first `count` items, which lie `Stride` floats apart.
template <int Width, int Stride = Width>
FLEX_INLINE void scatter_items(const f8 in[Width], float* items, int count) {
    for (int l = 0; l < count; ++l)
        for (int k = 0; k < Width; ++k) items[Stride * l + k] = in[k][l];
}

// Columns of the rotation matrices of unit quaternions, wxyz.
FLEX_INLINE void rotation_columns(const f8 unit[4], V3 columns[3]) {
    const f8 w = unit[0], x = unit[1], y = unit[2], z = unit[3];
    columns[0] = {1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y)};
    columns[1] = {2 * (x * y - w * z), 1 - 2 * (x * x + z * z), 2 * (y * z + w * x)};
    columns[2] = {2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)};
}

// Hamilton product, wxyz: the turn b followed by a.
FLEX_INLINE void multiply_quats(const f8 a[4], const f8 b[4], f8 out[4]) {
    out[0] = a[0] * b[0] - a[1] * b[1] - a[2] * b[2] - a[3] * b[3];
    out[1] = a[0] * b[1] + a[1] * b[0] + a[2] * b[3] - a[3] * b[2];
    out[2] = a[0] * b[2] - a[1] * b[3] + a[2] * b[0] + a[3] * b[1];
    out[3] = a[0] * b[3] + a[1] * b[2] - a[2] * b[1] + a[3] * b[0];
}

}  // namespace flex
