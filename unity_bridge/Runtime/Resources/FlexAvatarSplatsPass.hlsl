// The stages of FlexAvatarSplats.shader, the same in every pipeline.

#include "FlexAvatarColor.hlsl"
#include "FlexAvatarSplats.hlsl"

FlexVertex Vertex(uint vertex : SV_VertexID, uint instance : SV_InstanceID)
{
    return FlexMakeVertex(vertex, instance, UNITY_MATRIX_P);
}

float4 Fragment(FlexVertex v) : SV_Target
{
    return FlexToProjectPremultiplied(FlexShade(v));
}
