#pragma once

#include "CoreMinimal.h"
#include "FlexAvatar/FrameDecoder.h"
#include "PixelFormat.h"

class UTexture2D;

/** A texture of this size: the same one if it fits, else a new one. */
UTexture2D* FitTexture(UTexture2D* Before, int32 Width, int32 Height, EPixelFormat Format);

/** Copies rows into a texture; the bytes may go when this returns. */
void CopyRows(UTexture2D& Texture, int32 FirstRow, int32 Rows, int32 Width, int32 TexelBytes, const void* From);

/** Colours of a picture into a texture, decoded if they are a JPEG. False if they cannot be. */
bool ShowColor(const flexavatar::Picture& Picture, TObjectPtr<UTexture2D>& Texture);
void ShowDepth(const flexavatar::Picture& Picture, TObjectPtr<UTexture2D>& Texture);
