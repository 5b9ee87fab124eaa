// Owns: the known messages of one chat, and whether what is read agrees with them. A value; any
// thread.

/// The check of one chat, whose messages its callers have numbered from 1.
struct ChatCheck: Sendable {
  private enum MessageState: Sendable, Equatable {
    /// It is being said, or the outcome is unknown.
    case open
    /// It was refused, so it must never be there.
    case refused
    case at(seq: Int64)
    /// It was rolled back, which was known from then on.
    case removed(sinceNs: Int64)
  }

  /// By a message's number, less one.
  private var places: [MessageState] = []
  /// The highest number of an acknowledged message.
  private(set) var highestSeq: Int64 = 0

  mutating func began(_ number: Int) {
    while places.count < number { places.append(.open) }
  }

  mutating func refused(_ number: Int) {
    if places[number - 1] == .open { places[number - 1] = .refused }
  }

  /// A message was rolled back with its turn.
  mutating func removed(_ number: Int, nowNs: Int64) {
    switch places[number - 1] {
    case .open, .at: places[number - 1] = .removed(sinceNs: nowNs)
    case .refused, .removed: break
    }
  }

  /// The number of a message in its chat; nil if it is not known to be there.
  func seq(of number: Int) -> Int64? {
    guard places.indices.contains(number - 1), case .at(let seq) = places[number - 1] else {
      return nil
    }
    return seq
  }

  /// A message was acknowledged; `seqBefore` was known when its call began.
  mutating func said(
    _ number: Int, _ seq: Int64, seqBefore: Int64, nowNs: Int64
  ) -> Violation? {
    if case .at(let other) = places[number - 1], other != seq {
      return Violation(
        .messageDoubled,
        "message \(number) is acknowledged as seq \(seq), and was read as \(other)", atNs: nowNs)
    }
    if let other = places.firstIndex(of: .at(seq: seq)), other != number - 1 {
      return Violation(
        .messageOutOfOrder, "messages \(other + 1) and \(number) both got seq \(seq)", atNs: nowNs)
    }
    guard seq > seqBefore else {
      return Violation(
        .messageOutOfOrder,
        "message \(number) got seq \(seq), and seq \(seqBefore) was acknowledged before that",
        atNs: nowNs)
    }
    highestSeq = max(highestSeq, seq)
    // The reply of a turn's message may come after that of the request which has rolled it back.
    if case .removed = places[number - 1] { return nil }
    places[number - 1] = .at(seq: seq)
    return nil
  }

  /// Messages were read: the `last` ones, or all if that is 0.
  ///
  /// `seqBefore`: what had been acknowledged when the call began must be there, but for messages
  /// that `mayBeGone`. What was known at `asOfNs` to be rolled back must not be there.
  mutating func read(
    _ messages: [Message], last: Int, seqBefore: Int64, asOfNs: Int64, nowNs: Int64,
    mayBeGone: (Int) -> Bool = { _ in false }
  ) -> Violation? {
    var before: Message?
    for (index, message) in messages.enumerated() {
      if let before, before.seq >= message.seq {
        return Violation(
          .messageOutOfOrder, "seq \(message.seq) stands behind seq \(before.seq)", atNs: nowNs)
      }
      before = message
      // There are few, and a set would cost more.
      if messages[..<index].contains(where: { $0.number == message.number }) {
        return Violation(
          .messageDoubled, "message \(message.number) is there twice", atNs: nowNs)
      }
      if let violation = place(message, asOfNs, nowNs) { return violation }
    }
    return missing(messages, last, seqBefore, nowNs, mayBeGone)
  }

  private mutating func place(
    _ message: Message, _ asOfNs: Int64, _ nowNs: Int64
  ) -> Violation? {
    guard places.indices.contains(message.number - 1) else {
      return Violation(
        .unknownMessage, "seq \(message.seq) has a message that was never said", atNs: nowNs)
    }
    switch places[message.number - 1] {
    case .open:
      places[message.number - 1] = .at(seq: message.seq)
      highestSeq = max(highestSeq, message.seq)
      return nil
    case .refused:
      return Violation(
        .staleWriteAccepted, "message \(message.number) is there, and it was refused", atNs: nowNs)
    case .at(let seq):
      return seq == message.seq
        ? nil
        : Violation(
          .messageDoubled, "message \(message.number) is at seq \(message.seq), and was at \(seq)",
          atNs: nowNs)
    case .removed(let sinceNs):
      return sinceNs > asOfNs
        ? nil
        : Violation(
          .rolledBackThere,
          "message \(message.number) is at seq \(message.seq), and its turn was "
            + "rolled back", atNs: nowNs)
    }
  }

  /// Whether a message is missing that must be among those that were read.
  private func missing(
    _ messages: [Message], _ last: Int, _ seqBefore: Int64, _ nowNs: Int64,
    _ mayBeGone: (Int) -> Bool
  ) -> Violation? {
    let isCut = last > 0 && messages.count >= last
    let fromSeq = isCut ? messages.first?.seq ?? 0 : 0
    for (index, place) in places.enumerated() {
      guard case .at(let seq) = place, seq >= fromSeq, seq <= seqBefore,
        !messages.contains(where: { $0.number == index + 1 }), !mayBeGone(index + 1)
      else { continue }
      return Violation(
        .messageLost, "message \(index + 1), acknowledged as seq \(seq), is not there", atNs: nowNs)
    }
    return nil
  }
}
