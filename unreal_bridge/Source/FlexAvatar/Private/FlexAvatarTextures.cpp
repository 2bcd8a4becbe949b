#include "FlexAvatarTextures.h"

#include "Engine/Texture2D.h"
#include "IImageWrapper.h"
#include "IImageWrapperModule.h"
#include "Modules/ModuleManager.h"
#include "RHI.h"

UTexture2D* FitTexture(UTexture2D* Before, int32 Width, int32 Height, EPixelFormat Format)
{
	if (Before && Before->GetSizeX() == Width && Before->GetSizeY() == Height)
	{
		return Before;
	}
	UTexture2D* Texture = UTexture2D::CreateTransient(Width, Height, Format);
	Texture->SRGB = false;  // the material decodes: premultiplied colours must be filtered as they are
	Texture->AddressX = TA_Clamp;
	Texture->AddressY = TA_Clamp;
	// numbers are taken as they are: a depth between a rim and nothing is neither
	Texture->Filter = Format == PF_R8G8B8A8 ? TF_Bilinear : TF_Nearest;
	Texture->UpdateResource();
	return Texture;
}

void CopyRows(UTexture2D& Texture, int32 FirstRow, int32 Rows, int32 Width, int32 TexelBytes, const void* From)
{
	const SIZE_T Size = static_cast<SIZE_T>(Rows) * Width * TexelBytes;
	uint8* Copy = static_cast<uint8*>(FMemory::Malloc(Size));
	FMemory::Memcpy(Copy, From, Size);
	const auto* Region = new FUpdateTextureRegion2D(0, FirstRow, 0, 0, Width, Rows);
	Texture.UpdateTextureRegions(0, 1, Region, Width * TexelBytes, TexelBytes, Copy,
		[](uint8* Bytes, const FUpdateTextureRegion2D* Used)
		{
			FMemory::Free(Bytes);
			delete Used;
		});
}

namespace
{
bool DecodeJpeg(const flexavatar::Bytes& File, TArray<uint8>& Rgba)
{
	IImageWrapperModule& Module = FModuleManager::LoadModuleChecked<IImageWrapperModule>(TEXT("ImageWrapper"));
	const TSharedPtr<IImageWrapper> Wrapper = Module.CreateImageWrapper(EImageFormat::JPEG);
	return Wrapper.IsValid() && Wrapper->SetCompressed(File.data(), static_cast<int64>(File.size())) &&
		Wrapper->GetRaw(ERGBFormat::RGBA, 8, Rgba);
}
}  // namespace

bool ShowColor(const flexavatar::Picture& Picture, TObjectPtr<UTexture2D>& Texture)
{
	const int32 Width = static_cast<int32>(Picture.header.width), Height = static_cast<int32>(Picture.header.height);
	TArray<uint8> Decoded;
	const void* From = Picture.color.data();
	if (Picture.jpeg)
	{
		if (!DecodeJpeg(Picture.color, Decoded) || Decoded.Num() != 4 * Width * Height)
		{
			return false;
		}
		From = Decoded.GetData();
	}
	Texture = FitTexture(Texture, Width, Height, PF_R8G8B8A8);
	CopyRows(*Texture, 0, Height, Width, 4, From);
	return true;
}

void ShowDepth(const flexavatar::Picture& Picture, TObjectPtr<UTexture2D>& Texture)
{
	if (Picture.depth.empty())
	{
		return;
	}
	const int32 Width = static_cast<int32>(Picture.header.width), Height = static_cast<int32>(Picture.header.height);
	Texture = FitTexture(Texture, Width, Height, PF_R32_FLOAT);
	CopyRows(*Texture, 0, Height, Width, sizeof(float), Picture.depth.data());
}
