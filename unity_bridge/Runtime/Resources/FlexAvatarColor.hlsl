// Colours of photos are as displayed; a project in linear space blends light instead.

float3 FlexToProject(float3 displayed)
{
#ifdef UNITY_COLORSPACE_GAMMA
    return displayed;
#else
    float3 low = displayed / 12.92;
    float3 high = pow(max((displayed + 0.055) / 1.055, 0.0), 2.4);
    return lerp(low, high, step(0.04045, displayed));
#endif
}

float4 FlexToProjectPremultiplied(float4 displayed)
{
    return float4(FlexToProject(displayed.rgb / max(displayed.a, 1e-4)) * displayed.a, displayed.a);
}
