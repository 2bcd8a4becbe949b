#include "Modules/ModuleManager.h"
#include "Threads.h"

/** Lets no thread outlive the code that it runs. */
class FFlexAvatarCoreModule : public IModuleInterface
{
public:
	virtual void ShutdownModule() override
	{
		flexavatar::joinThreads();
	}
};

IMPLEMENT_MODULE(FFlexAvatarCoreModule, FlexAvatarCore)
