// The C interface that Python loads. A function that allocates returns 0, or 1 when out of memory.
#include "adam.h"
#include "blend.h"
#include "conv.h"
#include "deform.h"
#include "mesh.h"
#include "pool.h"
#include "pose_splats.h"
#include "raster.h"
#include "view_loss.h"

#define FLEX_EXPORT extern "C" __attribute__((visibility("default")))

using namespace flex;

namespace {

template <class Work>
int guarded(Work work) {
    FlushDenormals flush;
    try {
        work();
        return 0;
    } catch (const std::bad_alloc&) {
        return 1;
    }
}

}  // namespace

FLEX_EXPORT void flex_set_threads(int count) { set_threads(count); }
FLEX_EXPORT int flex_get_threads() { return get_threads(); }

FLEX_EXPORT void* flex_context_new() { return new (std::nothrow) Context; }
FLEX_EXPORT void flex_context_free(void* context) { delete static_cast<Context*>(context); }

FLEX_EXPORT int flex_project(void* context, const Pinhole* camera, int count,
                             const GaussianArrays* gaussians) {
    return guarded([&] {
        Context& ctx = *static_cast<Context*>(context);
        ctx.camera = *camera;
        ctx.count = count;
        ctx.tiles_x = (camera->width + TILE - 1) >> TILE_SHIFT;
        ctx.tiles_y = (camera->height + TILE - 1) >> TILE_SHIFT;
        project(ctx, *gaussians);
    });
}

// Only after flex_project: rows of pixels from first_row to last_row, multiples of TILE but for the
// picture's last.
FLEX_EXPORT int flex_draw(void* context, const Image* image, int first_row, int last_row) {
    return guarded([&] {
        draw(*static_cast<Context*>(context), *image, first_row >> TILE_SHIFT,
             (last_row + TILE - 1) >> TILE_SHIFT);
    });
}

// Only after flex_draw of all rows into floats, with the same Gaussians.
FLEX_EXPORT int flex_draw_backward(void* context, const PictureGradient* picture,
                                   const GaussianArrays* gaussians, const GradientArrays* out) {
    return guarded([&] {
        draw_backward(*static_cast<Context*>(context), *picture, *gaussians, *out);
    });
}

FLEX_EXPORT int flex_deform(const DeformPlan* plan, const float* posed, const ChangePlan* changes,
                            const float* map, const DeformOutput* out) {
    return guarded([&] { deform(*plan, posed, changes, map, *out); });
}

FLEX_EXPORT int flex_blend(int count, const GaussianArrays* a, const GaussianArrays* b, float share,
                           const GradientArrays* out) {
    return guarded([&] { blend(count, *a, *b, share, *out); });
}

FLEX_EXPORT int flex_lerp(const float* a, const float* b, float share, int count, float* out) {
    return guarded([&] { lerp(a, b, share, size_t(count), out); });
}

FLEX_EXPORT int flex_sample(const SamplePlan* plan, const float* field, float* table) {
    return guarded([&] { sample(*plan, field, table); });
}

FLEX_EXPORT int flex_skin(const SkinPlan* plan, const float* coefficients, const float* transforms,
                          float* out) {
    return guarded([&] { skin(*plan, coefficients, transforms, out); });
}

FLEX_EXPORT int flex_mesh(const ProjectedMesh* mesh, const MeshPicture* out) {
    return guarded([&] { draw_mesh(*mesh, *out); });
}

FLEX_EXPORT int flex_run_layers(const Layer* layers, int count) {
    return guarded([&] { run_layers(layers, count); });
}

FLEX_EXPORT void flex_adam_step(const AdamStep* step) {
    FlushDenormals flush;
    adam_step(*step);
}

FLEX_EXPORT void flex_pose_splats(const PosePlan* plan, const GaussianArrays* values,
                                  const GradientArrays* out) {
    FlushDenormals flush;
    pose_splats(*plan, *values, *out);
}

FLEX_EXPORT void flex_pose_splats_backward(const PosePlan* plan, const GaussianArrays* values,
                                           const GaussianArrays* grads,
                                           const GradientArrays* out) {
    FlushDenormals flush;
    pose_splats_backward(*plan, *values, *grads, *out);
}

FLEX_EXPORT int64_t flex_view_loss_scratch(int width, int height) {
    return view_loss_scratch(width, height);
}

FLEX_EXPORT int flex_view_loss(const ViewTarget* target, const float* rgba, float* scratch,
                               float* gradient, double* loss) {
    return guarded([&] { *loss = view_loss(*target, rgba, scratch, gradient); });
}
