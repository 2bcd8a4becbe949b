// A field over the vertices read at points of the surface, and written to the points' rows.
#include <algorithm>

#include "deform.h"
#include "pool.h"
#include "simd.h"

namespace flex {
namespace {

constexpr int BLOCKS_AT_ONCE = 256;

void sample_block(const SamplePlan& plan, const float* field, int block, float* table) {
    const int32_t* ids = plan.vertices + size_t(block) * 3 * LANES;
    const float* shares = plan.shares + size_t(block) * 3 * LANES;
    const int first = block * LANES, lanes = std::min(LANES, plan.points - first);
    for (int l = 0; l < lanes; ++l) {
        float sum[3] = {};
        for (int k = 0; k < 3; ++k) {
            const float* value = field + 3 * size_t(ids[k * LANES + l]);
            for (int axis = 0; axis < 3; ++axis) sum[axis] += shares[k * LANES + l] * value[axis];
        }
        float* row = table + 3 * size_t(plan.rows[first + l]);
        for (int axis = 0; axis < 3; ++axis) row[axis] = sum[axis];
    }
}

}  // namespace

void sample(const SamplePlan& plan, const float* field, float* table) {
    const int blocks = (plan.points + LANES - 1) / LANES;
    parallel_for((blocks + BLOCKS_AT_ONCE - 1) / BLOCKS_AT_ONCE, [&](int piece) {
        const int end = std::min(blocks, (piece + 1) * BLOCKS_AT_ONCE);
        for (int block = piece * BLOCKS_AT_ONCE; block < end; ++block)
            sample_block(plan, field, block, table);
    });
}

}  // namespace flex
