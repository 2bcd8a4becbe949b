// As much of Unreal's public interface as the component touches, written from Epic's public API
// reference, so that it compiles and runs without an engine. It proves that our code is consistent
// and does what it says with what an engine would hand it; not that an engine does.
#pragma once

#include "StandInTypes.h"

// ---- objects

struct UClass {};
struct UObject {
    virtual ~UObject() = default;
    virtual bool isMesh() const { return false; }
    uint32 GetUniqueID() const { return 7; }
};
class UMeshComponent;
template <class T>
T* Cast(UObject* object) {
    const bool fits = !std::is_same<T, UMeshComponent>::value || (object && object->isMesh());
    return fits ? static_cast<T*>(object) : nullptr;
}
template <class T>
T* NewObject(UObject* = nullptr) {
    static std::vector<std::unique_ptr<T>> kept;  // what the engine's collector would keep
    kept.push_back(std::make_unique<T>());
    return kept.back().get();
}

enum ETickingGroup { TG_PostUpdateWork };
enum ELevelTick { LEVELTICK_All };
namespace EEndPlayReason {
enum Type { EndPlayInEditor };
}
struct FActorComponentTickFunction {
    bool bCanEverTick = false;
    ETickingGroup TickGroup = TG_PostUpdateWork;
};
struct UActorComponent : UObject {
    FActorComponentTickFunction PrimaryComponentTick;
    virtual void BeginPlay() {}
    virtual void EndPlay(const EEndPlayReason::Type) {}
    virtual void TickComponent(float, ELevelTick, FActorComponentTickFunction*) {}
    void RegisterComponent() { registered = true; }
    void DestroyComponent() { registered = false; }
    bool registered = false;
};
struct USceneComponent : UActorComponent {
    using Super = USceneComponent;
    const FTransform& GetComponentTransform() const { return transform; }
    void SetupAttachment(USceneComponent* parent) { parent->children.push_back(this); }
    const TArray<TObjectPtr<USceneComponent>>& GetAttachChildren() const { return children; }
    TArray<TObjectPtr<USceneComponent>> children;
    FTransform transform;
};

// ---- textures and materials

enum EPixelFormat { PF_R8G8B8A8, PF_R32_FLOAT, PF_FloatRGBA };
enum TextureAddress { TA_Clamp };
enum TextureFilter { TF_Nearest, TF_Bilinear, TF_Default };
struct FUpdateTextureRegion2D {
    uint32 DestX, DestY;
    int32 SrcX, SrcY;
    uint32 Width, Height;
    FUpdateTextureRegion2D(uint32 dx, uint32 dy, int32 sx, int32 sy, uint32 w, uint32 h)
        : DestX(dx), DestY(dy), SrcX(sx), SrcY(sy), Width(w), Height(h) {}
};
struct UTexture : UObject {};
class UTexture2D : public UTexture {
public:
    bool SRGB = true;
    TextureAddress AddressX = TA_Clamp, AddressY = TA_Clamp;
    TextureFilter Filter = TF_Default;
    static UClass* StaticClass() { return nullptr; }
    void PostEditChange() {}
    static UTexture2D* CreateTransient(int32 width, int32 height, EPixelFormat format) {
        UTexture2D* made = NewObject<UTexture2D>();
        made->width = width;
        made->height = height;
        made->texelBytes = format == PF_FloatRGBA ? 8 : 4;
        made->pixels.resize(size_t(width) * size_t(height) * made->texelBytes);
        return made;
    }
    int32 GetSizeX() const { return width; }
    int32 GetSizeY() const { return height; }
    void UpdateResource() { ready = true; }
    void UpdateTextureRegions(int32, uint32, const FUpdateTextureRegion2D* region, uint32 pitch,
                              uint32 bytes, uint8* from,
                              const std::function<void(uint8*, const FUpdateTextureRegion2D*)>& done) {
        if (!ready || bytes != texelBytes || pitch != region->Width * bytes ||
            int32(region->DestX + region->Width) > width ||
            int32(region->DestY + region->Height) > height) {
            std::abort();
        }
        for (uint32 row = 0; row < region->Height; ++row) {
            uint8* to = pixels.data() + size_t(region->DestY + row) * size_t(width) * bytes;
            std::memcpy(to, from + size_t(row) * pitch, pitch);
        }
        ++updates;
        rows += region->Height;
        done(from, region);
    }
    int32 width = 0, height = 0;
    uint32 texelBytes = 0;
    bool ready = false;
    std::vector<uint8> pixels;
    uint64_t updates = 0, rows = 0;
};

class UMaterialInterface : public UObject {};
class UMaterialInstanceDynamic : public UMaterialInterface {
public:
    static UMaterialInstanceDynamic* Create(UMaterialInterface*, UObject*) {
        return NewObject<UMaterialInstanceDynamic>();
    }
    void SetTextureParameterValue(const char* name, UTexture* value) { textures[name] = value; }
    void SetScalarParameterValue(const char* name, float value) { scalars[name] = value; }
    void SetVectorParameterValue(const char* name, const FLinearColor& value) {
        vectors.insert_or_assign(name, value);
    }
    std::map<std::string, UTexture*> textures;
    std::map<std::string, float> scalars;
    std::map<std::string, FLinearColor> vectors;
};

// ---- meshes

namespace ECollisionEnabled {
enum Type { NoCollision };
}
class UMeshComponent : public USceneComponent {
public:
    bool isMesh() const override { return true; }
    UMaterialInstanceDynamic* CreateDynamicMaterialInstance(int32, UMaterialInterface*) {
        return material = NewObject<UMaterialInstanceDynamic>();
    }
    void SetMaterial(int32, UMaterialInterface* own) {
        material = static_cast<UMaterialInstanceDynamic*>(own);
    }
    void SetCastShadow(bool) {}
    void SetCollisionEnabled(ECollisionEnabled::Type) {}
    UMaterialInstanceDynamic* material = nullptr;
};
struct FProcMeshTangent {};
class UProceduralMeshComponent : public UMeshComponent {
public:
    static inline UProceduralMeshComponent* newest = nullptr;
    void CreateMeshSection(int32, const TArray<FVector>& places, const TArray<int32>& triangles,
                           const TArray<FVector>&, const TArray<FVector2D>& uv0,
                           const TArray<FVector2D>& uv1, const TArray<FVector2D>&,
                           const TArray<FVector2D>&, const TArray<FColor>&,
                           const TArray<FProcMeshTangent>&, bool) {
        vertices = places.Num();
        indices = triangles.Num();
        newest = this;
        if (uv0.Num() != vertices || uv1.Num() != vertices) std::abort();
    }
    int32 vertices = 0, indices = 0;
};
struct UAnimInstance : UObject {
    float GetCurveValue(const FName& name) const { return name == FName("jawOpen") ? 0.05f : 0.0f; }
};
class USkeletalMeshComponent : public UMeshComponent {
public:
    UAnimInstance* GetAnimInstance() const { return animation; }
    UAnimInstance* animation = nullptr;
};

// ---- the player's camera, two metres in front of the face

struct APlayerCameraManager : UObject {
    FVector GetCameraLocation() const { return {-200, 0, 0}; }
    FRotator GetCameraRotation() const { return {}; }
    float GetFOVAngle() const { return 90; }
};
struct APlayerController : UObject {
    APlayerCameraManager* PlayerCameraManager = NewObject<APlayerCameraManager>();
    void GetViewportSize(int32& width, int32& height) const { width = 640, height = 480; }
};
struct UGameplayStatics {
    static APlayerController* GetPlayerController(const UObject*, int32) {
        static APlayerController player;
        return &player;
    }
};

struct UEngine {
    void AddOnScreenDebugMessage(uint64, float, const FColor&, const FString& text) { said = *text; }
    std::string said;
};
inline UEngine theEngine;
inline UEngine* GEngine = &theEngine;

// ---- files, modules, pictures

struct FFileHelper {
    static bool LoadFileToArray(TArray<uint8>& out, const char* name) {
        std::ifstream file(name, std::ios::binary);
        if (!file) return false;
        out.assign(std::istreambuf_iterator<char>(file), {});
        return true;
    }
};
struct FPaths {
    static FString Combine(const FString& a, const FString& b) { return a + "/" + b; }
};
struct IModuleInterface {
    virtual ~IModuleInterface() = default;
    virtual void StartupModule() {}
    virtual void ShutdownModule() {}
};
struct IPlugin {
    FString GetBaseDir() const { return "."; }
};
struct IPluginManager {
    static IPluginManager& Get() {
        static IPluginManager one;
        return one;
    }
    TSharedPtr<IPlugin> FindPlugin(const FString&) { return MakeShared<IPlugin>(); }
};
inline void AddShaderSourceDirectoryMapping(const FString&, const FString&) {}

enum class EImageFormat { JPEG };
enum class ERGBFormat { RGBA };
struct IImageWrapper {  // decodes nothing: a grey picture of the size that was said
    static inline int32 pixels = 0;
    bool SetCompressed(const void* data, int64 size) {
        return size > 2 && static_cast<const uint8*>(data)[0] == 0xff;
    }
    bool GetRaw(ERGBFormat, int32, TArray<uint8>& out) {
        out.assign(size_t(4 * pixels), 128);
        return true;
    }
};
struct IImageWrapperModule {
    TSharedPtr<IImageWrapper> CreateImageWrapper(EImageFormat) { return MakeShared<IImageWrapper>(); }
};
struct FModuleManager {
    template <class Module>
    static Module& LoadModuleChecked(const char*) {
        static Module one;
        return one;
    }
};

// ---- Live Link

struct FLiveLinkSubjectName {
    FName Name;
};
struct FLiveLinkBaseStaticData {
    TArray<FName> PropertyNames;
};
struct FLiveLinkBaseFrameData {
    TArray<float> PropertyValues;
};
template <class Data>
struct TStandInStruct {
    Data data;
    template <class Wanted>
    const Wanted* Cast() const {
        return &data;
    }
};
struct FLiveLinkSubjectFrameData {
    TStandInStruct<FLiveLinkBaseStaticData> StaticData;
    TStandInStruct<FLiveLinkBaseFrameData> FrameData;
};
struct ULiveLinkBasicRole {
    static UClass* StaticClass() { return nullptr; }
};
struct ILiveLinkClient {
    static inline const FName ModularFeatureName = "LiveLink";
    FLiveLinkSubjectFrameData now;
    bool EvaluateFrame_AnyThread(const FLiveLinkSubjectName& subject, UClass*,
                                 FLiveLinkSubjectFrameData& out) {
        out = now;
        return subject.Name == FName("Phone");
    }
};
struct IModularFeatures {
    static IModularFeatures& Get() {
        static IModularFeatures one;
        return one;
    }
    bool IsModularFeatureAvailable(const FName&) const { return true; }
    template <class Feature>
    Feature& GetModularFeature(const FName&) {
        static Feature one;
        return one;
    }
};
