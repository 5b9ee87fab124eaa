// Owns: what scripts say to a worker about a caller that waits. A value; any thread.

internal import SessionModel

/// A message to a worker, such as `ready t dev-1 0.17 -`.
///
/// It is a hint: what is so, Redis is asked.
package struct TicketMessage: Sendable, Equatable {
  package enum Word: String, Sendable {
    /// What it waits for is its.
    case granted = "ready"
    /// It has left the queue, as its worker did not answer in time.
    case passed
    /// Another request of the same caller has its place.
    case replaced
    /// Its turn has ended, though it settled.
    case ended
  }

  package let word: Word
  package let kind: WaitKind
  package let device: String
  /// The ticket without the worker.
  package let ticket: String
  /// The number of the serving loop.
  package let loop: Int
  /// The number of the ticket in that loop.
  package let number: UInt64

  /// Nil if a text is none.
  package init?(_ text: String) {
    let words = text.split(separator: " ", maxSplits: 3, omittingEmptySubsequences: false)
    guard words.count == 4, let word = Word(rawValue: String(words[0])),
      let kind = WaitKind(rawValue: String(words[1])), !words[2].isEmpty
    else { return nil }
    let parts = words[3].split(separator: " ", omittingEmptySubsequences: false)
    let numbers = parts[0].split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count > 1, numbers.count == 2, let loop = Int(numbers[0]),
      let number = UInt64(numbers[1])
    else { return nil }
    (self.word, self.kind, device, ticket) = (word, kind, String(words[2]), String(words[3]))
    (self.loop, self.number) = (loop, number)
  }
}

/// What a caller can wait for, by the letter that scripts have for it.
package enum WaitKind: String, Sendable {
  case turn = "t"
  case lock = "l"
}
