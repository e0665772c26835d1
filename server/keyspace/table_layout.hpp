// What the source files of Table share: the stand-in of directories that have no entry yet.
#pragma once

#include "server/keyspace/segment.hpp"

namespace holdfast::keyspace {

extern Segment* const kNoSegment;    // empty, shared by all tables, never changed
extern Segment** const kNoSegments;  // a directory of depth 0 that leads to it

}  // namespace holdfast::keyspace
