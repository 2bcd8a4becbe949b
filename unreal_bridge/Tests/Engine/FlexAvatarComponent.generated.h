// Unreal's header tool writes this file.
#pragma once
#define GENERATED_BODY()
