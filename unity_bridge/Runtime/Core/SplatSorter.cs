using System;

namespace FlexAvatar
{
    /// <summary>
    /// Orders splats back to front along a direction, by a counting sort of 16-bit depths: two
    /// passes, no comparison, and no allocation once it has seen as many splats.
    /// </summary>
    public class SplatSorter
    {
        const int Steps = 1 << 16;
        readonly int[] _offsets = new int[Steps];
        float[] _depths = Array.Empty<float>();
        ushort[] _keys = Array.Empty<ushort>();

        /// <summary>
        /// The order found last: the farthest first; at least as long as the count.
        /// </summary>
        public uint[] Order { get; private set; } = Array.Empty<uint>();

        /// <summary>
        /// Sort by distance along `forward`, the way the camera looks, head frame.
        /// </summary>
        public virtual void Sort(PackedSplat[] splats, int count, Float3 forward)
        {
            Reserve(count);
            MeasureDepths(splats, count, forward, out float near, out float far);
            float perMetre = far > near ? (Steps - 1) / (far - near) : 0;
            Array.Clear(_offsets, 0, Steps);
            for (int i = 0; i < count; i++)
            {
                int key = (int)((far - _depths[i]) * perMetre);
                _keys[i] = (ushort)Math.Min(Math.Max(key, 0), Steps - 1);
                _offsets[_keys[i]]++;
            }
            SumOffsets();
            var (keys, offsets, order) = (_keys, _offsets, Order);
            // of equal ones the first is nearest, as on the server
            for (int i = count - 1; i >= 0; i--)
                order[offsets[keys[i]]++] = (uint)i;
        }

        void Reserve(int count)
        {
            if (_depths.Length >= count)
                return;
            _depths = new float[count];
            _keys = new ushort[count];
            Order = new uint[count];
        }

        void MeasureDepths(
            PackedSplat[] splats, int count, Float3 forward, out float near, out float far)
        {
            (near, far) = (float.PositiveInfinity, float.NegativeInfinity);
            for (int i = 0; i < count; i++)
            {
                Float3 p = splats[i].Position;
                float depth = p.X * forward.X + p.Y * forward.Y + p.Z * forward.Z;
                if (float.IsNaN(depth) || float.IsInfinity(depth))
                    depth = 0; // what a broken peer sent; it must not spoil the range
                _depths[i] = depth;
                near = Math.Min(near, depth);
                far = Math.Max(far, depth);
            }
        }

        void SumOffsets()
        {
            int offset = 0;
            for (int step = 0; step < Steps; step++)
                (_offsets[step], offset) = (offset, offset + _offsets[step]);
        }
    }
}
