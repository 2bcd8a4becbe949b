#include "FlexAvatarSplats.h"

#include "Camera/PlayerCameraManager.h"
#include "Engine/Texture2D.h"
#include "Engine/World.h"
#include "FlexAvatarComponent.h"
#include "FlexAvatarTextures.h"
#include "GameFramework/PlayerController.h"
#include "Kismet/GameplayStatics.h"
#include "Materials/MaterialInstanceDynamic.h"
#include "ProceduralMeshComponent.h"

using namespace flexavatar;

namespace
{
constexpr int32 OrderWidth = 1024;
constexpr int32 HalfTexelBytes = 8;
constexpr size_t RowNumbers = ROW_BYTES / sizeof(uint16_t);
constexpr float BoundsSize = 60;  // centimetres around the head, for culling

int32 OrderHeight(uint32_t Count)
{
	return static_cast<int32>((Count + OrderWidth - 1) / OrderWidth);
}

void Copy(const FVector& From, float To[3])
{
	To[0] = static_cast<float>(From.X);
	To[1] = static_cast<float>(From.Y);
	To[2] = static_cast<float>(From.Z);
}

FLinearColor Row(const float Numbers[4])
{
	return FLinearColor(Numbers[0], Numbers[1], Numbers[2], Numbers[3]);
}

struct FQuads
{
	TArray<FVector> Places;
	TArray<int32> Triangles;
	TArray<FVector2D> Cells, Corners;

	/** A quad that the material puts into its place; its own is only for the bounds. */
	void Add(int32 Column, int32 Line, const FVector& Place)
	{
		const int32 First = Places.Num();
		for (int32 i = 0; i < 4; ++i)
		{
			Places.Add(Place);
			Cells.Add(FVector2D(Column, Line));
			Corners.Add(FVector2D(i & 1 ? 1 : -1, i & 2 ? 1 : -1));
		}
		for (const int32 i : {0, 1, 2, 2, 1, 3})
		{
			Triangles.Add(First + i);
		}
	}
};
}  // namespace

void FFlexAvatarSplats::Remove()
{
	if (Mesh.IsValid())
	{
		Mesh->DestroyComponent();
	}
	Mesh.Reset();
	Material.Reset();  // its Outer is the owner: kept, it would keep the whole world
	Data.Reset();
	OrderTexture.Reset();
	MeshCount = 0;
}

void FFlexAvatarSplats::MakeMesh(UFlexAvatarComponent& Owner)
{
	Remove();
	FQuads Quads;
	for (uint32_t i = 0; i < Buffer.count; ++i)
	{
		Quads.Add(static_cast<int32>(i % OrderWidth), static_cast<int32>(i / OrderWidth), FVector::ZeroVector);
	}
	for (const double Side : {-BoundsSize, BoundsSize})  // of no size: only their places count
	{
		Quads.Add(0, -1, FVector(Side, Side, Side));
	}
	UProceduralMeshComponent* Made = NewObject<UProceduralMeshComponent>(&Owner);
	Made->SetupAttachment(&Owner);
	Made->SetCastShadow(false);
	Made->SetCollisionEnabled(ECollisionEnabled::NoCollision);
	Made->CreateMeshSection(0, Quads.Places, Quads.Triangles, TArray<FVector>(), Quads.Cells, Quads.Corners,
		TArray<FVector2D>(), TArray<FVector2D>(), TArray<FColor>(), TArray<FProcMeshTangent>(), false);
	Made->RegisterComponent();
	Material.Reset(UMaterialInstanceDynamic::Create(Owner.Material, &Owner));
	Made->SetMaterial(0, Material.Get());
	const int32 Lines = static_cast<int32>(chunkCount(Buffer.count));
	Data.Reset(FitTexture(Data.Get(), ROW_TEXELS, Lines, PF_FloatRGBA));
	OrderTexture.Reset(FitTexture(OrderTexture.Get(), OrderWidth, OrderHeight(Buffer.count), PF_R32_FLOAT));
	Material->SetTextureParameterValue(TEXT("Splats"), Data.Get());
	Material->SetTextureParameterValue(TEXT("Order"), OrderTexture.Get());
	std::fill(Buffer.changed.begin(), Buffer.changed.end(), uint8_t(1));
	Mesh.Reset(Made);
	MeshCount = Buffer.count;
}

void FFlexAvatarSplats::WriteRows()
{
	const uint32_t Chunks = static_cast<uint32_t>(Buffer.changed.size());
	for (uint32_t First = 0; First < Chunks;)
	{
		uint32_t End = First;  // rows that changed side by side go together
		while (End < Chunks && Buffer.changed[End])
		{
			++End;
		}
		Texels.resize((End - First) * RowNumbers);
		for (uint32_t Chunk = First; Chunk < End; ++Chunk)
		{
			Rows.write(Buffer, Chunk, Texels.data() + (Chunk - First) * RowNumbers);
		}
		if (End > First)
		{
			const int32 Count = static_cast<int32>(End - First);
			CopyRows(*Data, static_cast<int32>(First), Count, ROW_TEXELS, HalfTexelBytes, Texels.data());
		}
		First = End + 1;
	}
}

bool FFlexAvatarSplats::FindCamera(const UFlexAvatarComponent& Owner)
{
	const APlayerController* Player = UGameplayStatics::GetPlayerController(&Owner, 0);
	if (!Player || !Player->PlayerCameraManager)
	{
		return false;
	}
	const FTransform& Own = Owner.GetComponentTransform();
	const FRotationMatrix Turn(Player->PlayerCameraManager->GetCameraRotation());
	LocalCamera Local;
	Copy(Own.InverseTransformPosition(Player->PlayerCameraManager->GetCameraLocation()), Local.place);
	Copy(Own.InverseTransformVectorNoScale(Turn.GetUnitAxis(EAxis::X)), Local.forward);
	Copy(Own.InverseTransformVectorNoScale(Turn.GetUnitAxis(EAxis::Y)), Local.right);
	Copy(Own.InverseTransformVectorNoScale(Turn.GetUnitAxis(EAxis::Z)), Local.up);
	Camera = splatCamera(Local);
	int32 Width = 0, Height = 0;
	Player->GetViewportSize(Width, Height);
	const float Half = Player->PlayerCameraManager->GetFOVAngle() * UE_PI / 360;
	Lens[0] = 0.5f * static_cast<float>(Width) / FMath::Tan(Half);
	Lens[1] = static_cast<float>(Width);
	Lens[2] = static_cast<float>(Height);
	return Width > 0 && Height > 0;
}

void FFlexAvatarSplats::SetCamera()
{
	const TCHAR* const RowNames[] = {TEXT("Row0"), TEXT("Row1"), TEXT("Row2")};
	const TCHAR* const BackNames[] = {TEXT("Back0"), TEXT("Back1"), TEXT("Back2")};
	for (int i = 0; i < 3; ++i)
	{
		Material->SetVectorParameterValue(RowNames[i], Row(Camera.rows[i]));
		Material->SetVectorParameterValue(BackNames[i], Row(Camera.back[i]));
	}
	Material->SetVectorParameterValue(TEXT("Lens"), Row(Lens));
}

void FFlexAvatarSplats::WriteOrder()
{
	sortBackToFront(Buffer, Camera.rows[2], Order);
	OrderTexels.resize(static_cast<size_t>(OrderWidth) * OrderHeight(Buffer.count));
	for (size_t i = 0; i < Order.size(); ++i)
	{
		OrderTexels[i] = static_cast<float>(Order[i]);  // exact: far below 2^24
	}
	CopyRows(*OrderTexture, 0, OrderHeight(Buffer.count), OrderWidth, sizeof(float), OrderTexels.data());
}

bool FFlexAvatarSplats::Update(UFlexAvatarComponent& Owner, AvatarLink& From)
{
	const bool bNew = From.takeSplats(Buffer);
	if (!Buffer.count || !Owner.Material)
	{
		return false;
	}
	if (MeshCount != Buffer.count)
	{
		MakeMesh(Owner);
	}
	if (bNew)
	{
		WriteRows();
	}
	const SplatCamera Before = Camera;
	const bool bSeen = FindCamera(Owner);
	if (bSeen && (bNew || FMemory::Memcmp(&Before, &Camera, sizeof(Before)) != 0))
	{
		WriteOrder();
	}
	if (bSeen)
	{
		SetCamera();
	}
	return bNew;
}
