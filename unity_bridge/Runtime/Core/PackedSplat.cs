using System;
using System.Runtime.InteropServices;

namespace FlexAvatar
{
    /// <summary>
    /// One Gaussian in 16 bytes, as on the wire and on the GPU (little-endian machines).
    /// </summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct PackedSplat
    {
        public const int Bytes = 16;

        /// <summary>Red, green, blue, opacity.</summary>
        public uint Color;
        /// <summary>float16 x and y.</summary>
        public uint XY;
        /// <summary>float16 z, octahedral axis u, v.</summary>
        public uint ZAxis;
        /// <summary>Steps of the scales' logarithm along x, y, z; the rotation's angle.</summary>
        public uint ScalesAngle;

        /// <summary>Position in the head frame, metres.</summary>
        public readonly Float3 Position => new Float3(
            Float16.ToSingle((ushort)XY), Float16.ToSingle((ushort)(XY >> 16)),
                Float16.ToSingle((ushort)ZAxis));
    }

    /// <summary>
    /// One Gaussian unpacked: head frame, metres; colour and opacity 0..1, not premultiplied.
    /// </summary>
    public struct Splat
    {
        public Float3 Position;
        public Quat Rotation;
        public Float3 Scale;
        public Float3 Color;
        public float Opacity;
    }

    /// <summary>
    /// Unpacks splats of one range of scales; keep one and call <see cref="SetRange"/>.
    /// </summary>
    public sealed class SplatUnpacker
    {
        readonly float[] _scales = new float[256];
        float _min = float.NaN, _max = float.NaN;

        /// <summary>
        /// Natural logarithms of the smallest and largest scale, from the header.
        /// </summary>
        public void SetRange(float scaleMin, float scaleMax)
        {
            if (scaleMin == _min && scaleMax == _max)
                return;
            (_min, _max) = (scaleMin, scaleMax);
            for (int v = 1; v < 256; v++)
                _scales[v] =
                    (float)Math.Exp(scaleMin + (v - 1) * ((double)scaleMax - scaleMin) / 254);
        }

        public Splat Unpack(in PackedSplat packed) => new Splat
        {
            Position = packed.Position,
            Rotation = Rotation(packed),
            Scale = new Float3(
                _scales[(byte)packed.ScalesAngle],
                _scales[(byte)(packed.ScalesAngle >> 8)],
                _scales[(byte)(packed.ScalesAngle >> 16)]),
            Color = new Float3(
                (byte)packed.Color / 255f, (byte)(packed.Color >> 8) / 255f,
                    (byte)(packed.Color >> 16) / 255f),
            Opacity = (packed.Color >> 24) / 255f,
        };

        static Quat Rotation(in PackedSplat packed)
        {
            float x = (byte)(packed.ZAxis >> 16) / 127.5f - 1;
            float y = (packed.ZAxis >> 24) / 127.5f - 1;
            float z = 1 - Math.Abs(x) - Math.Abs(y);
            float fold = Math.Max(-z, 0);
            x -= x >= 0 ? fold : -fold;
            y -= y >= 0 ? fold : -fold;
            double half = (packed.ScalesAngle >> 24) * (Math.PI / 510);
            float sine =
                (float)(Math.Sin(half) / Math.Sqrt((double)x * x + (double)y * y + (double)z * z));
            return new Quat((float)Math.Cos(half), x * sine, y * sine, z * sine);
        }
    }

    /// <summary>float16, which .NET Standard 2.1 does not have.</summary>
    public static class Float16
    {
        static readonly float[] Table = MakeTable();

        public static float ToSingle(ushort bits) => Table[bits];

        static float[] MakeTable()
        {
            var table = new float[65536];
            for (int i = 0; i < table.Length; i++)
                table[i] = Convert(i);
            return table;
        }

        static float Convert(int bits)
        {
            int exponent = (bits >> 10) & 31, mantissa = bits & 1023;
            float sign = bits >> 15 == 0 ? 1 : -1;
            if (exponent == 31)
                return mantissa == 0 ? sign * float.PositiveInfinity : float.NaN;
            double value = exponent == 0 ? mantissa / 1024.0 * 2 : 1 + mantissa / 1024.0;
            return sign * (float)(value * Math.Pow(2, exponent - 15));
        }
    }
}
