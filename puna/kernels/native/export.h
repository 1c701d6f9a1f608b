// Functions that Python calls.
#pragma once

#define PUNA_CALL extern "C" __attribute__((visibility("default")))
