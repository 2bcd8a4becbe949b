#include "FlexAvatarMaterials.h"

#include "AssetToolsModule.h"
#include "CoreMinimal.h"
#include "Engine/Texture2D.h"
#include "Factories/MaterialFactoryNew.h"
#include "Factories/Texture2dFactoryNew.h"
#include "IAssetTools.h"
#include "MaterialEditingLibrary.h"
#include "Materials/Material.h"
#include "Materials/MaterialExpressionCustom.h"
#include "Materials/MaterialExpressionPixelDepth.h"
#include "Materials/MaterialExpressionScalarParameter.h"
#include "Materials/MaterialExpressionSceneDepth.h"
#include "Materials/MaterialExpressionTextureCoordinate.h"
#include "Materials/MaterialExpressionTextureObjectParameter.h"
#include "Materials/MaterialExpressionTextureSampleParameter2D.h"
#include "Materials/MaterialExpressionTransform.h"
#include "Materials/MaterialExpressionVectorParameter.h"
#include "Materials/MaterialExpressionVertexInterpolator.h"
#include "Modules/ModuleManager.h"
#include "UObject/UObjectGlobals.h"

namespace
{
const TCHAR* const Folder = TEXT("/Game/FlexAvatar");
const TCHAR* const Include = TEXT("/Plugin/FlexAvatar/Private/FlexAvatarSplatMaterial.ush");
// What the component sets every tick.
const TCHAR* const Parameters[] = {
	TEXT("Row0"), TEXT("Row1"), TEXT("Row2"), TEXT("Back0"), TEXT("Back1"), TEXT("Back2"), TEXT("Lens")};

using FSample = UMaterialExpressionTextureSampleParameter2D;
using FObject = UMaterialExpressionTextureObjectParameter;

// Places of a sample's and a parameter's outputs: RGB, R, G, B, A, and a sample's RGBA.
constexpr int32 OutputRed = 1, OutputAlpha = 4, OutputRgba = 5;

template <class Expression>
Expression* Add(UMaterial* Material, int32 X, int32 Y)
{
	return Cast<Expression>(
		UMaterialEditingLibrary::CreateMaterialExpression(Material, Expression::StaticClass(), X, Y));
}

/** A custom node that calls one function of the include. */
UMaterialExpressionCustom* AddCall(UMaterial* Material, const TCHAR* Code, ECustomMaterialOutputType Type,
	const TArray<TPair<FName, UMaterialExpression*>>& Inputs, int32 X, int32 Y)
{
	UMaterialExpressionCustom* Node = Add<UMaterialExpressionCustom>(Material, X, Y);
	Node->Code = Code;
	Node->OutputType = Type;
	Node->IncludeFilePaths.Add(Include);
	Node->Inputs.Empty();
	for (const TPair<FName, UMaterialExpression*>& Input : Inputs)
	{
		FCustomInput Named;
		Named.InputName = Input.Key;
		Named.Input.Connect(0, Input.Value);
		Node->Inputs.Add(Named);
	}
	return Node;
}

/** What the textures are before the component sets them: linear, as theirs are. */
UTexture2D* MakeNothing()
{
	IAssetTools& Tools = FModuleManager::LoadModuleChecked<FAssetToolsModule>("AssetTools").Get();
	UTexture2DFactoryNew* Factory = NewObject<UTexture2DFactoryNew>();
	Factory->Width = 4;
	Factory->Height = 4;
	UTexture2D* Texture =
		Cast<UTexture2D>(Tools.CreateAsset(TEXT("T_FlexAvatarNothing"), Folder, UTexture2D::StaticClass(), Factory));
	if (Texture)
	{
		Texture->SRGB = false;
		Texture->PostEditChange();
	}
	return Texture;
}

template <class Expression>
UMaterialExpression* AddTexture(UMaterial* Material, const TCHAR* Name, UTexture2D* Texture, int32 Y)
{
	Expression* Node = Add<Expression>(Material, -900, Y);
	Node->ParameterName = Name;
	Node->Texture = Texture;
	Node->SamplerType = SAMPLERTYPE_LinearColor;
	return Node;
}

UMaterialExpression* AddCoordinate(UMaterial* Material, int32 Index, int32 Y)
{
	UMaterialExpressionTextureCoordinate* Node = Add<UMaterialExpressionTextureCoordinate>(Material, -900, Y);
	Node->CoordinateIndex = Index;
	return Node;
}

UMaterial* MakeMaterial(const TCHAR* Name)
{
	IAssetTools& Tools = FModuleManager::LoadModuleChecked<FAssetToolsModule>("AssetTools").Get();
	UMaterial* Material = Cast<UMaterial>(
		Tools.CreateAsset(Name, Folder, UMaterial::StaticClass(), NewObject<UMaterialFactoryNew>()));
	if (Material)
	{
		Material->BlendMode = BLEND_Translucent;
		Material->SetShadingModel(MSM_Unlit);
		Material->TwoSided = true;
	}
	return Material;
}

void Finish(UMaterial* Material)
{
	UMaterialEditingLibrary::RecompileMaterial(Material);
	Material->MarkPackageDirty();
}

void AddInput(UMaterialExpressionCustom* Node, const TCHAR* Name, UMaterialExpression* From, int32 Output)
{
	FCustomInput Named;
	Named.InputName = Name;
	Named.Input.Connect(Output, From);
	Node->Inputs.Add(Named);
}

void ShowStraight(UMaterial* Material, UMaterialExpression* Straight)
{
	auto* Color = AddCall(Material, TEXT("return Straight.xyz;"), CMOT_Float3, {{TEXT("Straight"), Straight}}, 0, 0);
	auto* Opacity = AddCall(Material, TEXT("return Straight.w;"), CMOT_Float1, {{TEXT("Straight"), Straight}}, 0, 200);
	UMaterialEditingLibrary::ConnectMaterialProperty(Color, TEXT(""), MP_EmissiveColor);
	UMaterialEditingLibrary::ConnectMaterialProperty(Opacity, TEXT(""), MP_Opacity);
}

/** A plane that shows the picture, in front of and behind the scene: Picture, Depth, Distance. */
void MakePicture(UTexture2D* Nothing)
{
	UMaterial* Material = MakeMaterial(TEXT("M_FlexAvatarPicture"));
	if (!Material)
	{
		return;
	}
	Material->bDisableDepthTest = true;  // what is nearer than the plane would be cut off
	auto* Distance = Add<UMaterialExpressionScalarParameter>(Material, -900, 400);
	Distance->ParameterName = TEXT("Distance");
	auto* Straight = AddCall(Material, TEXT("return FlexPicture(Texel, Depth, Distance, Scene, Pixel);"), CMOT_Float4,
		{{TEXT("Distance"), Distance}, {TEXT("Scene"), Add<UMaterialExpressionSceneDepth>(Material, -900, 500)},
			{TEXT("Pixel"), Add<UMaterialExpressionPixelDepth>(Material, -900, 600)}},
		-300, 0);
	AddInput(Straight, TEXT("Texel"), AddTexture<FSample>(Material, TEXT("Picture"), Nothing, 0), OutputRgba);
	AddInput(Straight, TEXT("Depth"), AddTexture<FSample>(Material, TEXT("Depth"), Nothing, 200), OutputRed);
	ShowStraight(Material, Straight);
	Finish(Material);
}

/** Gaussians: each vertex goes to its corner, each pixel gets its share. */
void MakeSplats(UTexture2D* Nothing)
{
	UMaterial* Material = MakeMaterial(TEXT("M_FlexAvatarSplats"));
	if (!Material)
	{
		return;
	}
	UMaterialExpression* Splats = AddTexture<FObject>(Material, TEXT("Splats"), Nothing, -400);
	UMaterialExpression* Order = AddTexture<FObject>(Material, TEXT("Order"), Nothing, -200);
	UMaterialExpression* Cell = AddCoordinate(Material, 0, 0);
	UMaterialExpression* Corner = AddCoordinate(Material, 1, 100);
	TArray<TPair<FName, UMaterialExpression*>> Inputs = {
		{TEXT("Splats"), Splats}, {TEXT("Order"), Order}, {TEXT("Cell"), Cell}, {TEXT("Corner"), Corner}};
	int32 Y = 200;
	for (const TCHAR* Name : Parameters)
	{
		auto* Parameter = Add<UMaterialExpressionVectorParameter>(Material, -900, Y += 100);
		Parameter->ParameterName = Name;
		auto* All = AddCall(
			Material, TEXT("return float4(Color, Alpha);"), CMOT_Float4, {{TEXT("Color"), Parameter}}, -600, Y);
		AddInput(All, TEXT("Alpha"), Parameter, OutputAlpha);
		Inputs.Add({Name, All});
	}
	auto* Place = AddCall(Material,
		TEXT("return FlexPlace(Splats, Order, Cell, Corner, Row0, Row1, Row2, Back0, Back1, Back2, Lens);"), CMOT_Float3,
		Inputs, -300, 300);
	auto* ToWorld = Add<UMaterialExpressionTransform>(Material, 0, 300);
	ToWorld->TransformSourceType = TRANSFORMSOURCE_Local;
	ToWorld->TransformType = TRANSFORM_World;
	ToWorld->Input.Connect(0, Place);
	auto* Own = AddCall(Material, TEXT("return FlexColor(Splats, Order, Cell);"), CMOT_Float4,
		{{TEXT("Splats"), Splats}, {TEXT("Order"), Order}, {TEXT("Cell"), Cell}}, -600, -300);
	auto* Between = Add<UMaterialExpressionVertexInterpolator>(Material, -300, -300);
	Between->Input.Connect(0, Own);
	auto* Color = AddCall(Material, TEXT("return FlexLinear(Own.xyz);"), CMOT_Float3, {{TEXT("Own"), Between}}, 0, -300);
	auto* Opacity = AddCall(Material, TEXT("return FlexOpacity(Own, Corner);"), CMOT_Float1,
		{{TEXT("Own"), Between}, {TEXT("Corner"), Corner}}, 0, -100);
	UMaterialEditingLibrary::ConnectMaterialProperty(Color, TEXT(""), MP_EmissiveColor);
	UMaterialEditingLibrary::ConnectMaterialProperty(Opacity, TEXT(""), MP_Opacity);
	UMaterialEditingLibrary::ConnectMaterialProperty(ToWorld, TEXT(""), MP_WorldPositionOffset);
	Finish(Material);
}
}  // namespace

void MakeFlexAvatarMaterials()
{
	UTexture2D* Nothing = MakeNothing();
	MakePicture(Nothing);
	MakeSplats(Nothing);
}
