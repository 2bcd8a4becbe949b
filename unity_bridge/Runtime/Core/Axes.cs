namespace FlexAvatar
{
    /// <summary>
    /// The head frame (right-handed, y up, face to +z, metres) to Unity's (left-handed): z turns
    /// its sign, so the face looks to -z, towards a camera that stands behind it at -z. Nothing
    /// else in this package converts axes.
    /// </summary>
    public static class Axes
    {
        public static Float3 ToUnity(Float3 head) => new Float3(head.X, head.Y, -head.Z);

        public static Float3 FromUnity(Float3 unity) => new Float3(unity.X, unity.Y, -unity.Z);

        public static Quat ToUnity(Quat head) => new Quat(head.W, -head.X, -head.Y, head.Z);

        public static Quat FromUnity(Quat unity) => new Quat(unity.W, -unity.X, -unity.Y, unity.Z);

        /// <summary>
        /// A world-to-camera matrix (row-major, 16, OpenCV: x right, y down, z forward) to Unity's
        /// world-to-camera (row-major, x right, y up, z towards the viewer, world of Unity).
        /// </summary>
        public static void ViewToUnity(float[] opencv, float[] unity)
        {
            for (int row = 0; row < 4; row++)
                for (int column = 0; column < 4; column++)
                {
                    bool turned = (row == 1 || row == 2) != (column == 2);
                    unity[4 * row + column] = (turned ? -1 : 1) * opencv[4 * row + column];
                }
        }
    }
}
