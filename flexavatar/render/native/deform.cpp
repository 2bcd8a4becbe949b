// The arithmetic of flexavatar/head/binding.py, eight faces, vertices or splats at a time.
#include "deform.h"

#include <algorithm>

#include "change.h"
#include "pool.h"
#include "simd.h"

namespace flex {
namespace {

constexpr int POLAR_STEPS = 6;
constexpr float FOLDED = 0.05f;  // determinant below which a gradient has no turn to speak of
constexpr float STRETCH_LOW = 0.4f, STRETCH_HIGH = 3.0f;
constexpr int FACES_AT_ONCE = 1024, VERTICES_AT_ONCE = 512, SPLATS_AT_ONCE = 2048;

// Eight 3x3 matrices, by rows.
struct M3 {
    V3 r[3];
};

FLEX_INLINE V3 operator*(const M3& m, V3 v) {
    return {dot(m.r[0], v), dot(m.r[1], v), dot(m.r[2], v)};
}

FLEX_INLINE V3 normalized(V3 v, float least) {
    return v * (1.0f / sqrt8(max8(dot(v, v), splat(least))));
}

FLEX_INLINE V3 corner(const DeformPlan& plan, const float* posed, int face, int lanes, int k) {
    f8 p[3] = {};
    for (int l = 0; l < LANES; ++l) {
        const int f = face + std::min(l, lanes - 1);
        const float* vertex = posed + 3 * size_t(plan.corners[3 * f + k]);
        for (int axis = 0; axis < 3; ++axis) p[axis][l] = vertex[axis];
    }
    return {p[0], p[1], p[2]};
}

// Neutral-to-posed deformation gradient of eight faces.
void face_gradients(const DeformPlan& plan, const float* posed, int first, int lanes, float* out) {
    const V3 a = corner(plan, posed, first, lanes, 0);
    const V3 e1 = corner(plan, posed, first, lanes, 1) - a;
    const V3 e2 = corner(plan, posed, first, lanes, 2) - a;
    const V3 n = normalized(cross(e1, e2), 1e-37f);
    f8 inv[9], rows[16] = {};
    gather_items<9>(plan.inverses + 9 * size_t(first), lanes, inv);
    const f8 edges[3][3] = {{e1.x, e2.x, n.x}, {e1.y, e2.y, n.y}, {e1.z, e2.z, n.z}};
    for (int i = 0; i < 3; ++i)
        for (int j = 0; j < 3; ++j)
            rows[3 * i + j] =
                edges[i][0] * inv[j] + edges[i][1] * inv[3 + j] + edges[i][2] * inv[6 + j];
    scatter_items<9, FACE_STRIDE>(rows, out + FACE_STRIDE * size_t(first), lanes);
}

// Nearest rotation by Higham's iteration R <- (R + R^-T) / 2.
FLEX_INLINE M3 polar_rotation(M3 m) {
    const f8 zero = splat(0.0f), one = splat(1.0f);
    const M3 identity = {{{one, zero, zero}, {zero, one, zero}, {zero, zero, one}}};
    const i8 folded = above(splat(FOLDED), dot(m.r[0], cross(m.r[1], m.r[2])));
    for (int i = 0; i < 3; ++i)
        m.r[i] = {select(folded, identity.r[i].x, m.r[i].x),
                  select(folded, identity.r[i].y, m.r[i].y),
                  select(folded, identity.r[i].z, m.r[i].z)};
    for (int step = 0; step < POLAR_STEPS; ++step) {
        const M3 cofactor = {
            {cross(m.r[1], m.r[2]), cross(m.r[2], m.r[0]), cross(m.r[0], m.r[1])}};
        const f8 inv = 0.5f / dot(m.r[0], cofactor.r[0]);
        for (int i = 0; i < 3; ++i) m.r[i] = m.r[i] * splat(0.5f) + cofactor.r[i] * inv;
    }
    return m;
}

// Rotations to unit quaternions with w >= 0: the largest of the four ways to get one.
FLEX_INLINE void matrix_to_quat(const M3& m, f8 q[4]) {
    const f8 xx = m.r[0].x, yy = m.r[1].y, zz = m.r[2].z;
    const f8 x = m.r[2].y - m.r[1].z, y = m.r[0].z - m.r[2].x, z = m.r[1].x - m.r[0].y;
    const f8 xy = m.r[0].y + m.r[1].x, xz = m.r[0].z + m.r[2].x, yz = m.r[1].z + m.r[2].y;
    const f8 ways[4][4] = {{1 + xx + yy + zz, x, y, z},
                           {x, 1 + xx - yy - zz, xy, xz},
                           {y, xy, 1 - xx + yy - zz, yz},
                           {z, xz, yz, 1 - xx - yy + zz}};
    f8 best = ways[0][0];
    for (int k = 0; k < 4; ++k) q[k] = ways[0][k];
    for (int way = 1; way < 4; ++way) {
        const i8 better = above(ways[way][way], best);
        best = select(better, ways[way][way], best);
        for (int k = 0; k < 4; ++k) q[k] = select(better, ways[way][k], q[k]);
    }
    f8 scale = 1.0f / sqrt8(q[0] * q[0] + q[1] * q[1] + q[2] * q[2] + q[3] * q[3]);
    scale = select(above(splat(0.0f), q[0]), -scale, scale);
    for (int k = 0; k < 4; ++k) q[k] *= scale;
}

// Position, gradient and turn of eight vertices.
void vertex_motion(const DeformPlan& plan, const float* posed, const float* faces, int first,
                   int lanes, float* out) {
    f8 rows[16] = {};  // one vertex each: gradient 0..7 below, 8 above
    for (int l = 0; l < lanes; ++l) {
        const int v = first + l, start = plan.around_start[v], end = plan.around_start[v + 1];
        if (start == end) {  // no usable face: it has not turned
            rows[l] = f8{1, 0, 0, 0, 1, 0, 0, 0};
            rows[l + 8][0] = 1;
        }
        for (int i = start; i < end; ++i) {
            const float* gradient = faces + FACE_STRIDE * size_t(plan.around_face[i]);
            rows[l] += plan.around_weight[i] * load(gradient);
            rows[l + 8][0] += plan.around_weight[i] * gradient[8];
        }
    }
    transpose8(rows);
    transpose8(rows + 8);
    const M3 gradient = {{{rows[0], rows[1], rows[2]}, {rows[3], rows[4], rows[5]},
                          {rows[6], rows[7], rows[8]}}};
    f8 fields[16] = {};
    gather_items<3>(posed + 3 * size_t(first), lanes, fields);
    for (int i = 0; i < 9; ++i) fields[3 + i] = rows[i];
    matrix_to_quat(polar_rotation(gradient), fields + 12);
    transpose8(fields);
    transpose8(fields + 8);
    for (int l = 0; l < lanes; ++l) {
        float* vertex = out + VERTEX_STRIDE * size_t(first + l);
        store(vertex, fields[l]);
        store(vertex + 8, fields[l + 8]);
    }
}

// The fields of one corner of eight splats.
FLEX_INLINE void read_corner(const float* vertices, const int32_t* ids, f8 fields[16]) {
    for (int l = 0; l < LANES; ++l) {
        const float* vertex = vertices + VERTEX_STRIDE * size_t(ids[l]);
        fields[l] = load(vertex);
        fields[l + 8] = load(vertex + 8);
    }
    transpose8(fields);
    transpose8(fields + 8);
}

// Weighted mean of the three corners, quaternions on the first one's side; not yet a unit one.
FLEX_INLINE void blend_corners(const float* vertices, const int32_t* ids, const f8* bary,
                               f8 blended[16]) {
    f8 first[4];
    read_corner(vertices, ids, blended);
    for (int k = 0; k < 4; ++k) first[k] = blended[12 + k];
    for (int k = 0; k < 16; ++k) blended[k] *= bary[0];
    for (int corner = 1; corner < 3; ++corner) {
        f8 fields[16];
        read_corner(vertices, ids + LANES * corner, fields);
        f8 side = splat(0.0f);
        for (int k = 0; k < 4; ++k) side += first[k] * fields[12 + k];
        const f8 weight = bary[corner];
        const f8 signed_weight = select(above(splat(0.0f), side), -weight, weight);
        for (int k = 0; k < 12; ++k) blended[k] += weight * fields[k];
        for (int k = 12; k < 16; ++k) blended[k] += signed_weight * fields[k];
    }
}

// Moves eight splats with the surface, and changes them first where there is something to change.
void move_splats(const DeformPlan& plan, const ChangePlan* changes, const float* map,
                 const DeformOutput& out, int block) {
    const size_t first = size_t(block) * LANES;
    const int lanes = std::min(LANES, plan.splats - int(first));
    const int32_t* ids = plan.splat_vertices + size_t(block) * 3 * LANES;
    f8 own[SPLAT_FIELDS], moved[16];
    for (int k = 0; k < SPLAT_FIELDS; ++k)
        own[k] = load(plan.splat_fields + (size_t(block) * SPLAT_FIELDS + k) * LANES);
    if (const int number = changes ? changes->number[block] : -1; number >= 0)
        change_splats(*changes, map, number, int(first), lanes, own, out);
    blend_corners(out.vertices, ids, own, moved);
    const M3 gradient = {{{moved[3], moved[4], moved[5]}, {moved[6], moved[7], moved[8]},
                          {moved[9], moved[10], moved[11]}}};
    const V3 offset = gradient * V3{own[3], own[4], own[5]};
    const f8 means[3] = {moved[0] + offset.x, moved[1] + offset.y, moved[2] + offset.z};

    f8* turn = moved + 12;
    f8 norm = splat(0.0f), quats[4];
    for (int k = 0; k < 4; ++k) norm += turn[k] * turn[k];
    norm = 1.0f / sqrt8(max8(norm, splat(1e-24f)));
    for (int k = 0; k < 4; ++k) turn[k] *= norm;
    multiply_quats(turn, own + 6, quats);

    V3 axes[3];
    rotation_columns(own + 6, axes);
    f8 scales[3];
    for (int k = 0; k < 3; ++k) {
        const V3 stretched = gradient * axes[k];
        const f8 stretch = sqrt8(dot(stretched, stretched));
        scales[k] = own[10 + k] * clamp8(stretch, splat(STRETCH_LOW), splat(STRETCH_HIGH));
    }
    scatter_items<3>(means, out.means + 3 * first, lanes);
    scatter_items<4>(quats, out.quats + 4 * first, lanes);
    scatter_items<3>(scales, out.scales + 3 * first, lanes);
}

// Calls work(first, lanes) for groups of eight out of `count`, in parallel pieces.
template <class Work>
void for_groups(int count, int piece, Work work) {
    parallel_for((count + piece - 1) / piece, [&](int p) {
        const int end = std::min(count, (p + 1) * piece);
        for (int i = p * piece; i < end; i += LANES) work(i, std::min(LANES, end - i));
    });
}

}  // namespace

void deform(const DeformPlan& plan, const float* posed, const ChangePlan* changes,
            const float* map, const DeformOutput& out) {
    for_groups(plan.faces, FACES_AT_ONCE, [&](int first, int lanes) {
        face_gradients(plan, posed, first, lanes, out.face_gradients);
    });
    for_groups(plan.vertices, VERTICES_AT_ONCE, [&](int first, int lanes) {
        vertex_motion(plan, posed, out.face_gradients, first, lanes, out.vertices);
    });
    for_groups(plan.splats, SPLATS_AT_ONCE,
               [&](int first, int) { move_splats(plan, changes, map, out, first / LANES); });
}

}  // namespace flex
