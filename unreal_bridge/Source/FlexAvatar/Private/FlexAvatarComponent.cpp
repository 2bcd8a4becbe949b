#include "FlexAvatarComponent.h"

#include "Animation/AnimInstance.h"
#include "Components/MeshComponent.h"
#include "Components/SkeletalMeshComponent.h"
#include "Engine/Engine.h"
#include "Engine/Texture2D.h"
#include "FlexAvatar/Axes.h"
#include "FlexAvatarConnection.h"
#include "FlexAvatarLiveLink.h"
#include "FlexAvatarTextures.h"
#include "Materials/MaterialInstanceDynamic.h"
#include "Misc/FileHelper.h"

using namespace flexavatar;

namespace
{

LinkConfig ConfigOf(const UFlexAvatarComponent& Component)
{
	LinkConfig Config;
	const bool bPicture = Component.Mode == EFlexAvatarMode::Picture;
	Config.server = {ToText(Component.Host), static_cast<uint16_t>(Component.Port)};
	Config.token = ToText(Component.Token);
	Config.frameAddress = ToText(Component.FrameAddress);
	Config.driveAddress = ToText(Component.DriveAddress);
	Config.request.avatar = ToText(Component.Avatar);
	Config.request.morphTo = ToText(Component.MorphTo);
	Config.request.width = static_cast<uint32_t>(Component.Resolution.X);
	Config.request.height = static_cast<uint32_t>(Component.Resolution.Y);
	Config.request.picture = bPicture;
	Config.request.jpeg = Component.bJpeg;
	Config.request.depth = bPicture && Component.bDepth;
	Config.request.splats = !bPicture;
	for (const FString& Source : Component.Sources)
	{
		Config.request.sources.push_back(ToText(Source));
	}
	return Config;
}

/** Reads files whole; false, and which of them cannot be read. */
bool ReadFiles(const TArray<FString>& Files, std::vector<Bytes>& Contents, std::string& Problem)
{
	for (const FString& File : Files)
	{
		TArray<uint8> Content;
		if (!FFileHelper::LoadFileToArray(Content, *File))
		{
			Problem = "cannot read " + ToText(File);
			return false;
		}
		Contents.emplace_back(Content.GetData(), Content.GetData() + Content.Num());
	}
	return true;
}

float Clamped(float Weight)
{
	return FMath::Clamp(Weight, 0.0f, 1.0f);  // apps overshoot, which the server refuses
}
}  // namespace

UFlexAvatarComponent::UFlexAvatarComponent() : Connection(MakeShared<FFlexAvatarConnection>())
{
	PrimaryComponentTick.bCanEverTick = true;
	PrimaryComponentTick.TickGroup = TG_PostUpdateWork;  // after the camera has moved
}

void UFlexAvatarComponent::BeginPlay()
{
	Super::BeginPlay();
	if (bConnectOnBeginPlay && !Avatar.IsEmpty())
	{
		Connect();
	}
}

void UFlexAvatarComponent::EndPlay(const EEndPlayReason::Type Reason)
{
	Connection->Link.abandonAvatar("play has ended");
	Disconnect();
	Super::EndPlay(Reason);
}

void UFlexAvatarComponent::Connect()
{
	Connection->Link.start(ConfigOf(*this));
}

void UFlexAvatarComponent::Disconnect()
{
	Connection->Link.stop();
	Connection->Splats.Remove();
	TakeEvents();
}

void UFlexAvatarComponent::CreateAvatar(const FString& Name, const TArray<FString>& Files, bool bQuick, bool bReplace)
{
	NewAvatar Made;
	Made.name = ToText(Name);
	Made.quick = bQuick;
	Made.replace = bReplace;
	auto Read = [Files](std::vector<Bytes>& Photos, std::string& Problem) { return ReadFiles(Files, Photos, Problem); };
	if (!Connection->Link.createAvatar(ConfigOf(*this), std::move(Made), std::move(Read)))
	{
		OnError.Broadcast(TEXT("another avatar is being made"));
	}
}

void UFlexAvatarComponent::Drive(const TMap<FName, float>& Weights)
{
	Signal& Face = Connection->Face;
	for (float& Weight : Face.weights)
	{
		Weight = 0;
	}
	for (const auto& Pair : Weights)
	{
		const int Index = arkitIndex(TCHAR_TO_UTF8(*Pair.Key.ToString()));
		if (Index >= 0)
		{
			Face.weights[Index] = Clamped(Pair.Value);
		}
	}
	Face.parts |= PART_ARKIT;
	Connection->Link.drive(Face);
}

bool UFlexAvatarComponent::SetBlendShape(FName Name, float Weight)
{
	const int Index = arkitIndex(TCHAR_TO_UTF8(*Name.ToString()));
	if (Index < 0)
	{
		return false;
	}
	Connection->Face.weights[Index] = Clamped(Weight);
	Connection->Face.parts |= PART_ARKIT;
	Connection->Link.drive(Connection->Face);
	return true;
}

void UFlexAvatarComponent::SetHead(float Yaw, float Pitch, float Roll)
{
	const float Radians = UE_PI / 180;
	Signal& Face = Connection->Face;
	axisAngleFromYawPitchRoll(Radians * Yaw, Radians * Pitch, Radians * Roll, Face.neckPose);
	Face.parts |= PART_HEAD;
	Connection->Link.drive(Face);
}

void UFlexAvatarComponent::SetOrbit(float Yaw, float Pitch)
{
	Signal View;
	View.parts = PART_ORBIT;
	View.yawDeg = Yaw;
	View.pitchDeg = Pitch;
	Connection->Link.drive(View);
}

void UFlexAvatarComponent::SetMorph(float Share)
{
	Signal View;
	View.parts = PART_MORPH;
	View.morph = Clamped(Share);
	Connection->Link.drive(View);
}

void UFlexAvatarComponent::TickComponent(float DeltaTime, ELevelTick TickType, FActorComponentTickFunction* ThisTick)
{
	Super::TickComponent(DeltaTime, TickType, ThisTick);
	if (Connection->Link.running())
	{
		DriveFromSources();
		TakeFrames();
	}
	TakeEvents();
	if (bShowStats && GEngine)
	{
		const uint64 Key = GetUniqueID();  // one line each, written over
		GEngine->AddOnScreenDebugMessage(Key, 1.0f, FColor::White, GetStatsText());
	}
}

void UFlexAvatarComponent::DriveFromSources()
{
	Signal& Face = Connection->Face;
	if (DriveFrom == EFlexAvatarDrive::LiveLink && ReadLiveLink(Subject, Face))
	{
		Connection->Link.drive(Face);
	}
	const UAnimInstance* Animation = CurveSource ? CurveSource->GetAnimInstance() : nullptr;
	if (DriveFrom == EFlexAvatarDrive::Curves && Animation)
	{
		for (int i = 0; i < ARKIT_COUNT; ++i)
		{
			Face.weights[i] = Clamped(Animation->GetCurveValue(FName(ARKIT_NAMES[i])));
		}
		Face.parts |= PART_ARKIT;
		Connection->Link.drive(Face);
	}
}

void UFlexAvatarComponent::TakeEvents()
{
	Event Happened;
	while (Connection->Link.nextEvent(Happened))
	{
		const FString Text = ToString(Happened.text);
		switch (Happened.kind)
		{
		case EventKind::Connected:
			OnConnected.Broadcast();
			break;
		case EventKind::Disconnected:
			OnDisconnected.Broadcast(Text);
			break;
		case EventKind::AvatarReady:
			OnAvatarReady.Broadcast(Text);
			break;
		case EventKind::Failed:
			OnError.Broadcast(Text);
			break;
		}
	}
}

void UFlexAvatarComponent::TakeFrames()
{
	if (Mode == EFlexAvatarMode::Gaussians)
	{
		if (Connection->Splats.Update(*this, Connection->Link))
		{
			OnFrame.Broadcast(Connection->Splats.Frame());
		}
		return;
	}
	if (!Connection->Link.takePicture())
	{
		return;
	}
	const flexavatar::Picture& Taken = Connection->Link.picture();
	UTexture2D* const Before = Picture;
	if (!ShowColor(Taken, Picture))
	{
		OnError.Broadcast(TEXT("a picture could not be decoded"));
		return;
	}
	ShowDepth(Taken, Depth);
	if (Picture != Before)
	{
		ShowOnScreen();
	}
	OnFrame.Broadcast(Taken.header.seq);
}

void UFlexAvatarComponent::FindScreen()
{
	for (USceneComponent* Child : GetAttachChildren())
	{
		if (!Screen)
		{
			Screen = Cast<UMeshComponent>(Child);
		}
	}
}

void UFlexAvatarComponent::ShowOnScreen()
{
	FindScreen();
	if (!Screen || !Material)
	{
		return;
	}
	UMaterialInstanceDynamic* Own = Screen->CreateDynamicMaterialInstance(0, Material);
	Own->SetTextureParameterValue(TEXT("Picture"), Picture);
	if (Depth)
	{
		Own->SetTextureParameterValue(TEXT("Depth"), Depth);
	}
	const Session Seen = Connection->Link.session();
	Own->SetScalarParameterValue(TEXT("Distance"), static_cast<float>(Seen.viewmat[11]));
}

FFlexAvatarStats UFlexAvatarComponent::GetStats() const
{
	const LinkStats From = Connection->Link.stats();
	FFlexAvatarStats Stats;
	Stats.bConnected = From.connected;
	Stats.Frames = static_cast<int64>(From.frames.pictures + From.frames.splats);
	Stats.Missed = static_cast<int64>(From.frames.missed);
	Stats.Refused = static_cast<int64>(From.frames.refused);
	Stats.Connections = static_cast<int64>(From.connections);
	Stats.Megabytes = static_cast<double>(From.frames.bytes) * 1e-6;
	Stats.LatencyMs = From.latencyP50Ms;
	Stats.LatencyP99Ms = From.latencyP99Ms;
	return Stats;
}

FString UFlexAvatarComponent::GetStatsText() const
{
	const FFlexAvatarStats Stats = GetStats();
	return FString::Printf(TEXT("%s: %s, %lld frames, %lld missed, %.1f ms (p99 %.1f), %.0f MB"), *Avatar,
		Stats.bConnected ? TEXT("live") : TEXT("not connected"), Stats.Frames, Stats.Missed, Stats.LatencyMs,
		Stats.LatencyP99Ms, Stats.Megabytes);
}
