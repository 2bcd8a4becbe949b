// Stand-ins for UnityEngine's numbers, see Objects.cs.

using System;

namespace UnityEngine
{
    public static class Mathf
    {
        public const float Rad2Deg = 57.29578f;
        public static float Clamp01(float value) => Math.Min(Math.Max(value, 0), 1);
        public static float Sin(float value) => (float)Math.Sin(value);
        public static float Sqrt(float value) => (float)Math.Sqrt(value);
        public static float Atan2(float y, float x) => (float)Math.Atan2(y, x);
        public static float Repeat(float value, float length) =>
            value - (float)Math.Floor(value / length) * length;
        public static int Max(int a, int b) => Math.Max(a, b);
    }

    public struct Vector2
    {
        public float x, y;
        public Vector2(float x, float y) => (this.x, this.y) = (x, y);
        public static Vector2 zero => default;
    }

    public struct Vector3
    {
        public float x, y, z;
        public Vector3(float x, float y, float z) => (this.x, this.y, this.z) = (x, y, z);
        public static Vector3 zero => default;
        public float sqrMagnitude => x * x + y * y + z * z;
        public Vector3 normalized => this * (1 / Mathf.Sqrt(sqrMagnitude));
        public static Vector3 operator -(Vector3 a, Vector3 b) =>
            new Vector3(a.x - b.x, a.y - b.y, a.z - b.z);
        public static Vector3 operator *(Vector3 a, float b) =>
            new Vector3(a.x * b, a.y * b, a.z * b);
        public static Vector3 operator *(float b, Vector3 a) => a * b;
    }

    public struct Vector4
    {
        public float x, y, z, w;
        public Vector4(float x, float y, float z, float w) =>
            (this.x, this.y, this.z, this.w) = (x, y, z, w);
    }

    public struct Quaternion
    {
        public float x, y, z, w;

        /// <summary>Degrees; turns around z, then x, then y.</summary>
        public static Quaternion Euler(Vector3 degrees)
        {
            float Half(float angle) => angle / Mathf.Rad2Deg / 2;
            var (x, y, z) = (Half(degrees.x), Half(degrees.y), Half(degrees.z));
            return About(0, Mathf.Sin(y), 0, y) * About(Mathf.Sin(x), 0, 0, x)
                * About(0, 0, Mathf.Sin(z), z);
        }

        static Quaternion About(float x, float y, float z, float half) =>
            new Quaternion { x = x, y = y, z = z, w = (float)Math.Cos(half) };

        public static Quaternion operator *(Quaternion a, Quaternion b) => new Quaternion
        {
            w = a.w * b.w - a.x * b.x - a.y * b.y - a.z * b.z,
            x = a.w * b.x + a.x * b.w + a.y * b.z - a.z * b.y,
            y = a.w * b.y + a.y * b.w + a.z * b.x - a.x * b.z,
            z = a.w * b.z + a.z * b.w + a.x * b.y - a.y * b.x,
        };
    }

    public struct Bounds
    {
        public Bounds(Vector3 center, Vector3 size) { }
        public void Encapsulate(Vector3 point) { }
    }

    public struct Matrix4x4
    {
        public float m00, m10, m20, m30, m01, m11, m21, m31, m02, m12, m22, m32, m03, m13, m23, m33;

        public float this[int row, int column]
        {
            get => Cells(ref this)[4 * column + row];
            set => Cells(ref this)[4 * column + row] = value;
        }

        static Span<float> Cells(ref Matrix4x4 matrix) =>
            System.Runtime.InteropServices.MemoryMarshal.CreateSpan(ref matrix.m00, 16);

        public static Matrix4x4 Scale(Vector3 by) =>
            new Matrix4x4 { m00 = by.x, m11 = by.y, m22 = by.z, m33 = 1 };

        public static Matrix4x4 operator *(Matrix4x4 a, Matrix4x4 b)
        {
            var product = new Matrix4x4();
            for (int row = 0; row < 4; row++)
                for (int column = 0; column < 4; column++)
                    for (int i = 0; i < 4; i++)
                        product[row, column] += a[row, i] * b[i, column];
            return product;
        }

        public Vector3 MultiplyPoint(Vector3 p) => new Vector3(
            m00 * p.x + m01 * p.y + m02 * p.z + m03,
            m10 * p.x + m11 * p.y + m12 * p.z + m13,
            m20 * p.x + m21 * p.y + m22 * p.z + m23);

        /// <summary>Of a rotation, a mirroring and a shift: all that the tests have.</summary>
        public Matrix4x4 inverse
        {
            get
            {
                var turned = new Matrix4x4 { m33 = 1 };
                for (int row = 0; row < 3; row++)
                    for (int column = 0; column < 3; column++)
                        turned[row, column] = this[column, row];
                Vector3 shift = turned.MultiplyPoint(new Vector3(-m03, -m13, -m23));
                (turned.m03, turned.m13, turned.m23) = (shift.x, shift.y, shift.z);
                return turned;
            }
        }
    }
}
