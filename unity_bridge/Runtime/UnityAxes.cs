using UnityEngine;

namespace FlexAvatar
{
    /// <summary>The core's axes in Unity's types.</summary>
    public static class UnityAxes
    {
        /// <summary>
        /// Turns z round: what a point of the head frame is multiplied with first.
        /// </summary>
        public static readonly Matrix4x4 HeadToUnity = Matrix4x4.Scale(new Vector3(1, 1, -1));

        public static Vector3 ToUnity(Float3 head)
        {
            Float3 unity = Axes.ToUnity(head);
            return new Vector3(unity.X, unity.Y, unity.Z);
        }

        public static Float3 FromUnity(Vector3 unity) =>
            Axes.FromUnity(new Float3(unity.x, unity.y, unity.z));

        /// <summary>A turn in Unity's axes as axis-angle in the head frame, radians.</summary>
        public static Float3 AxisAngle(Quaternion turn)
        {
            Quat q = Axes.FromUnity(new Quat(turn.w, turn.x, turn.y, turn.z));
            float side = q.W < 0 ? -1 : 1;
            float sine = Mathf.Sqrt(q.X * q.X + q.Y * q.Y + q.Z * q.Z);
            float perSine = side * (sine > 1e-6f ? 2 * Mathf.Atan2(sine, q.W * side) / sine : 2);
            return new Float3(q.X * perSine, q.Y * perSine, q.Z * perSine);
        }

        /// <summary>A row-major matrix of 16.</summary>
        public static Matrix4x4 Matrix(float[] rows)
        {
            var matrix = new Matrix4x4();
            for (int i = 0; i < 16; i++)
                matrix[i / 4, i % 4] = rows[i];
            return matrix;
        }
    }
}
