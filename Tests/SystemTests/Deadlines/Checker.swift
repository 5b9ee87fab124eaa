// Owns: the judgement over a history of calls and the event log: the rules for each token that was
// granted. Knows nothing of processes, sockets or Redis. Values; any thread.

/// A rule that a run has broken.
struct HistoryViolation: Sendable, Equatable, CustomStringConvertible {
  enum Rule: String, Sendable, CaseIterable {
    /// A token is over, and no event or reply says how it ended.
    case endingMissing
    /// A token has ended more than once.
    case endedTwice
    /// A token was released, and reported as abandoned all the same.
    case abandonedAfterRelease
    /// Reported as abandoned before the deadline that its holder was promised last.
    case abandonedEarly
    /// Reported as abandoned at a deadline that was never promised.
    case wrongDeadline
    case wrongAgent
    case wrongHeldMs
    /// An event about a token that no call can have been given.
    case unknownToken
    /// An event of a change that no call can have made.
    case unexplainedEvent
    /// The log gives one entry twice, or not in its order.
    case logOutOfOrder
    case tokenReused
    case tokenNotGrowing
    case grantsOverlap
    /// An UNLOCK was granted to an agent that held nothing.
    case releasedByOther
    /// Two calls that contradict each other, such as two replies to one request id.
    case contradiction
  }

  let rule: Rule
  let device: String
  let token: Int?
  let text: String

  var description: String { "\(rule.rawValue): \(device) \(token ?? 0): \(text)" }
}

/// Decides that a run was in order, or finds the rules that it broke.
///
/// A call whose outcome is unknown may have been done at any moment after it was made, or never;
/// so it widens what is allowed, and nothing is concluded from it.
struct Checker {
  /// Every violation in the history, device by device.
  ///
  /// `nothingIsLive`: when the log was read no lock was held any more, so every token has ended.
  /// Without it the last token of a device may go without an ending.
  static func violations(
    _ calls: [CallRecord], _ events: [EventRecord], nothingIsLive: Bool = true
  ) -> [HistoryViolation] {
    let callsByDevice = Dictionary(grouping: calls, by: \.device)
    let eventsByDevice = Dictionary(grouping: events, by: \.device)
    let devices = Set(callsByDevice.keys).union(eventsByDevice.keys).sorted()
    return devices.flatMap { device in
      var check = DeviceHistoryCheck(
        device, callsByDevice[device] ?? [], eventsByDevice[device] ?? [],
        nothingIsLive: nothingIsLive)
      return check.run()
    }
  }
}

/// The tenure of one token.
struct Tenure {
  /// How it ended.
  enum Ending {
    case event(EventRecord)
    case released(CallRecord)
  }

  let token: Int
  var agent: String?
  var acquiredAt: Int?
  /// The call whose reply reported the grant; nil if none did.
  var grant: CallRecord?
  /// Acknowledged renewals.
  var renewals: [CallRecord] = []
  var endings: [Ending] = []

  /// The moment of its end by its first ending.
  var endsAt: Int? {
    switch endings.first {
    case .event(let event): event.at
    case .released(let call):
      if let acquiredAt, let heldMs = call.confirmed?.heldMs { acquiredAt + heldMs } else { nil }
    case nil: nil
    }
  }

  /// The deadlines that its last renewal, or its grant, can have set.
  ///
  /// `unsure` are calls of unknown outcome that may have renewed it.
  func deadlines(unsure: [CallRecord]) -> [ClosedRange<Int>] {
    var found: [ClosedRange<Int>] = []
    for renewal in renewals {
      // Whatever began after this one had ended has replaced it.
      guard !renewals.contains(where: { $0.invokedUs > renewal.returnedUs }) else { continue }
      found.append((renewal.invokedMs + renewal.ttlMs)...(renewal.returnedMs + renewal.ttlMs))
    }
    if renewals.isEmpty, let grant, let acquiredAt {
      found.append((acquiredAt + grant.ttlMs)...(acquiredAt + grant.ttlMs))
    }
    return found + unsure.map { ($0.invokedMs + $0.ttlMs)...Int.max }
  }
}
