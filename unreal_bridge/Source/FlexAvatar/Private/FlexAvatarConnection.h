#pragma once

#include "CoreMinimal.h"
#include "FlexAvatar/AvatarLink.h"
#include "FlexAvatarSplats.h"

/** What the component hides from its header: the core, and what it keeps of the face. */
class FFlexAvatarConnection
{
public:
	flexavatar::AvatarLink Link;
	flexavatar::Signal Face;  // what SetBlendShape and SetHead change
	FFlexAvatarSplats Splats;
};

inline std::string ToText(const FString& String)
{
	return std::string(TCHAR_TO_UTF8(*String));
}

inline FString ToString(const std::string& Text)
{
	return FString(UTF8_TO_TCHAR(Text.c_str()));
}
