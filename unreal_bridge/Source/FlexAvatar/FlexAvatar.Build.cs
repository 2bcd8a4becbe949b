using UnrealBuildTool;

public class FlexAvatar : ModuleRules
{
	public FlexAvatar(ReadOnlyTargetRules Target) : base(Target)
	{
		PCHUsage = PCHUsageMode.UseExplicitOrSharedPCHs;
		bUseUnity = false;
		PublicDependencyModuleNames.AddRange(new string[]
		{
			"Core",
			"CoreUObject",
			"Engine",
			"LiveLinkInterface",
		});
		PrivateDependencyModuleNames.AddRange(new string[]
		{
			"FlexAvatarCore",
			"ImageWrapper",
			"ProceduralMeshComponent",
			"Projects",
			"RHI",
			"RenderCore",
		});
	}
}
