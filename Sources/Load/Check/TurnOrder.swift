// Owns: the order in which turns are granted to those that wait. Values; any thread.
//
// When a request has come to its place is not seen. But a TURN that is rejected says how many wait:
// if these are all that can be waiting, each of them has its place, and what is asked after that
// stands behind.

extension DeviceCheck {
  /// A grant that is not begun within 1 s goes to the next, and with it go the other places of its
  /// worker: nothing is concluded from turns that began so long after the one before.
  private static let promptNs: Int64 = 900_000_000

  /// A TURN that does not wait was answered with BUSY, and so many wait.
  mutating func noteWaiting(_ rejected: OpenCall, _ ahead: Int, _ nowNs: Int64) {
    guard ahead > 0, rejected.call.waitMs == 0, waiterEndedNs < rejected.call.invokedNs else {
      return
    }
    let waiting = open.indices.filter { open[$0].call.waitMs > 0 }
    guard waiting.count + loose.count(where: { $0.call.waitMs > 0 }) == ahead else { return }
    for index in waiting where open[index].waitsSinceNs == nil { open[index].waitsSinceNs = nowNs }
  }

  /// Whether a turn that was asked for later has begun before this one, which waited.
  func outOfOrder(
    _ open: OpenCall, _ number: Int64, _ triedNs: Int64, _ nowNs: Int64
  ) -> Violation? {
    // A caller that asked again may have lost its place.
    guard let sinceNs = open.waitsSinceNs, triedNs == open.call.invokedNs else { return nil }
    for index in turns.all.indices.dropFirst() {
      let (before, other) = (turns[index - 1], turns[index])
      guard other.number < number, other.policy?.ends == false,
        let askedNs = other.lease.grantedNs, askedNs.lowerBound > sinceNs,
        let done = before.lastDone,
        askedNs.upperBound - done.sentNs < DeviceCheck.promptNs
      else { continue }
      return Violation(
        .turnOutOfOrder,
        "turn \(other.number) began before turn \(number), whose caller had been "
          + "waiting when it was asked for", atNs: nowNs)
    }
    return nil
  }
}
