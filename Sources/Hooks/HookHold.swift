// Owns: how sure it is that this worker still holds the events of a hook that it has read. A value
// without clock or Redis; the shell in HookClaims.swift performs it.

/// The hold of a worker on the events of a hook.
///
/// Redis takes events that were not claimed for `leaseMs` for those of a dead worker, and gives
/// them to another one. A worker that was stopped for a while, or could not reach Redis, does not
/// know of that: it sends nothing until Redis has confirmed what it still holds.
package struct HookHold {
  /// A claim of all that is held, on its way.
  private struct Round {
    /// From when on it confirms the hold.
    var fromMs: Int64
    var callsLeft: Int
    var isConfirmed = true
  }

  /// For so long after it was confirmed the hold is sure: some time less than a lease.
  static let sureMs = ReadHookCall.leaseMs - 500

  /// When all that is held was confirmed last.
  private var confirmedAtMs: Int64
  private var round: Round?

  package init(nowMs: Int64) { confirmedAtMs = nowMs }

  /// Whether events may be sent.
  package func isSure(nowMs: Int64) -> Bool { nowMs - confirmedAtMs < HookHold.sureMs }

  /// Whether a claim is on its way.
  package var isClaiming: Bool { round != nil }

  /// All that is held is claimed, by so many calls.
  package mutating func claimBegan(nowMs: Int64, calls: Int) {
    precondition(round == nil, "a second claim at a time")
    guard calls > 0 else { return confirmedAtMs = nowMs }
    round = Round(fromMs: nowMs, callsLeft: calls)
  }

  /// A call of the claim has answered; `isConfirmed` is false if it is not known what is held.
  package mutating func claimAnswered(isConfirmed: Bool) {
    guard var round else { preconditionFailure("an answer without a claim") }
    round.callsLeft -= 1
    round.isConfirmed = round.isConfirmed && isConfirmed
    self.round = round.callsLeft > 0 ? round : nil
    if round.callsLeft == 0, round.isConfirmed { confirmedAtMs = round.fromMs }
  }

  /// Events came by a read that was begun at this time, and have been held since: a claim that is
  /// on its way does not have them.
  package mutating func tookEvents(readAtMs: Int64) {
    confirmedAtMs = min(confirmedAtMs, readAtMs)
    if let round { self.round?.fromMs = min(round.fromMs, readAtMs) }
  }
}
