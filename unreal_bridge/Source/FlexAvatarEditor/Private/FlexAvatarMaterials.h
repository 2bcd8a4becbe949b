#pragma once

/** Makes both materials in /Game/FlexAvatar; what is there already stays. */
void MakeFlexAvatarMaterials();
