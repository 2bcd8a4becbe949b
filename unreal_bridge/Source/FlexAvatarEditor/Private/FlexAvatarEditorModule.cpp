#include "FlexAvatarMaterials.h"
#include "Modules/ModuleManager.h"
#include "Textures/SlateIcon.h"
#include "ToolMenus.h"

#define LOCTEXT_NAMESPACE "FlexAvatar"

/** Tools > FlexAvatar: makes the materials, which cannot be shipped as text. */
class FFlexAvatarEditorModule : public IModuleInterface
{
public:
	virtual void StartupModule() override
	{
		UToolMenus::RegisterStartupCallback(
			FSimpleMulticastDelegate::FDelegate::CreateRaw(this, &FFlexAvatarEditorModule::AddMenu));
	}

	virtual void ShutdownModule() override
	{
		UToolMenus::UnRegisterStartupCallback(this);
		UToolMenus::UnregisterOwner(this);
	}

private:
	void AddMenu()
	{
		const FToolMenuOwnerScoped Owner(this);
		UToolMenu* Menu = UToolMenus::Get()->ExtendMenu("LevelEditor.MainMenu.Tools");
		FToolMenuSection& Section = Menu->FindOrAddSection("FlexAvatar");
		Section.AddMenuEntry("FlexAvatarMaterials", LOCTEXT("Make", "Make FlexAvatar's materials"),
			LOCTEXT("MakeTip", "Puts M_FlexAvatarPicture and M_FlexAvatarSplats into /Game/FlexAvatar."), FSlateIcon(),
			FUIAction(FExecuteAction::CreateStatic(&MakeFlexAvatarMaterials)));
	}
};

#undef LOCTEXT_NAMESPACE

IMPLEMENT_MODULE(FFlexAvatarEditorModule, FlexAvatarEditor)
