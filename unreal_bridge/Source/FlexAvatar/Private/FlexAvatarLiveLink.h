#pragma once

#include "FlexAvatar/DrivePacket.h"
#include "LiveLinkTypes.h"

/** A subject's ARKit curves and head into a signal; false if nobody is there. */
bool ReadLiveLink(const FLiveLinkSubjectName& Subject, flexavatar::Signal& Face);
