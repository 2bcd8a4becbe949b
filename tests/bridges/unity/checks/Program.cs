using System;
using System.Linq;

namespace FlexAvatar.Checks
{
    /// <summary>
    /// The package's core as a program, for the tests in Python: prints JSON, one object a line.
    /// </summary>
    public static class Program
    {
        public static int Main(string[] arguments)
        {
            string[] rest = arguments.Skip(1).ToArray();
            switch (arguments[0])
            {
                case "nunit": return NUnitRunner.Run(rest[0]);
                case "golden": return GoldenCheck.Run(rest[0], rest[1]);
                case "unpack": return GoldenCheck.Unpack(rest[0], rest[1]);
                case "order": return GoldenCheck.Order(rest[0], rest[1]);
                case "members": return MemberCheck.Run(rest[0]);
                case "views": return GoldenCheck.Views(rest[0], rest[1]);
                case "fuzz": return FuzzCheck.Run(rest[0], int.Parse(rest[1]));
                case "calls": return CallsCheck.Run(rest[0]);
                case "live": return LiveCheck.Run(rest[0], int.Parse(rest[1]));
                case "hold": return LiveCheck.Hold(rest[0], rest[1], rest.Skip(2).ToArray());
                case "components": return ComponentCheck.Run(rest[0], rest[1], rest[2]);
                case "sort": return SortCheck.Run(rest[0], rest[1]);
                case "editor": return EditorCheck.Run(rest[0]);
                case "voice": return ComponentCheck.Speak(rest[0], rest[1]);
                case "soak": return SoakCheck.Run(rest[0], int.Parse(rest[1]));
                case "speed": return SoakCheck.Speed(int.Parse(rest[0]));
                default: throw new ArgumentException(arguments[0]);
            }
        }

        /// <summary>Print one line that Python reads.</summary>
        public static int Say(JsonWriter figures)
        {
            Console.WriteLine(figures.ToString());
            Console.Out.Flush();
            return 0;
        }
    }
}
