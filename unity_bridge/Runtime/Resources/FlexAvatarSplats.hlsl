// Gaussians of 16 bytes to ellipses on the screen, as the server's own rasteriser draws them:
// EWA splatting (Zwicker et al. 2001) with the constants of flexavatar/render. The pipeline's own
// files define FLEX_PROJECTION, its projection matrix.

#define FLEX_EPS2D 0.3        // pixels^2, added to every projected covariance
#define FLEX_ALPHA_MIN (1.0 / 255.0)
#define FLEX_ALPHA_MAX 0.999
#define FLEX_NEAR 0.01

StructuredBuffer<uint4> _FlexSplats;
StructuredBuffer<uint> _FlexOrder;
float4x4 _FlexModelView; // head frame to the camera's: x right, y up, z towards the viewer
float4 _FlexScales;      // natural logarithms of the smallest and largest scale
float4 _FlexScreen;      // pixels

struct FlexSplat
{
    float3 position;
    float3x3 axes; // columns are the ellipsoid's half axes
    float4 color;  // not premultiplied, as displayed
};

struct FlexVertex
{
    float4 position : SV_POSITION;
    float2 offset : TEXCOORD0; // pixels from the middle
    nointerpolation float3 conic : TEXCOORD1;
    nointerpolation float4 color : COLOR0;
};

float4 FlexQuaternion(uint zAxis, uint scalesAngle) // xyzw
{
    float x = ((zAxis >> 16) & 255) / 127.5 - 1.0;
    float y = (zAxis >> 24) / 127.5 - 1.0;
    float z = 1.0 - abs(x) - abs(y);
    float fold = max(-z, 0.0);
    x -= x >= 0.0 ? fold : -fold;
    y -= y >= 0.0 ? fold : -fold;
    float halfAngle = (scalesAngle >> 24) * (3.14159265 / 510.0);
    return float4(normalize(float3(x, y, z)) * sin(halfAngle), cos(halfAngle));
}

float3x3 FlexRotation(float4 q)
{
    float3 d = q.xyz * q.xyz;
    return float3x3(
        1 - 2 * (d.y + d.z), 2 * (q.x * q.y - q.w * q.z), 2 * (q.x * q.z + q.w * q.y),
        2 * (q.x * q.y + q.w * q.z), 1 - 2 * (d.x + d.z), 2 * (q.y * q.z - q.w * q.x),
        2 * (q.x * q.z - q.w * q.y), 2 * (q.y * q.z + q.w * q.x), 1 - 2 * (d.x + d.y));
}

float FlexScale(uint steps)
{
    float range = _FlexScales.y - _FlexScales.x;
    return steps == 0 ? 0.0 : exp(_FlexScales.x + (steps - 1.0) * range / 254.0);
}

FlexSplat FlexUnpack(uint4 p)
{
    FlexSplat splat;
    splat.position = float3(f16tof32(p.y & 0xFFFF), f16tof32(p.y >> 16), f16tof32(p.z & 0xFFFF));
    float3 scale = float3(
        FlexScale(p.w & 255), FlexScale((p.w >> 8) & 255), FlexScale((p.w >> 16) & 255));
    float3x3 turn = FlexRotation(FlexQuaternion(p.z, p.w));
    splat.axes = float3x3(turn[0] * scale, turn[1] * scale, turn[2] * scale);
    splat.color = float4(p.x & 255, (p.x >> 8) & 255, (p.x >> 16) & 255, p.x >> 24) / 255.0;
    return splat;
}

// Corner `vertex` of the rectangle around splat number `instance` from behind.
FlexVertex FlexMakeVertex(uint vertex, uint instance, float4x4 projection)
{
    FlexVertex result = (FlexVertex)0;
    result.position = float4(2, 2, 2, 1); // beyond the screen: not drawn
    FlexSplat splat = FlexUnpack(_FlexSplats[_FlexOrder[instance]]);
    float3 seen = mul(_FlexModelView, float4(splat.position, 1)).xyz;
    if (-seen.z < FLEX_NEAR || splat.color.a < FLEX_ALPHA_MIN)
        return result;
    float4 clip = mul(projection, float4(seen, 1));
    float2 focal = float2(projection[0][0], projection[1][1]) * 0.5 * _FlexScreen.xy;
    // how pixels move with the point, for a perspective projection
    float3 alongX = float3(focal.x, 0, focal.x * seen.x / -seen.z) / -seen.z;
    float3 alongY = float3(0, focal.y, focal.y * seen.y / -seen.z) / -seen.z;
    float3x3 axes = mul((float3x3)_FlexModelView, splat.axes);
    float3 a = mul(alongX, axes), b = mul(alongY, axes);
    float xx = dot(a, a) + FLEX_EPS2D, xy = dot(a, b), yy = dot(b, b) + FLEX_EPS2D;
    float det = xx * yy - xy * xy;
    float2 reach = sqrt(2 * log(splat.color.a / FLEX_ALPHA_MIN)) * sqrt(float2(xx, yy));
    const float2 corners[6] = {
        float2(-1, -1), float2(1, -1), float2(1, 1), float2(-1, -1), float2(1, 1), float2(-1, 1)
    };
    result.offset = corners[vertex % 6] * reach;
    result.position = clip + float4(result.offset * 2 / _FlexScreen.xy * clip.w, 0, 0);
    result.conic = float3(yy, -xy, xx) / det;
    result.color = splat.color;
    return result;
}

// Premultiplied colour of a pixel.
float4 FlexShade(FlexVertex v)
{
    float2 d = v.offset;
    float sigma = 0.5 * (v.conic.x * d.x * d.x + v.conic.z * d.y * d.y) + v.conic.y * d.x * d.y;
    float alpha = min(v.color.a * exp(-sigma), FLEX_ALPHA_MAX);
    if (alpha < FLEX_ALPHA_MIN)
        discard;
    return float4(v.color.rgb * alpha, alpha);
}
