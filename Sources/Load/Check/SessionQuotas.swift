// Owns: the counts that quotas limit: the chats of a session, the live sessions of a user. Values;
// any thread.

/// The chats that were added to a session, beside its first one.
struct AddedChats: Sendable {
  private(set) var numbers: [Int] = []
  /// How many chats the session may have; nil until one was refused.
  var limit: Int?

  /// The highest number that was acknowledged.
  var highest: Int { numbers.max() ?? 1 }

  mutating func add(_ number: Int) { numbers.append(number) }
}

/// The sessions that were opened for the user of a conversation, which no caller ends.
struct UserSessions: Sendable {
  /// When the calls were sent that opened them; a clock ends each `abandonMs` later.
  private(set) var sentNs: [Int64] = []
  /// How many live sessions the user may have; nil until one was refused.
  var limit: Int?

  mutating func add(sentNs sent: Int64) { sentNs.append(sent) }

  /// How many of them live for certain.
  func living(_ clocks: ShortClocks, nowNs: Int64) -> Int {
    let ms = clocks.abandonMs - Lease.slackMs(overMs: clocks.abandonMs)
    return sentNs.count { nowNs < $0 + ms * 1_000_000 }
  }
}
