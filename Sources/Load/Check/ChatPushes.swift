// Owns: the messages of a chat as the pushed changes show them, and whether they add up to what a
// reader sees. A value; any thread.

/// The messages of one chat, by the changes.
struct ChatPushes: Sendable {
  /// The numbers that the senders gave the messages, by their numbers in the chat.
  private var pushed: [Int64: Int] = [:]
  /// The last reading of all messages; nil before that.
  private(set) var read: [Int64: Int]?
  private(set) var readNs: Int64 = 0
  /// Whether a change has not shown all that was said.
  private(set) var isCut = false

  mutating func changed(_ change: PushedChange) {
    switch change {
    case .said(let messages, let isCut):
      for message in messages { pushed[message.seq] = message.number }
      if isCut { self.isCut = true }
    case .unsaid(let seqs): for seq in seqs { pushed[seq] = nil }
    }
  }

  mutating func readAll(_ messages: [Message], nowNs: Int64) {
    read = Dictionary(messages.map { ($0.seq, $0.number) }) { $1 }
    readNs = nowNs
  }

  /// What was pushed and is not there, or the other way round; nil if there is nothing.
  var difference: String? {
    guard let read, read != pushed else { return nil }
    if let seq = read.keys.filter({ read[$0] != pushed[$0] }).min() {
      return "seq \(seq) is message \(read[seq] ?? 0), and "
        + (pushed[seq].map { "message \($0) was pushed" } ?? "it was never pushed")
    }
    let seq = pushed.keys.filter { read[$0] == nil }.min() ?? 0
    return "seq \(seq) was pushed, and is not there"
  }
}

extension DeviceCheck {
  /// A change of the chat was pushed.
  package mutating func pushed(_ change: PushedChange, nowNs: Int64) {
    history.add(.pushed(change, nowNs))
    pushes.changed(change)
  }

  /// Whether the changes add up to the messages that were read last, as far as that can be known.
  var addsUp: Bool { isPushedInPart || pushes.difference == nil }

  /// A message whose sender has given up may come at any time.
  private var isPushedInPart: Bool { pushes.isCut || loose.contains { $0.call.message > 0 } }

  /// Returns what the changes lack, after they have had time enough.
  package func changesVerdict(nowNs: Int64) -> Violation? {
    guard !isPushedInPart else { return nil }
    return pushes.difference.map { Violation(.changesWrong, $0, atNs: nowNs) }
  }
}
