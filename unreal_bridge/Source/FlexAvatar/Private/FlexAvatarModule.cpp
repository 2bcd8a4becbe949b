#include "Interfaces/IPluginManager.h"
#include "Misc/Paths.h"
#include "Modules/ModuleManager.h"
#include "ShaderCore.h"

/** Tells the engine where the materials' shader code lies. */
class FFlexAvatarModule : public IModuleInterface
{
public:
	virtual void StartupModule() override
	{
		const TSharedPtr<IPlugin> Plugin = IPluginManager::Get().FindPlugin(TEXT("FlexAvatar"));
		AddShaderSourceDirectoryMapping(TEXT("/Plugin/FlexAvatar"), FPaths::Combine(Plugin->GetBaseDir(), TEXT("Shaders")));
	}
};

IMPLEMENT_MODULE(FFlexAvatarModule, FlexAvatar)
