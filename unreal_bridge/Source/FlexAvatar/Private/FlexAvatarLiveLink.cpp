#include "FlexAvatarLiveLink.h"

#include "Features/IModularFeatures.h"
#include "FlexAvatar/Axes.h"
#include "ILiveLinkClient.h"
#include "Roles/LiveLinkBasicRole.h"
#include "Roles/LiveLinkBasicTypes.h"

using namespace flexavatar;

bool ReadLiveLink(const FLiveLinkSubjectName& Subject, Signal& Face)
{
	IModularFeatures& Features = IModularFeatures::Get();
	if (!Features.IsModularFeatureAvailable(ILiveLinkClient::ModularFeatureName))
	{
		return false;
	}
	ILiveLinkClient& Client = Features.GetModularFeature<ILiveLinkClient>(ILiveLinkClient::ModularFeatureName);
	FLiveLinkSubjectFrameData Data;
	if (!Client.EvaluateFrame_AnyThread(Subject, ULiveLinkBasicRole::StaticClass(), Data))
	{
		return false;
	}
	const FLiveLinkBaseStaticData* Names = Data.StaticData.Cast<FLiveLinkBaseStaticData>();
	const FLiveLinkBaseFrameData* Values = Data.FrameData.Cast<FLiveLinkBaseFrameData>();
	if (!Names || !Values)
	{
		return false;
	}
	float Angles[3] = {};  // yaw, pitch, roll as Live Link Face sends them
	const char* const AngleNames[] = {"HeadYaw", "HeadPitch", "HeadRoll"};
	const int32 Count = FMath::Min(Names->PropertyNames.Num(), Values->PropertyValues.Num());
	for (int32 i = 0; i < Count; ++i)
	{
		const int Index = arkitIndex(TCHAR_TO_UTF8(*Names->PropertyNames[i].ToString()));
		if (Index >= 0)
		{
			Face.weights[Index] = FMath::Clamp(Values->PropertyValues[i], 0.0f, 1.0f);
		}
		for (int k = 0; k < 3; ++k)
		{
			if (Names->PropertyNames[i] == FName(AngleNames[k]))
			{
				Angles[k] = Values->PropertyValues[i];
			}
		}
	}
	axisAngleFromYawPitchRoll(Angles[0], Angles[1], Angles[2], Face.neckPose);
	Face.parts |= PART_ARKIT | PART_HEAD;
	return Count > 0;
}
