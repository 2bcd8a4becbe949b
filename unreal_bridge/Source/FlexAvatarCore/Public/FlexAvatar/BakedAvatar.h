// Poses a baked avatar from ARKit's 52 weights, without a server: see docs/baked.md.
#pragma once

#include "FlexAvatar/BakedFile.h"

namespace flexavatar {

// One instant, in the head frame.
struct PosedSplats {
    std::vector<float> means;      // [N, 3] metres
    std::vector<float> quats;      // [N, 4] wxyz, unit
    std::vector<float> scales;     // [N, 3] metres
    std::vector<float> opacities;  // [N]
    std::vector<float> colors;     // [N, 3] about 0..1, as displayed
};

// Used by one thread at a time.
class FLEXAVATARCORE_API BakedAvatar {
public:
    explicit BakedAvatar(BakedFile file);

    // Weights in Apple's order, the neck's axis-angle in radians. The result is written again by
    // the next call.
    const PosedSplats& pose(const float weights[ARKIT_WEIGHTS], const float neck[3]);
    // What was posed last, 16 bytes a splat as streamed; zeros for what is not finite.
    void pack(Bytes& out) const;

    const BakedFile& file() const { return file_; }

private:
    void measureFaces();
    void weighFields(const float weights[ARKIT_WEIGHTS]);
    void moveVertices(const float neck[3]);
    void moveSurface();
    void moveSplats();
    void foldLids();
    void changeColors();

    struct Vertex {
        float place[3], gradient[9], turn[4];
    };

    BakedFile file_;
    std::vector<float> inverses_;    // [F, 9] of the faces' edges at rest
    std::vector<float> faceShares_;  // [F, 3] of each face in its corners; 0 for slivers
    std::vector<uint32_t> loose_;    // vertices of no usable face
    std::vector<float> fieldWeights_, moved_;
    std::vector<Vertex> surface_;
    PosedSplats shown_;
};

}  // namespace flexavatar
