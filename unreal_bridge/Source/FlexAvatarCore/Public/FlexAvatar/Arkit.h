// ARKit's 52 blend shapes in the order of a drive packet. Map by name, never by place.
#pragma once

#include "FlexAvatar/Bytes.h"

namespace flexavatar {

constexpr int ARKIT_COUNT = 52;
FLEXAVATARCORE_API extern const char* const ARKIT_NAMES[ARKIT_COUNT];
// Its place, -1 for a name that is not ARKit's. Capitals do not matter: Unreal has JawOpen.
FLEXAVATARCORE_API int arkitIndex(const char* name);

}  // namespace flexavatar
