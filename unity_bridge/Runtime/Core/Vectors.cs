using System;

namespace FlexAvatar
{
    /// <summary>
    /// Three numbers, without an engine's type: metres in the head frame or an engine's.
    /// </summary>
    public struct Float3 : IEquatable<Float3>
    {
        public float X, Y, Z;

        public Float3(float x, float y, float z)
        {
            X = x;
            Y = y;
            Z = z;
        }

        public readonly bool Equals(Float3 other) => X == other.X && Y == other.Y && Z == other.Z;
    }

    /// <summary>A rotation: unit, wxyz.</summary>
    public struct Quat
    {
        public float W, X, Y, Z;

        public Quat(float w, float x, float y, float z)
        {
            W = w;
            X = x;
            Y = y;
            Z = z;
        }
    }
}
