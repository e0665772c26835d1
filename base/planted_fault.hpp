// Planted faults, compiled only into the simulator, which must find each of them: HF_BUG marks the
// places. In every other program it is false.
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
};

}  // namespace holdfast

#define HF_BUG(where, name) ((where).bug == ::holdfast::Bug::name)
#else
#define HF_BUG(where, name) false
#endif
