using UnrealBuildTool;

// Knows no engine: sockets, the wire, sessions. Only FlexAvatarCoreModule.cpp includes Unreal.
public class FlexAvatarCore : ModuleRules
{
	public FlexAvatarCore(ReadOnlyTargetRules Target) : base(Target)
	{
		PCHUsage = PCHUsageMode.NoPCHs;
		bUseUnity = false;
		PublicDependencyModuleNames.Add("Core");
		if (Target.Platform == UnrealTargetPlatform.Win64)
		{
			PublicSystemLibraries.Add("Ws2_32.lib");
		}
	}
}
