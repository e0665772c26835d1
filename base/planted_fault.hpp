// Planted faults, compiled only into one program of the simulator, which must find each of them:
// HF_BUG marks the places. In every other program it is false. One fault is switched on at a time,
// for the whole process, so that no type differs between the programs.
#pragma once

#include <cstdint>

#ifdef HOLDFAST_SIM_BUGS
namespace holdfast {

enum class Bug : std::uint8_t {
  kNone,
  kAcknowledgeBeforePersist,
  kPersistedByIndex,
  kSkipNoOp,
  kVoteTwice,
  kIgnorePromise,
  kBreakPromiseByCandidacy,
  kForgetPromiseOnRestart,
  kKeptVoteUnjudged,
  kLeaseByTickTime,
  kReadWithoutLease,
  kReadWithoutRound,
  kRecoveringVotes,
  kLoseRecoveringMark,
  kCountWipedVote,
  kCommitOldTerms,
  kApplyBeforeCommit,
  kInstallBeyondCommit,
  kApplyHalfEntry,
  kForgetTruncation,
  kReleaseByOldHandOver,
  kReadOverdueUndeleted,
  kReadUncommitted,
  kKeepSegmentAtModeChange,
  kReadWithNewestKeyOnly,
};

inline Bug planted_fault = Bug::kNone;

}  // namespace holdfast

#define HF_BUG(name) (::holdfast::planted_fault == ::holdfast::Bug::name)
#else
#define HF_BUG(name) false
#endif
