// Owns: how sure it is that this worker still holds the events of a hook that it has read. A value
// without clock or Redis; the shell in HookClaims.swift performs it.

package import SessionModel

/// The hold of a worker on the events of a hook, by partition.
///
/// Redis takes events that were not claimed for `leaseMs` for those of a dead worker, and gives
/// them to another one. A worker that was stopped for a while, or could not reach Redis, does not
/// know of that: it sends nothing of a partition until Redis has confirmed what it still holds.
package struct HookHold {
  /// A claim of all that is held, on its way.
  private struct Round {
    /// From when on it confirms the hold.
    let fromMs: Int64
    var callsLeft: Int
    /// The partitions of which it is not known what is held.
    var failed = PartitionSet()
    /// Of those of which events came since: when the read of these was begun.
    var readAtMs: [Partition: Int64] = [:]
  }

  /// For so long after it was confirmed the hold is sure: some time less than a lease.
  static let sureMs = ReadHookCall.leaseMs - 500

  /// When all that is held of each partition was confirmed last.
  private var confirmedAtMs: [Int64]
  private var round: Round?

  package init(nowMs: Int64) {
    confirmedAtMs = [Int64](repeating: nowMs, count: Partition.count)
  }

  /// Whether events of a partition may be sent.
  package func isSure(of partition: Partition, nowMs: Int64) -> Bool {
    nowMs - confirmedAtMs[partition.index] < HookHold.sureMs
  }

  /// Whether those of all partitions may be.
  package func isSure(nowMs: Int64) -> Bool {
    confirmedAtMs.allSatisfy { nowMs - $0 < HookHold.sureMs }
  }

  /// Whether a claim is on its way.
  package var isClaiming: Bool { round != nil }

  /// All that is held is claimed, by so many calls.
  package mutating func claimBegan(nowMs: Int64, calls: Int) {
    precondition(round == nil, "a second claim at a time")
    round = Round(fromMs: nowMs, callsLeft: calls)
    endRound()
  }

  /// The claim does not say what is held of these.
  package mutating func claimFailed(_ partitions: [Partition]) {
    round?.failed.formUnion(PartitionSet(partitions))
  }

  /// A call of the claim has ended.
  package mutating func claimAnswered() {
    precondition(round != nil, "an answer without a claim")
    round?.callsLeft -= 1
    endRound()
  }

  private mutating func endRound() {
    guard let round, round.callsLeft == 0 else { return }
    for partition in Partition.all where !round.failed.contains(partition) {
      confirmedAtMs[partition.index] = round.readAtMs[partition] ?? round.fromMs
    }
    self.round = nil
  }

  /// Events of a partition came by a read that was begun at this time, and have been held since: a
  /// claim that is on its way does not have them.
  package mutating func tookEvents(of partition: Partition, readAtMs: Int64) {
    confirmedAtMs[partition.index] = min(confirmedAtMs[partition.index], readAtMs)
    guard let round, readAtMs < round.fromMs else { return }
    self.round?.readAtMs[partition] = min(round.readAtMs[partition] ?? readAtMs, readAtMs)
  }
}
