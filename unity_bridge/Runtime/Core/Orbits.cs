using System;

namespace FlexAvatar
{
    /// <summary>
    /// Turns of the server's camera around the head's origin, as it makes them of a signal's orbit.
    /// </summary>
    public static class Orbits
    {
        /// <summary>
        /// The view (row-major 16, OpenCV, head frame) after a turn of the view at rest.
        /// </summary>
        public static void Turn(float[] rest, float yawDeg, float pitchDeg, float[] view)
        {
            double yaw = yawDeg * Math.PI / 180, pitch = pitchDeg * Math.PI / 180;
            double cy = Math.Cos(yaw), sy = Math.Sin(yaw), cp = Math.Cos(pitch),
                sp = Math.Sin(pitch);
            for (int row = 0; row < 4; row++)
            {
                double a = rest[4 * row], b = rest[4 * row + 1], c = rest[4 * row + 2];
                double up = cp * b + sp * c, towards = cp * c - sp * b; // the row times the pitch
                view[4 * row] = (float)(cy * a + sy * towards);
                view[4 * row + 1] = (float)up;
                view[4 * row + 2] = (float)(cy * towards - sy * a);
                view[4 * row + 3] = rest[4 * row + 3];
            }
        }

        /// <summary>
        /// The turn that brings the camera into the direction of a place, head frame; for a camera
        /// that rests before the face.
        /// </summary>
        public static void Towards(float[] rest, Float3 place, out float yawDeg, out float pitchDeg)
        {
            Angles(Position(rest), out double yaw, out double pitch);
            Angles(place, out double wantedYaw, out double wantedPitch);
            yawDeg = (float)((wantedYaw - yaw) * 180 / Math.PI);
            pitchDeg = (float)((wantedPitch - pitch) * 180 / Math.PI);
        }

        static Float3 Position(float[] view)
        {
            float Of(int axis) =>
                -(view[axis] * view[3] + view[4 + axis] * view[7] + view[8 + axis] * view[11]);
            return new Float3(Of(0), Of(1), Of(2));
        }

        static void Angles(Float3 place, out double yaw, out double pitch)
        {
            yaw = Math.Atan2(place.X, place.Z);
            pitch = Math.Atan2(
                place.Y, Math.Sqrt((double)place.X * place.X + (double)place.Z * place.Z));
        }
    }
}
