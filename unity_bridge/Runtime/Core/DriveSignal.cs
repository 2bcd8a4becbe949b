using System;
using static FlexAvatar.LittleEndian;

namespace FlexAvatar
{
    /// <summary>What a drive packet says; what is left out stays as it was.</summary>
    [Flags]
    public enum DriveParts : ushort
    {
        None = 0,
        Arkit = 1,
        Head = 2,
        Orbit = 4,
        Morph = 8,
    }

    /// <summary>
    /// How the face, the head and the camera should be next. Head frame: axis-angle, radians,
    /// metres.
    /// </summary>
    public sealed class DriveSignal
    {
        /// <summary>Size of a drive packet, see proto/wire.md.</summary>
        public const int PacketBytes = 336;
        const int TokenBytes = 32;
        const uint Magic = 0x44584C46; // "FLXD"
        const ushort Version = 1;
        const DriveParts AllParts =
            DriveParts.Arkit | DriveParts.Head | DriveParts.Orbit | DriveParts.Morph;

        public DriveParts Parts;
        /// <summary>The signal's time on <see cref="Clock"/>; comes back in the frame.</summary>
        public ulong PtsNs;
        /// <summary>0..1, in the order of <see cref="ArkitNames"/>.</summary>
        public readonly float[] Weights = new float[ArkitNames.Count];
        /// <summary>[0, a, 0] turns to the head's left, [a, 0, 0] nods down.</summary>
        public Float3 NeckPose, GlobalOrient, Transl;
        public float OrbitYawDeg, OrbitPitchDeg, Morph;

        public void CopyFrom(DriveSignal other)
        {
            (Parts, PtsNs) = (other.Parts, other.PtsNs);
            Array.Copy(other.Weights, Weights, Weights.Length);
            (NeckPose, GlobalOrient, Transl) = (other.NeckPose, other.GlobalOrient, other.Transl);
            (OrbitYawDeg, OrbitPitchDeg, Morph) =
                (other.OrbitYawDeg, other.OrbitPitchDeg, other.Morph);
        }

        /// <summary>Write a packet. `session` has 16 ASCII bytes, `token` 32.</summary>
        public void Write(
            Span<byte> packet, ReadOnlySpan<byte> session, ReadOnlySpan<byte> token, uint seq)
        {
            if (session.Length != 16 || token.Length != TokenBytes)
                throw new WireException(
                    $"drive packet: expected 16 and {TokenBytes} bytes of session and token,"
                    + $" got {session.Length} and {token.Length}");
            packet.Slice(0, PacketBytes).Clear();
            Put32(packet, 0, Magic);
            Put16(packet, 4, Version);
            Put16(packet, 6, (ushort)Parts);
            session.CopyTo(packet.Slice(8));
            token.CopyTo(packet.Slice(24));
            Put32(packet, 56, seq);
            Put16(packet, 60, PacketBytes);
            Put64(packet, 64, PtsNs);
            if ((Parts & DriveParts.Arkit) != 0)
                for (int i = 0; i < Weights.Length; i++)
                    PutFloat(packet, 72 + 4 * i, Weights[i]);
            if ((Parts & DriveParts.Head) != 0)
            {
                PutFloat3(packet, 280, NeckPose);
                PutFloat3(packet, 292, GlobalOrient);
                PutFloat3(packet, 304, Transl);
            }
            if ((Parts & DriveParts.Orbit) != 0)
            {
                PutFloat(packet, 316, OrbitYawDeg);
                PutFloat(packet, 320, OrbitPitchDeg);
            }
            if ((Parts & DriveParts.Morph) != 0)
                PutFloat(packet, 324, Morph);
        }

        /// <summary>The way back; the number of the packet. Throws WireException.</summary>
        public uint Read(ReadOnlySpan<byte> packet)
        {
            if (packet.Length != PacketBytes)
                throw new WireException(
                    $"drive packet: expected {PacketBytes} bytes, got {packet.Length}");
            int version = Get16(packet, 4), size = Get16(packet, 60);
            if (Get32(packet, 0) != Magic || version != Version || size != PacketBytes)
                throw new WireException(
                    $"drive packet: expected FLXD {Version} with {PacketBytes} bytes,"
                    + $" got {version} with {size}");
            Parts = (DriveParts)Get16(packet, 6);
            if (Parts == DriveParts.None || (Parts & ~AllParts) != 0)
                throw new WireException($"drive packet: unknown parts {(int)Parts}");
            PtsNs = Get64(packet, 64);
            for (int i = 0; i < Weights.Length; i++)
                Weights[i] = GetFloat(packet, 72 + 4 * i);
            NeckPose = GetFloat3(packet, 280);
            GlobalOrient = GetFloat3(packet, 292);
            Transl = GetFloat3(packet, 304);
            (OrbitYawDeg, OrbitPitchDeg, Morph) =
                (GetFloat(packet, 316), GetFloat(packet, 320), GetFloat(packet, 324));
            return Get32(packet, 56);
        }
    }
}
