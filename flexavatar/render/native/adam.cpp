#include "adam.h"

#include <algorithm>
#include <cfloat>
#include <cmath>

#include "pool.h"

namespace flex {
namespace {

constexpr int64_t VALUES_AT_ONCE = 1 << 14;

template <bool Shared, bool Pulled>
void step_values(const AdamStep& s, int64_t first, int64_t last) {
    for (int64_t i = first; i < last; ++i) {
        // what is not a number counts as no gradient
        float grad = std::fabs(s.grad[i]) <= FLT_MAX ? s.grad[i] : 0.0f;
        if (Pulled) grad += s.pull * (s.value[i] - s.start[i]);
        const float mean = s.mean[i] + (1 - s.decay) * (grad - s.mean[i]);
        const float square = s.square_decay * s.square[i] + (1 - s.square_decay) * grad * grad;
        const float move = mean / (std::sqrt(square) * s.root_scale + s.least_root);
        s.mean[i] = mean;
        s.square[i] = square;
        s.value[i] -= s.rate * (Shared ? s.share[i] * move : move);
    }
}

}  // namespace

void adam_step(const AdamStep& step) {
    const auto work = step.share ? (step.start ? step_values<true, true> : step_values<true, false>)
                                 : (step.start ? step_values<false, true> : step_values<false, false>);
    parallel_for(int((step.count + VALUES_AT_ONCE - 1) / VALUES_AT_ONCE), [&](int piece) {
        const int64_t first = piece * VALUES_AT_ONCE;
        work(step, first, std::min(step.count, first + VALUES_AT_ONCE));
    });
}

}  // namespace flex
