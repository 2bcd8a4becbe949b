#include "pose_splats.h"

#include <algorithm>

#include "pool.h"
#include "simd.h"

namespace flex {
namespace {

constexpr int SPLATS_AT_ONCE = 2048;
constexpr float LEAST_NORM = 1e-12f, MOST_EXPONENT = 80.0f;

// The constants of eight splats.
struct Motion {
    V3 place, rows[3];
    f8 after[4], before[4], width[3], present, odds[4];

    Motion(const PosePlan& plan, int first) {
        const float* field = plan.motion + first;
        const auto next = [&] {
            const f8 values = load(field);
            field += plan.padded;
            return values;
        };
        const auto next3 = [&] {
            const f8 x = next(), y = next(), z = next();
            return V3{x, y, z};
        };
        place = next3();
        for (V3& row : rows) row = next3();
        for (f8& x : after) x = next();
        for (f8& x : before) x = next();
        for (f8& x : width) x = next();
        present = next();
        for (f8& x : odds) x = next();
    }
};

// What is fitted of eight splats, kept near its start, and where it is free to move.
struct Values {
    f8 offset[3], quat[4], norm, exponent[3], least, logit, color[3];
    i8 offset_free[3], scale_free[3], color_free[3];

    Values(const PosePlan& plan, const GaussianArrays& in, int first, int lanes) {
        const float* start = plan.start + first;
        f8 scale[3];
        gather_items<3>(in.means + 3 * size_t(first), lanes, offset);
        gather_items<4>(in.quats + 4 * size_t(first), lanes, quat);
        gather_items<3>(in.scales + 3 * size_t(first), lanes, scale);
        gather_items<1>(in.opacities + first, lanes, &logit);
        gather_items<3>(in.sh + 3 * size_t(first), lanes, color);
        for (int k = 0; k < 3; ++k) {
            const f8 place = load(start + k * plan.padded);
            const f8 size = load(start + (3 + k) * plan.padded);
            offset[k] = place + keep(offset[k] - place, -plan.drift, plan.drift, &offset_free[k]);
            exponent[k] = size + keep(scale[k] - size, -plan.shrink, plan.grow, &scale_free[k]);
            color[k] = keep(color[k], 0.0f, 1.0f, &color_free[k]);
        }
        least = load(start + 6 * plan.padded);
        norm = splat(0.0f);
        for (const f8 x : quat) norm += x * x;
        norm = max8(sqrt8(norm), splat(LEAST_NORM));
        for (f8& x : quat) x /= norm;
    }

    static f8 keep(f8 x, float low, float high, i8* free) {
        *free = reaches(x, splat(low)) & reaches(splat(high), x);
        return clamp8(x, splat(low), splat(high));
    }
};

FLEX_INLINE f8 bounded_exp(f8 x) {
    return exp8(clamp8(x, splat(-MOST_EXPONENT), splat(MOST_EXPONENT)));
}
FLEX_INLINE f8 sigmoid(f8 x) { return 1.0f / (1.0f + bounded_exp(-x)); }
// sigmoid(logit(share) + log(odds)), and its derivative by the share.
FLEX_INLINE f8 shifted(f8 share, f8 odds) { return share * odds / (1.0f + share * (odds - 1.0f)); }
FLEX_INLINE f8 shifted_slope(f8 share, f8 odds) {
    const f8 whole = 1.0f + share * (odds - 1.0f);
    return odds / (whole * whole);
}
FLEX_INLINE f8 where(i8 mask, f8 x) { return select(mask, x, splat(0.0f)); }

void pose_eight(const PosePlan& plan, const GaussianArrays& in, const GradientArrays& out,
                int first, int lanes) {
    const Motion motion(plan, first);
    const Values own(plan, in, first, lanes);
    const V3 offset{own.offset[0], own.offset[1], own.offset[2]};
    const f8 means[3] = {motion.place.x + dot(motion.rows[0], offset),
                         motion.place.y + dot(motion.rows[1], offset),
                         motion.place.z + dot(motion.rows[2], offset)};
    f8 turned[4], quats[4], scales[3], sh[3];
    multiply_quats(own.quat, motion.before, turned);
    multiply_quats(motion.after, turned, quats);
    for (int k = 0; k < 3; ++k) {
        scales[k] = sqrt8(bounded_exp(2.0f * own.exponent[k]) + own.least) * motion.width[k];
        sh[k] = (shifted(own.color[k], motion.odds[1 + k]) - 0.5f) * (1.0f / SH_C0);
    }
    const f8 opacity = shifted(sigmoid(own.logit), motion.odds[0]) * motion.present;
    scatter_items<3>(means, out.means + 3 * size_t(first), lanes);
    scatter_items<4>(quats, out.quats + 4 * size_t(first), lanes);
    scatter_items<3>(scales, out.scales + 3 * size_t(first), lanes);
    scatter_items<1>(&opacity, out.opacities + first, lanes);
    scatter_items<3>(sh, out.sh + 3 * size_t(first), lanes);
}

// d loss / d unit quaternion, taken back through both products and the division by its length.
FLEX_INLINE void turn_backward(const Motion& motion, const Values& own, f8 grad[4]) {
    const f8 after[4] = {motion.after[0], -motion.after[1], -motion.after[2], -motion.after[3]};
    const f8 before[4] = {motion.before[0], -motion.before[1], -motion.before[2],
                          -motion.before[3]};
    f8 between[4];
    multiply_quats(after, grad, between);
    multiply_quats(between, before, grad);
    f8 along = splat(0.0f);
    for (int k = 0; k < 4; ++k) along += grad[k] * own.quat[k];
    for (int k = 0; k < 4; ++k) grad[k] = (grad[k] - own.quat[k] * along) / own.norm;
}

void back_eight(const PosePlan& plan, const GaussianArrays& in, const GaussianArrays& grads,
                const GradientArrays& out, int first, int lanes) {
    const Motion motion(plan, first);
    const Values own(plan, in, first, lanes);
    f8 mean[3], quat[4], scale[3], opacity, sh[3];
    gather_items<3>(grads.means + 3 * size_t(first), lanes, mean);
    gather_items<4>(grads.quats + 4 * size_t(first), lanes, quat);
    gather_items<3>(grads.scales + 3 * size_t(first), lanes, scale);
    gather_items<1>(grads.opacities + first, lanes, &opacity);
    gather_items<3>(grads.sh + 3 * size_t(first), lanes, sh);

    const V3 moved = motion.rows[0] * mean[0] + motion.rows[1] * mean[1] + motion.rows[2] * mean[2];
    const f8 offsets[3] = {where(own.offset_free[0], moved.x), where(own.offset_free[1], moved.y),
                           where(own.offset_free[2], moved.z)};
    turn_backward(motion, own, quat);
    for (int k = 0; k < 3; ++k) {
        const f8 square = bounded_exp(2.0f * own.exponent[k]);
        const f8 slope = motion.width[k] * square / sqrt8(square + own.least);
        scale[k] = where(own.scale_free[k], scale[k] * slope);
        const f8 color_slope = shifted_slope(own.color[k], motion.odds[1 + k]) * (1.0f / SH_C0);
        sh[k] = where(own.color_free[k], sh[k] * color_slope);
    }
    const f8 share = sigmoid(own.logit);
    opacity *= motion.present * shifted_slope(share, motion.odds[0]) * share * (1.0f - share);
    scatter_items<3>(offsets, out.means + 3 * size_t(first), lanes);
    scatter_items<4>(quat, out.quats + 4 * size_t(first), lanes);
    scatter_items<3>(scale, out.scales + 3 * size_t(first), lanes);
    scatter_items<1>(&opacity, out.opacities + first, lanes);
    scatter_items<3>(sh, out.sh + 3 * size_t(first), lanes);
}

template <class Work>
void for_eights(int count, Work work) {
    parallel_for((count + SPLATS_AT_ONCE - 1) / SPLATS_AT_ONCE, [&](int piece) {
        const int end = std::min(count, (piece + 1) * SPLATS_AT_ONCE);
        for (int i = piece * SPLATS_AT_ONCE; i < end; i += LANES) work(i, std::min(LANES, end - i));
    });
}

}  // namespace

void pose_splats(const PosePlan& plan, const GaussianArrays& values, const GradientArrays& out) {
    for_eights(plan.count,
               [&](int first, int lanes) { pose_eight(plan, values, out, first, lanes); });
}

void pose_splats_backward(const PosePlan& plan, const GaussianArrays& values,
                          const GaussianArrays& grads, const GradientArrays& out) {
    for_eights(plan.count,
               [&](int first, int lanes) { back_eight(plan, values, grads, out, first, lanes); });
}

}  // namespace flex
