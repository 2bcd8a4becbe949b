// Stand-ins for the little of UnrealBuildTool that modules' rules use, written from its public
// documentation, and a program that says what each module asks for.

using System;
using System.Collections.Generic;
using System.Linq;

namespace UnrealBuildTool
{
    public sealed class UnrealTargetPlatform
    {
        public static readonly UnrealTargetPlatform Win64 = new UnrealTargetPlatform();
        public static readonly UnrealTargetPlatform Linux = new UnrealTargetPlatform();
    }

    public sealed class ReadOnlyTargetRules
    {
        public UnrealTargetPlatform Platform;
        public bool bBuildEditor;
    }

    public enum CppStandardVersion { Cpp17, Cpp20 }

    public class ModuleRules
    {
        public enum PCHUsageMode { Default, NoPCHs, UseExplicitOrSharedPCHs }

        public readonly List<string> PublicDependencyModuleNames = new List<string>();
        public readonly List<string> PrivateDependencyModuleNames = new List<string>();
        public readonly List<string> PublicIncludePaths = new List<string>();
        public readonly List<string> PrivateIncludePaths = new List<string>();
        public readonly List<string> PublicSystemLibraries = new List<string>();
        public readonly List<string> PublicDefinitions = new List<string>();
        public PCHUsageMode PCHUsage;
        public CppStandardVersion CppStandard;
        public bool bUseUnity, bUseRTTI, bEnableExceptions;
        public string ModuleDirectory = "", PluginDirectory = "";

        public ModuleRules(ReadOnlyTargetRules target) { }
    }

    public static class Program
    {
        /// <summary>
        /// A line a module and platform: its name, the platform, the modules it asks for.
        /// </summary>
        public static void Main()
        {
            var modules = typeof(Program).Assembly.GetTypes()
                .Where(t => t.IsSubclassOf(typeof(ModuleRules)));
            foreach (Type type in modules.OrderBy(t => t.Name))
                foreach (UnrealTargetPlatform platform in new[] { UnrealTargetPlatform.Win64,
                    UnrealTargetPlatform.Linux })
                {
                    var target = new ReadOnlyTargetRules { Platform = platform };
                    var module = (ModuleRules)Activator.CreateInstance(type, target);
                    string name = platform == UnrealTargetPlatform.Win64 ? "Win64" : "Linux";
                    var asked = module.PublicDependencyModuleNames.Concat(
                        module.PrivateDependencyModuleNames);
                    string all = string.Join(' ', asked.Concat(module.PublicSystemLibraries));
                    Console.WriteLine($"{type.Name} {name} {all}");
                }
        }
    }
}
