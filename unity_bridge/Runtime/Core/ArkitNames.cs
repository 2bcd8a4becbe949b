using System;
using System.Collections.Generic;

namespace FlexAvatar
{
    /// <summary>The 52 blend shapes of ARKit, in the order of the drive packet.</summary>
    public static class ArkitNames
    {
        public const int Count = 52;

        public static IReadOnlyList<string> All => Names;

        static readonly string[] Names =
        {
            "eyeBlinkLeft", "eyeLookDownLeft", "eyeLookInLeft", "eyeLookOutLeft", "eyeLookUpLeft",
            "eyeSquintLeft", "eyeWideLeft", "eyeBlinkRight", "eyeLookDownRight", "eyeLookInRight",
            "eyeLookOutRight", "eyeLookUpRight", "eyeSquintRight", "eyeWideRight", "jawForward",
            "jawLeft", "jawRight", "jawOpen", "mouthClose", "mouthFunnel", "mouthPucker",
            "mouthLeft", "mouthRight", "mouthSmileLeft", "mouthSmileRight", "mouthFrownLeft",
            "mouthFrownRight", "mouthDimpleLeft", "mouthDimpleRight", "mouthStretchLeft",
            "mouthStretchRight", "mouthRollLower", "mouthRollUpper", "mouthShrugLower",
            "mouthShrugUpper", "mouthPressLeft", "mouthPressRight", "mouthLowerDownLeft",
            "mouthLowerDownRight", "mouthUpperUpLeft", "mouthUpperUpRight", "browDownLeft",
            "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight", "cheekPuff",
            "cheekSquintLeft", "cheekSquintRight", "noseSneerLeft", "noseSneerRight", "tongueOut",
        };

        static readonly Dictionary<string, int> Places = MakePlaces();

        /// <summary>
        /// The place of a name: "jawOpen", or "JawOpen" as some engines write it; -1 if there is
        /// none.
        /// </summary>
        public static int IndexOf(string name) =>
            Places.TryGetValue(name, out int place) ? place : -1;

        static Dictionary<string, int> MakePlaces()
        {
            var places = new Dictionary<string, int>(StringComparer.OrdinalIgnoreCase);
            for (int i = 0; i < Names.Length; i++)
                places[Names[i]] = i;
            return places;
        }
    }
}
