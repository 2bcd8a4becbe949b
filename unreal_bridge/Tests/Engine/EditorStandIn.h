// As much of Unreal's editor as making the materials touches; compiled, not run.
#pragma once

#include "StandIn.h"

#define LOCTEXT(key, text) text

struct UMaterialExpression : UObject {
    static UClass* StaticClass() { return nullptr; }
};
struct FExpressionInput {
    void Connect(int32, UMaterialExpression*) {}
};
struct FCustomInput {
    FName InputName;
    FExpressionInput Input;
};
enum ECustomMaterialOutputType { CMOT_Float1, CMOT_Float2, CMOT_Float3, CMOT_Float4 };
struct UMaterialExpressionCustom : UMaterialExpression {
    FString Code;
    ECustomMaterialOutputType OutputType = CMOT_Float3;
    TArray<FCustomInput> Inputs;
    TArray<FString> IncludeFilePaths;
};
enum EMaterialSamplerType { SAMPLERTYPE_LinearColor };
struct UMaterialExpressionTextureObjectParameter : UMaterialExpression {
    FName ParameterName;
    TObjectPtr<UTexture> Texture;
    EMaterialSamplerType SamplerType = SAMPLERTYPE_LinearColor;
};
struct UMaterialExpressionTextureSampleParameter2D : UMaterialExpressionTextureObjectParameter {};
struct UMaterialExpressionTextureCoordinate : UMaterialExpression {
    int32 CoordinateIndex = 0;
};
struct UMaterialExpressionScalarParameter : UMaterialExpression {
    FName ParameterName;
};
struct UMaterialExpressionVectorParameter : UMaterialExpressionScalarParameter {};
struct UMaterialExpressionSceneDepth : UMaterialExpression {};
struct UMaterialExpressionPixelDepth : UMaterialExpression {};
struct UMaterialExpressionVertexInterpolator : UMaterialExpression {
    FExpressionInput Input;
};
enum EMaterialVectorCoordTransformSource { TRANSFORMSOURCE_Local };
enum EMaterialVectorCoordTransform { TRANSFORM_World };
struct UMaterialExpressionTransform : UMaterialExpressionVertexInterpolator {
    EMaterialVectorCoordTransformSource TransformSourceType = TRANSFORMSOURCE_Local;
    EMaterialVectorCoordTransform TransformType = TRANSFORM_World;
};

enum EBlendMode { BLEND_Translucent };
enum EMaterialShadingModel { MSM_Unlit };
enum EMaterialProperty { MP_EmissiveColor, MP_Opacity, MP_WorldPositionOffset };
struct UMaterial : UMaterialInterface {
    static UClass* StaticClass() { return nullptr; }
    void SetShadingModel(EMaterialShadingModel) {}
    void MarkPackageDirty() {}
    EBlendMode BlendMode = BLEND_Translucent;
    bool TwoSided = false, bDisableDepthTest = false;
};
struct UMaterialEditingLibrary {
    static UMaterialExpression* CreateMaterialExpression(UMaterial*, UClass*, int32, int32) {
        return nullptr;
    }
    static bool ConnectMaterialProperty(UMaterialExpression*, const FString&, EMaterialProperty) {
        return true;
    }
    static void RecompileMaterial(UMaterial*) {}
};
struct UFactory : UObject {};
struct UMaterialFactoryNew : UFactory {};
struct UTexture2DFactoryNew : UFactory {
    int32 Width = 0, Height = 0;
};
struct IAssetTools {
    UObject* CreateAsset(const FString&, const FString&, UClass*, UFactory*) { return nullptr; }
};
struct FAssetToolsModule {
    IAssetTools& Get() { return tools; }
    IAssetTools tools;
};

struct FSlateIcon {};
struct FExecuteAction {
    static FExecuteAction CreateStatic(void (*)()) { return {}; }
};
struct FUIAction {
    FUIAction(const FExecuteAction&) {}  // NOLINT
};
struct FSimpleMulticastDelegate {
    struct FDelegate {
        template <class T>
        static FDelegate CreateRaw(T*, void (T::*)()) {
            return {};
        }
    };
};
struct FToolMenuSection {
    void AddMenuEntry(const FName&, const char*, const char*, const FSlateIcon&, const FUIAction&) {}
};
struct UToolMenu : UObject {
    FToolMenuSection& FindOrAddSection(const FName&) { return section; }
    FToolMenuSection section;
};
struct FToolMenuOwnerScoped {
    explicit FToolMenuOwnerScoped(void*) {}
    ~FToolMenuOwnerScoped() {}
};
struct UToolMenus : UObject {
    static UToolMenus* Get() { return nullptr; }
    static void RegisterStartupCallback(const FSimpleMulticastDelegate::FDelegate&) {}
    static void UnRegisterStartupCallback(void*) {}
    static void UnregisterOwner(void*) {}
    UToolMenu* ExtendMenu(const FName&) { return nullptr; }
};
