// Gaussians as rows of a texture, and the camera as the splat material asks for it.
#pragma once

#include "FlexAvatar/Splats.h"

namespace flexavatar {

// A chunk is a row of RGBA half floats, four texels for each of its 256 Gaussians:
// x y z opacity | quaternion wxyz | scale x y z, 0 | red green blue, 0. Head frame, metres.
constexpr uint32_t TEXELS_PER_SPLAT = 4;
constexpr uint32_t ROW_TEXELS = CHUNK_SPLATS * TEXELS_PER_SPLAT;
constexpr size_t ROW_BYTES = size_t(ROW_TEXELS) * 4 * sizeof(uint16_t);

class FLEXAVATARCORE_API SplatRows {
public:
    SplatRows();
    // ROW_TEXELS * 4 half floats; what is beyond the last Gaussian is 0.
    void write(const SplatBuffer& splats, uint32_t chunk, uint16_t* out);

private:
    void setRange(float low, float high);
    uint16_t shares_[256], scales_[256];
    float sines_[256], cosines_[256];
    float low_ = 0, high_ = 0;
};

// A camera in an avatar's own space: Unreal's axes and centimetres, before its component's
// transform. Right, up and forward are unit vectors.
struct LocalCamera {
    float place[3], right[3], up[3], forward[3];
};
struct SplatCamera {
    float rows[3][4];  // head frame in metres -> camera (OpenCV's axes) in centimetres
    float back[3][4];  // camera -> the avatar's own space
};
FLEXAVATARCORE_API SplatCamera splatCamera(const LocalCamera& camera);

}  // namespace flexavatar
