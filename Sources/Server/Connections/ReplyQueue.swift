// Owns: the order of a connection's replies: that of its requests, whenever they become known.

internal import Wire

/// Puts replies in the order of their requests.
struct ReplyQueue {
  private var nextToAsk: UInt64 = 0
  private var nextToAnswer: UInt64 = 0
  /// Replies that are known before their turn; empty for callers who do not pipeline.
  private var early: [UInt64: [UInt8]] = [:]
  /// How many bytes wait here.
  private(set) var earlyBytes = 0
  /// The overhead of a waiting reply, roughly: its entry and the array's header.
  private static let placeBytes = 64

  /// The bytes of all waiting replies, overhead included.
  var heldBytes: Int { earlyBytes + early.count * ReplyQueue.placeBytes }

  /// Whether any request was asked.
  var hasBegun: Bool { nextToAsk > 0 }

  /// Whether the replies before that of this slot have gone out.
  func isNext(_ slot: UInt64) -> Bool { slot == nextToAnswer }

  /// Whether the request of that slot is the latest.
  func isLatest(_ slot: UInt64) -> Bool { slot + 1 == nextToAsk }

  /// The slot of the next request's reply.
  mutating func ask() -> UInt64 {
    defer { nextToAsk += 1 }
    return nextToAsk
  }

  /// Appends a line that answers no request, after the reply of `slot`: to `out` if that has gone
  /// out already, else behind it.
  ///
  /// Returns whether `out` got it.
  mutating func push(
    after slot: UInt64, _ line: [UInt8], into out: inout [UInt8]
  ) -> Bool {
    guard early[slot] != nil else {
      out.append(contentsOf: line)
      return true
    }
    early[slot, default: []].append(contentsOf: line)
    earlyBytes += line.count
    return false
  }

  /// Takes a reply line and appends to `out` all that is in turn now; a line that is not `isWhole`
  /// gets its end here.
  ///
  /// Returns how many replies that were.
  mutating func answer(
    _ slot: UInt64, _ line: UnsafeBufferPointer<UInt8>, isWhole: Bool = true,
    into out: inout [UInt8]
  ) -> Int {
    precondition(slot < nextToAsk && slot >= nextToAnswer, "slot \(slot) was answered already")
    guard slot == nextToAnswer else {
      var waiting: [UInt8] = []
      ReplyQueue.append(line, isWhole: isWhole, to: &waiting)
      earlyBytes += waiting.count
      early[slot] = waiting
      return 0
    }
    ReplyQueue.append(line, isWhole: isWhole, to: &out)
    nextToAnswer += 1
    guard !early.isEmpty else { return 1 }
    var count = 1
    while let next = early.removeValue(forKey: nextToAnswer) {
      out.append(contentsOf: next)
      earlyBytes -= next.count
      nextToAnswer += 1
      count += 1
    }
    // A large dictionary would be kept for as long as the connection is open.
    if early.isEmpty, early.capacity > 64 { early = [:] }
    return count
  }

  /// Appends a line once, however long it is: a copy of 16 MiB takes milliseconds.
  private static func append(
    _ line: UnsafeBufferPointer<UInt8>, isWhole: Bool, to out: inout [UInt8]
  ) {
    guard !isWhole else { return out.append(contentsOf: line) }
    // Room for the end too, or it would be what makes the array twice as large.
    if out.isEmpty { out.reserveCapacity(line.count + 1) }
    out.append(contentsOf: line)
    out.appendLineEnd()
  }
}
