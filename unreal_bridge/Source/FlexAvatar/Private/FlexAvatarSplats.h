#pragma once

#include "CoreMinimal.h"
#include "FlexAvatar/AvatarLink.h"
#include "FlexAvatar/SplatTexture.h"
#include "UObject/StrongObjectPtr.h"

class UFlexAvatarComponent;
class UMaterialInstanceDynamic;
class UProceduralMeshComponent;
class UTexture2D;

/**
 * Gaussians in the scene: a mesh of quads that is made once, a texture whose rows are written where
 * something changed, and one with the order in which they are drawn. The material does the rest.
 */
class FFlexAvatarSplats
{
public:
	/** Brings them up to date with what came and with the camera; true for a new frame. */
	bool Update(UFlexAvatarComponent& Owner, flexavatar::AvatarLink& Link);
	void Remove();
	int64 Frame() const { return Buffer.header.seq; }

private:
	void MakeMesh(UFlexAvatarComponent& Owner);
	void WriteRows();
	bool FindCamera(const UFlexAvatarComponent& Owner);
	void SetCamera();
	void WriteOrder();

	flexavatar::SplatBuffer Buffer;
	flexavatar::SplatRows Rows;
	flexavatar::SplatCamera Camera = {};
	float Lens[4] = {};  // focal length, width, height in pixels, then 0
	std::vector<uint32_t> Order;
	std::vector<float> OrderTexels;
	std::vector<uint16_t> Texels;
	uint32_t MeshCount = 0;

	TStrongObjectPtr<UProceduralMeshComponent> Mesh;
	TStrongObjectPtr<UMaterialInstanceDynamic> Material;
	TStrongObjectPtr<UTexture2D> Data, OrderTexture;
};
