using System;
using System.Buffers.Binary;

namespace FlexAvatar
{
    /// <summary>Numbers of a message at a byte's place, as proto/wire.md lays them out.</summary>
    internal static class LittleEndian
    {
        public static ushort Get16(ReadOnlySpan<byte> m, int at) =>
            BinaryPrimitives.ReadUInt16LittleEndian(m.Slice(at));
        public static uint Get32(ReadOnlySpan<byte> m, int at) =>
            BinaryPrimitives.ReadUInt32LittleEndian(m.Slice(at));
        public static ulong Get64(ReadOnlySpan<byte> m, int at) =>
            BinaryPrimitives.ReadUInt64LittleEndian(m.Slice(at));
        public static float GetFloat(ReadOnlySpan<byte> m, int at) =>
            BitConverter.Int32BitsToSingle((int)Get32(m, at));
        public static Float3 GetFloat3(ReadOnlySpan<byte> m, int at) =>
            new Float3(GetFloat(m, at), GetFloat(m, at + 4), GetFloat(m, at + 8));

        public static void Put16(Span<byte> m, int at, ushort value) =>
            BinaryPrimitives.WriteUInt16LittleEndian(m.Slice(at), value);
        public static void Put32(Span<byte> m, int at, uint value) =>
            BinaryPrimitives.WriteUInt32LittleEndian(m.Slice(at), value);
        public static void Put64(Span<byte> m, int at, ulong value) =>
            BinaryPrimitives.WriteUInt64LittleEndian(m.Slice(at), value);
        public static void PutFloat(Span<byte> m, int at, float value) =>
            Put32(m, at, (uint)BitConverter.SingleToInt32Bits(value));
        public static void PutFloat3(Span<byte> m, int at, Float3 value)
        {
            PutFloat(m, at, value.X);
            PutFloat(m, at + 4, value.Y);
            PutFloat(m, at + 8, value.Z);
        }
    }
}
