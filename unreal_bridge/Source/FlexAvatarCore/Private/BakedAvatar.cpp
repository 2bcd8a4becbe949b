// The arithmetic of flexavatar/baked/poser.py, one splat after the other.
#include "FlexAvatar/BakedAvatar.h"

#include <algorithm>
#include <cmath>

#include "SurfaceMaths.h"

namespace flexavatar {
namespace {

constexpr size_t JAW_OPEN = 17, MOUTH_CLOSE = 18;
constexpr float SLIVER = 1e-12f;  // m^2; a face below it has no say
constexpr float STRETCH_LOW = 0.4f, STRETCH_HIGH = 3.0f;
constexpr float FOLD_LOW = 0.5f, FOLD_HIGH = 0.9f;

// A turn and a shift.
struct Motion {
    float turn[9], shift[3];
};

Motion turnedAbout(const float turn[9], const float joint[3]) {
    Motion motion;
    std::copy(turn, turn + 9, motion.turn);
    for (int r = 0; r < 3; ++r) {
        const float* row = turn + 3 * r;
        motion.shift[r] = joint[r] - (row[0] * joint[0] + row[1] * joint[1] + row[2] * joint[2]);
    }
    return motion;
}

// `first`, then `then`.
Motion chained(const Motion& then, const Motion& first) {
    Motion motion;
    for (int r = 0; r < 3; ++r) {
        const float* row = then.turn + 3 * r;
        for (int c = 0; c < 3; ++c)
            motion.turn[3 * r + c] = row[0] * first.turn[c] + row[1] * first.turn[3 + c] +
                                     row[2] * first.turn[6 + c];
        motion.shift[r] = then.shift[r] + row[0] * first.shift[0] + row[1] * first.shift[1] +
                          row[2] * first.shift[2];
    }
    return motion;
}

}  // namespace

BakedAvatar::BakedAvatar(BakedFile file) : file_(std::move(file)) {
    const size_t n = file_.splats;
    fieldWeights_.resize(file_.fields);
    moved_.resize(file_.rest.size());
    surface_.resize(file_.vertices);
    shown_ = {std::vector<float>(3 * n), std::vector<float>(4 * n), std::vector<float>(3 * n),
              file_.opacities, file_.colors};
    measureFaces();
}

void BakedAvatar::measureFaces() {
    std::vector<double> totals(file_.vertices), areas(file_.faces);
    inverses_.resize(9 * size_t(file_.faces));
    faceShares_.resize(3 * size_t(file_.faces));
    for (size_t f = 0; f < areas.size(); ++f) {
        float edges[9];
        const uint32_t* corner = file_.corners.data() + 3 * f;
        const float* p = file_.rest.data();
        areas[f] = faceEdges(p + 3 * corner[0], p + 3 * corner[1], p + 3 * corner[2], edges);
        if (areas[f] <= SLIVER) continue;
        invert(edges, inverses_.data() + 9 * f);
        for (int k = 0; k < 3; ++k) totals[corner[k]] += areas[f];
    }
    for (size_t i = 0; i < faceShares_.size(); ++i)
        if (areas[i / 3] > SLIVER) faceShares_[i] = float(areas[i / 3] / totals[file_.corners[i]]);
    for (uint32_t v = 0; v < file_.vertices; ++v)
        if (totals[v] == 0) loose_.push_back(v);
}

const PosedSplats& BakedAvatar::pose(const float weights[ARKIT_WEIGHTS], const float neck[3]) {
    weighFields(weights);
    moveVertices(neck);
    moveSurface();
    moveSplats();
    foldLids();
    changeColors();
    return shown_;
}

void BakedAvatar::weighFields(const float weights[ARKIT_WEIGHTS]) {
    float* out = fieldWeights_.data();
    for (size_t i = 0; i < ARKIT_WEIGHTS; ++i)  // what is not a number is 0
        out[i] = weights[i] > 0 ? std::min(weights[i], 1.0f) : 0.0f;
    out[MOUTH_CLOSE] = std::min(out[MOUTH_CLOSE], out[JAW_OPEN]);
    const auto factor = [&](uint32_t place) { return place == ARKIT_WEIGHTS ? 1.0f : out[place]; };
    float* next = out + ARKIT_WEIGHTS;
    for (size_t p = 0; p < file_.products; ++p)
        *next++ = factor(file_.factors[2 * p]) * factor(file_.factors[2 * p + 1]);
    for (int side = 0; side < 2; ++side) {
        float lid = 0;
        for (size_t i = 0; i < ARKIT_WEIGHTS; ++i) lid += out[i] * file_.eyelids[2 * i + side];
        lid = std::clamp(lid, -0.3f, 1.0f);
        next[side] = lid;
        next[2 + side] = 4 * std::max(lid, 0.0f) * (1 - lid);
    }
}

void BakedAvatar::moveVertices(const float neck[3]) {
    moved_ = file_.rest;
    for (size_t f = 0; f < file_.fields; ++f) {
        const float share = fieldWeights_[f];
        if (share == 0) continue;
        for (size_t e = file_.fieldStart[f]; e < file_.fieldStart[f + 1]; ++e)
            for (int k = 0; k < 3; ++k)
                moved_[3 * file_.fieldVertices[e] + k] += share * file_.deltas[3 * e + k];
    }
    float turn[9];
    Motion joints[BAKED_JOINTS] = {{{1, 0, 0, 0, 1, 0, 0, 0, 1}, {0, 0, 0}}};
    rotationOf(neck, turn);
    joints[1] = turnedAbout(turn, file_.joints[1]);
    for (int j = 0; j < 3; ++j) {
        float angles[3] = {};
        for (size_t i = 0; i < 3 * ARKIT_WEIGHTS; ++i)
            angles[i % 3] += fieldWeights_[i / 3] * file_.hangingPoses[j][i];
        rotationOf(angles, turn);
        joints[2 + j] = chained(joints[1], turnedAbout(turn, file_.joints[2 + j]));
    }
    for (size_t v = 0; v < file_.vertices; ++v) {
        const float* at = moved_.data() + 3 * v;
        float* place = surface_[v].place;
        place[0] = place[1] = place[2] = 0;
        for (size_t j = 0; j < BAKED_JOINTS; ++j) {
            const float weight = file_.lbsWeights[BAKED_JOINTS * v + j];
            if (weight == 0) continue;
            for (int r = 0; r < 3; ++r) {
                const float* row = joints[j].turn + 3 * r;
                place[r] += weight * (row[0] * at[0] + row[1] * at[1] + row[2] * at[2] +
                                      joints[j].shift[r]);
            }
        }
    }
}

void BakedAvatar::moveSurface() {
    for (Vertex& vertex : surface_) std::fill(vertex.gradient, vertex.gradient + 9, 0.0f);
    for (size_t f = 0; f < file_.faces; ++f) {
        const float* shares = faceShares_.data() + 3 * f;
        if (shares[0] == 0) continue;
        const uint32_t* corner = file_.corners.data() + 3 * f;
        float edges[9], gradient[9];
        faceEdges(surface_[corner[0]].place, surface_[corner[1]].place, surface_[corner[2]].place,
                  edges);
        multiply(edges, inverses_.data() + 9 * f, gradient);
        for (int k = 0; k < 3; ++k) {
            float* sum = surface_[corner[k]].gradient;
            for (int i = 0; i < 9; ++i) sum[i] += shares[k] * gradient[i];
        }
    }
    for (const uint32_t v : loose_)
        for (int i = 0; i < 9; i += 4) surface_[v].gradient[i] = 1;
    for (Vertex& vertex : surface_) {
        float turn[9];
        std::copy(vertex.gradient, vertex.gradient + 9, turn);
        polarRotation(turn);
        quatOf(turn, vertex.turn);
    }
}

void BakedAvatar::moveSplats() {
    for (size_t i = 0; i < file_.splats; ++i) {
        const uint32_t* ids = file_.bound.data() + 3 * i;
        const Vertex &a = surface_[ids[0]], &b = surface_[ids[1]], &c = surface_[ids[2]];
        const float wa = file_.bary[2 * i], wb = file_.bary[2 * i + 1], wc = 1 - wa - wb;
        float place[3], F[9], turn[4];
        for (int k = 0; k < 3; ++k)
            place[k] = wa * a.place[k] + wb * b.place[k] + wc * c.place[k];
        for (int k = 0; k < 9; ++k)
            F[k] = wa * a.gradient[k] + wb * b.gradient[k] + wc * c.gradient[k];
        const float *offset = file_.offsets.data() + 3 * i, *own = file_.quats.data() + 4 * i;
        const float* size = file_.scales.data() + 3 * i;
        for (int r = 0; r < 3; ++r)
            shown_.means[3 * i + r] = place[r] + F[3 * r] * offset[0] +
                                      F[3 * r + 1] * offset[1] + F[3 * r + 2] * offset[2];
        const float sb = dot4(a.turn, b.turn) < 0 ? -wb : wb;
        const float sc = dot4(a.turn, c.turn) < 0 ? -wc : wc;
        for (int k = 0; k < 4; ++k) turn[k] = wa * a.turn[k] + sb * b.turn[k] + sc * c.turn[k];
        const float unit = 1 / std::max(std::sqrt(dot4(turn, turn)), 1e-12f);
        for (float& part : turn) part *= unit;
        multiplyQuats(turn, own, shown_.quats.data() + 4 * i);
        float axes[9];
        axesOf(own, axes);
        for (int k = 0; k < 3; ++k) {
            float squared = 0;
            for (int r = 0; r < 3; ++r) {
                const float along = F[3 * r] * axes[3 * k] + F[3 * r + 1] * axes[3 * k + 1] +
                                    F[3 * r + 2] * axes[3 * k + 2];
                squared += along * along;
            }
            const float stretch = std::clamp(std::sqrt(squared), STRETCH_LOW, STRETCH_HIGH);
            shown_.scales[3 * i + k] = size[k] * stretch;
        }
    }
}

void BakedAvatar::foldLids() {
    float hidden[2];
    for (int side = 0; side < 2; ++side) {
        float gap[3] = {};
        for (int half = 0; half < 2; ++half) {
            const auto& ring = file_.lidRings[2 * side + half];
            const float share = (half ? -1.0f : 1.0f) / float(ring.size());
            for (const uint32_t v : ring)
                for (int k = 0; k < 3; ++k) gap[k] += share * surface_[v].place[k];
        }
        const float opening = std::sqrt(gap[0] * gap[0] + gap[1] * gap[1] + gap[2] * gap[2]);
        const float open = opening / std::max(file_.usualOpenings[side], 1e-4f);
        const float t = std::clamp((open - FOLD_LOW) / (FOLD_HIGH - FOLD_LOW), 0.0f, 1.0f);
        hidden[side] = 1 - t * t * (3 - 2 * t);
    }
    for (size_t i = 0; i < file_.splats; ++i)
        shown_.opacities[i] = file_.opacities[i] * (1 - file_.lids[2 * i] * hidden[0] -
                                                    file_.lids[2 * i + 1] * hidden[1]);
}

void BakedAvatar::changeColors() {
    const size_t size = 3 * size_t(file_.changing);
    std::copy(file_.colors.begin(), file_.colors.begin() + ptrdiff_t(size), shown_.colors.begin());
    for (size_t k = 0; k < file_.bases; ++k) {
        float amount = 0;
        for (size_t f = 0; f < file_.fields; ++f)
            amount += fieldWeights_[f] * file_.shares[f * file_.bases + k];
        amount *= file_.baseSteps[k];
        const int8_t* base = file_.colorBases.data() + k * size;
        for (size_t i = 0; i < size; ++i) shown_.colors[i] += amount * float(base[i]);
    }
}

}  // namespace flexavatar
