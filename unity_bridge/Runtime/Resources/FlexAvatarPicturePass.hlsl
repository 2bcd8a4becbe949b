// The stages of FlexAvatarPicture.shader: a card where the server's camera saw the head.

#include "FlexAvatarColor.hlsl"

Texture2D<float4> _FlexPicture;
Texture2D<float4> _FlexDepth;
SamplerState sampler_FlexPicture;
float _FlexHasDepth;
float4x4 _FlexCameraToView; // from the server's camera to this one: x right, y up, z to the viewer
float4 _FlexIntrinsics;     // focal lengths and centre, pixels of the picture
float4 _FlexSize;           // width, height, distance of the card

struct PictureVertex
{
    float4 position : SV_POSITION;
    float2 pixel : TEXCOORD0; // from the top left
};

// A pixel at a distance along the server's camera's axis, in this camera's clip space.
float4 ToClip(float2 pixel, float distance)
{
    float2 ray = (pixel - _FlexIntrinsics.zw) / _FlexIntrinsics.xy;
    float4 seen = float4(ray.x * distance, -ray.y * distance, -distance, 1);
    return mul(UNITY_MATRIX_P, mul(_FlexCameraToView, seen));
}

PictureVertex Vertex(uint vertex : SV_VertexID)
{
    const float2 corners[6] = {
        float2(0, 0), float2(1, 0), float2(1, 1), float2(0, 0), float2(1, 1), float2(0, 1)
    };
    PictureVertex result;
    result.pixel = corners[vertex % 6] * _FlexSize.xy;
    result.position = ToClip(result.pixel, _FlexSize.z);
    return result;
}

float4 Fragment(PictureVertex v, out float depth : SV_Depth) : SV_Target
{
    float2 uv = float2(v.pixel.x / _FlexSize.x, 1 - v.pixel.y / _FlexSize.y);
    float4 displayed = _FlexPicture.Sample(sampler_FlexPicture, uv);
    if (displayed.a < 1.0 / 255.0)
        discard;
    float metres = _FlexHasDepth > 0 ? _FlexDepth.Load(int3(uv * _FlexSize.xy, 0)).r : 0;
    float4 clip = ToClip(v.pixel, metres > 0 ? metres : _FlexSize.z);
    depth = clip.z / clip.w;
#if defined(SHADER_API_GLCORE) || defined(SHADER_API_GLES3)
    depth = depth * 0.5 + 0.5;
#endif
    return FlexToProjectPremultiplied(displayed);
}
