// Blendshapes and linear blend skinning in one pass over the vertices.
#include <algorithm>
#include <vector>

#include "deform.h"
#include "pool.h"
#include "simd.h"

namespace flex {
namespace {

constexpr int GROUPS = SKIN_BLOCK / LANES;
constexpr int AXIS_MAJOR = 3 * SKIN_BLOCK;  // floats of one shape in one block
constexpr int BLOCKS_AT_ONCE = 8;

// The block's vertices in the rest pose, [3, GROUPS] vectors.
FLEX_INLINE void add_shapes(const SkinPlan& plan, int block, const std::vector<int>& active,
                            const float* coefficients, f8 sum[3 * GROUPS]) {
    const float* rest = plan.rest + size_t(block) * AXIS_MAJOR;
    const float* basis = plan.basis + size_t(block) * plan.shapes * AXIS_MAJOR;
    for (int i = 0; i < 3 * GROUPS; ++i) sum[i] = load(rest + i * LANES);
    for (const int k : active) {
        const float* shape = basis + size_t(k) * AXIS_MAJOR;
        for (int i = 0; i < 3 * GROUPS; ++i) sum[i] += coefficients[k] * load(shape + i * LANES);
    }
}

// One group of eight vertices, moved by the joints: transforms [J, 4, 4].
FLEX_INLINE void move_group(const SkinPlan& plan, int block, int group, const float* transforms,
                            const f8 sum[3 * GROUPS], f8 out[3]) {
    const f8 x = sum[group], y = sum[GROUPS + group], z = sum[2 * GROUPS + group];
    const float* weights = plan.weights + size_t(block) * plan.joints * SKIN_BLOCK;
    for (int axis = 0; axis < 3; ++axis) out[axis] = splat(0.0f);
    for (int j = 0; j < plan.joints; ++j) {
        const f8 weight = load(weights + j * SKIN_BLOCK + group * LANES);
        for (int axis = 0; axis < 3; ++axis) {
            const float* row = transforms + 16 * j + 4 * axis;
            out[axis] += weight * (row[0] * x + row[1] * y + row[2] * z + row[3]);
        }
    }
}

}  // namespace

void skin(const SkinPlan& plan, const float* coefficients, const float* transforms, float* out) {
    std::vector<int> active;
    for (int k = 0; k < plan.shapes; ++k)
        if (coefficients[k] != 0.0f) active.push_back(k);
    const int blocks = (plan.vertices + SKIN_BLOCK - 1) / SKIN_BLOCK;
    parallel_for((blocks + BLOCKS_AT_ONCE - 1) / BLOCKS_AT_ONCE, [&](int piece) {
        const int end = std::min(blocks, (piece + 1) * BLOCKS_AT_ONCE);
        for (int block = piece * BLOCKS_AT_ONCE; block < end; ++block) {
            f8 sum[3 * GROUPS];
            add_shapes(plan, block, active, coefficients, sum);
            for (int group = 0; group < GROUPS; ++group) {
                const int first = block * SKIN_BLOCK + group * LANES;
                const int lanes = std::min(LANES, plan.vertices - first);
                f8 moved[3];
                move_group(plan, block, group, transforms, sum, moved);
                scatter_items<3>(moved, out + 3 * size_t(first), lanes);
            }
        }
    });
}

}  // namespace flex
