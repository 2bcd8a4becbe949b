#pragma once

#include "Components/SceneComponent.h"
#include "CoreMinimal.h"
#include "LiveLinkTypes.h"

#include "FlexAvatarComponent.generated.h"

class UMaterialInterface;
class UMeshComponent;
class USkeletalMeshComponent;
class UTexture2D;
class FFlexAvatarConnection;

/** What comes from the server. */
UENUM(BlueprintType)
enum class EFlexAvatarMode : uint8
{
	/** The server draws: a texture with alpha and, if asked for, one of depth. */
	Picture,
	/** The engine draws: Gaussians in the scene, in front of and behind what is there. */
	Gaussians,
};

/** What drives the face by itself, every tick. */
UENUM(BlueprintType)
enum class EFlexAvatarDrive : uint8
{
	/** Drive, SetBlendShape and their like alone. */
	Blueprint,
	/** A Live Link subject with ARKit's curves. */
	LiveLink,
	/** Animation curves with ARKit's names, of CurveSource. */
	Curves,
};

/** How it goes. */
USTRUCT(BlueprintType)
struct FLEXAVATAR_API FFlexAvatarStats
{
	GENERATED_BODY()

	UPROPERTY(BlueprintReadOnly, Category = "FlexAvatar")
	bool bConnected = false;
	UPROPERTY(BlueprintReadOnly, Category = "FlexAvatar")
	int64 Frames = 0;
	/** Frames that never came. */
	UPROPERTY(BlueprintReadOnly, Category = "FlexAvatar")
	int64 Missed = 0;
	/** Messages that could not be read. */
	UPROPERTY(BlueprintReadOnly, Category = "FlexAvatar")
	int64 Refused = 0;
	UPROPERTY(BlueprintReadOnly, Category = "FlexAvatar")
	int64 Connections = 0;
	UPROPERTY(BlueprintReadOnly, Category = "FlexAvatar")
	double Megabytes = 0;
	/** From Drive to the frame's arrival on the game thread, typically. */
	UPROPERTY(BlueprintReadOnly, Category = "FlexAvatar")
	double LatencyMs = 0;
	UPROPERTY(BlueprintReadOnly, Category = "FlexAvatar")
	double LatencyP99Ms = 0;
};

DECLARE_DYNAMIC_MULTICAST_DELEGATE(FFlexAvatarEvent);
DECLARE_DYNAMIC_MULTICAST_DELEGATE_OneParam(FFlexAvatarTextEvent, const FString&, Text);
DECLARE_DYNAMIC_MULTICAST_DELEGATE_OneParam(FFlexAvatarFrameEvent, int64, Frame);

/** An avatar of a FlexAvatar server: shown where this component is, its face along +X. */
UCLASS(ClassGroup = (FlexAvatar), meta = (BlueprintSpawnableComponent))
class FLEXAVATAR_API UFlexAvatarComponent : public USceneComponent
{
	GENERATED_BODY()

public:
	UFlexAvatarComponent();

	/** Where `flexavatar serve` runs. */
	UPROPERTY(EditAnywhere, BlueprintReadWrite, Category = "FlexAvatar|Server")
	FString Host = TEXT("127.0.0.1");
	/** Its --http-port. */
	UPROPERTY(EditAnywhere, BlueprintReadWrite, Category = "FlexAvatar|Server", meta = (ClampMin = 1, ClampMax = 65535))
	int32 Port = 50052;
	/** Its token, if it asks for one. */
	UPROPERTY(EditAnywhere, BlueprintReadWrite, Category = "FlexAvatar|Server")
	FString Token;
	/** Through a tunnel: host:port of its frames and drive packets; empty as the server says. */
	UPROPERTY(EditAnywhere, BlueprintReadWrite, AdvancedDisplay, Category = "FlexAvatar|Server")
	FString FrameAddress;
	UPROPERTY(EditAnywhere, BlueprintReadWrite, AdvancedDisplay, Category = "FlexAvatar|Server")
	FString DriveAddress;
	UPROPERTY(EditAnywhere, BlueprintReadWrite, Category = "FlexAvatar|Server")
	bool bConnectOnBeginPlay = true;

	/** Name of an avatar on the server. */
	UPROPERTY(EditAnywhere, BlueprintReadWrite, Category = "FlexAvatar")
	FString Avatar;
	/** A second avatar, which SetMorph turns this one into. */
	UPROPERTY(EditAnywhere, BlueprintReadWrite, Category = "FlexAvatar")
	FString MorphTo;
	UPROPERTY(EditAnywhere, BlueprintReadWrite, Category = "FlexAvatar")
	EFlexAvatarMode Mode = EFlexAvatarMode::Picture;
	/** Of the picture, pixels. */
	UPROPERTY(EditAnywhere, BlueprintReadWrite, Category = "FlexAvatar", meta = (ClampMin = 16, ClampMax = 4096))
	FIntPoint Resolution = FIntPoint(512, 512);
	/** Also a texture of depth, to composite with. */
	UPROPERTY(EditAnywhere, BlueprintReadWrite, Category = "FlexAvatar")
	bool bDepth = true;
	/** A tenth of the bytes, but over black: no alpha, no compositing. */
	UPROPERTY(EditAnywhere, BlueprintReadWrite, AdvancedDisplay, Category = "FlexAvatar")
	bool bJpeg = false;
	/** What shows it: FlexAvatar's materials from the menu Tools, or your own with their parameters. */
	UPROPERTY(EditAnywhere, BlueprintReadWrite, Category = "FlexAvatar")
	TObjectPtr<UMaterialInterface> Material;
	/** Picture mode: the mesh that gets the material; unless set, a mesh that is attached to this. */
	UPROPERTY(EditAnywhere, BlueprintReadWrite, Category = "FlexAvatar")
	TObjectPtr<UMeshComponent> Screen;

	/** Writes GetStatsText on the screen. */
	UPROPERTY(EditAnywhere, BlueprintReadWrite, Category = "FlexAvatar")
	bool bShowStats = false;

	UPROPERTY(EditAnywhere, BlueprintReadWrite, Category = "FlexAvatar|Drive")
	EFlexAvatarDrive DriveFrom = EFlexAvatarDrive::Blueprint;
	UPROPERTY(EditAnywhere, BlueprintReadWrite, Category = "FlexAvatar|Drive")
	FLiveLinkSubjectName Subject;
	UPROPERTY(EditAnywhere, BlueprintReadWrite, Category = "FlexAvatar|Drive")
	TObjectPtr<USkeletalMeshComponent> CurveSource;
	/** Sources of the server, the first on top ("live-link-face", "drive"); none: this component alone. */
	UPROPERTY(EditAnywhere, BlueprintReadWrite, AdvancedDisplay, Category = "FlexAvatar|Drive")
	TArray<FString> Sources;

	/** Premultiplied RGBA, gamma-encoded; null until the first frame. */
	UPROPERTY(BlueprintReadOnly, Transient, Category = "FlexAvatar")
	TObjectPtr<UTexture2D> Picture;
	/** Metres along the camera's axis, 0 where nothing is. */
	UPROPERTY(BlueprintReadOnly, Transient, Category = "FlexAvatar")
	TObjectPtr<UTexture2D> Depth;

	/** An avatar was made; its name. */
	UPROPERTY(BlueprintAssignable, Category = "FlexAvatar")
	FFlexAvatarTextEvent OnAvatarReady;
	/** A new frame is in the textures or the scene. */
	UPROPERTY(BlueprintAssignable, Category = "FlexAvatar")
	FFlexAvatarFrameEvent OnFrame;
	UPROPERTY(BlueprintAssignable, Category = "FlexAvatar")
	FFlexAvatarEvent OnConnected;
	/** Why; it connects again by itself. */
	UPROPERTY(BlueprintAssignable, Category = "FlexAvatar")
	FFlexAvatarTextEvent OnDisconnected;
	UPROPERTY(BlueprintAssignable, Category = "FlexAvatar")
	FFlexAvatarTextEvent OnError;

	/** Starts showing Avatar; with the settings of now if it runs already. */
	UFUNCTION(BlueprintCallable, Category = "FlexAvatar")
	void Connect();
	UFUNCTION(BlueprintCallable, Category = "FlexAvatar")
	void Disconnect();

	/**
	 * Makes an avatar of photos or a video on this machine; OnAvatarReady or OnError follow, whatever
	 * Connect and Disconnect do meanwhile: at the latest when play ends.
	 */
	UFUNCTION(BlueprintCallable, Category = "FlexAvatar")
	void CreateAvatar(const FString& Name, const TArray<FString>& Files, bool bQuick = false, bool bReplace = false);

	/** A whole face: ARKit's names and 0..1; names that are missing are 0. */
	UFUNCTION(BlueprintCallable, Category = "FlexAvatar")
	void Drive(const TMap<FName, float>& Weights);
	/** One blend shape; the others stay. False for a name that is not ARKit's. */
	UFUNCTION(BlueprintCallable, Category = "FlexAvatar")
	bool SetBlendShape(FName Name, float Weight);
	/** How the head is held on its neck, degrees: yaw to the person's left, pitch up, roll to their right. */
	UFUNCTION(BlueprintCallable, Category = "FlexAvatar")
	void SetHead(float Yaw, float Pitch, float Roll);
	/** Picture mode: the camera around the head, degrees. */
	UFUNCTION(BlueprintCallable, Category = "FlexAvatar")
	void SetOrbit(float Yaw, float Pitch);
	/** The share of MorphTo, 0..1. */
	UFUNCTION(BlueprintCallable, Category = "FlexAvatar")
	void SetMorph(float Share);

	UFUNCTION(BlueprintPure, Category = "FlexAvatar")
	FFlexAvatarStats GetStats() const;
	/** The same as a line of text, for the screen. */
	UFUNCTION(BlueprintPure, Category = "FlexAvatar")
	FString GetStatsText() const;

	virtual void BeginPlay() override;
	virtual void EndPlay(const EEndPlayReason::Type Reason) override;
	virtual void TickComponent(float DeltaTime, ELevelTick TickType, FActorComponentTickFunction* ThisTick) override;

private:
	void DriveFromSources();
	void TakeEvents();
	void TakeFrames();
	void FindScreen();
	void ShowOnScreen();

	TSharedPtr<FFlexAvatarConnection> Connection;
};
