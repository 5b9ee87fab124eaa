// Owns: which request of a group is read for next, and which partitions that read looks at: one
// read of a group at a time on each loop, of the partitions that may have events. A value, without
// Redis or a clock; the shell in GroupReading.swift performs it. Runs on the loop's thread.

internal import SessionModel

/// One read of a group.
struct GroupRead: Equatable {
  /// The request that gets what is found.
  let number: UInt64
  /// In the order in which they are read.
  let partitions: [Partition]
  /// Whether these are all partitions.
  let isWhole: Bool
}

/// The reads of one group by one loop.
struct GroupReads {
  /// The requests that may be read for, oldest first, without those that have left.
  private var line = RequestTurns()
  /// Those of them that await an answer, if only that there is nothing.
  private var unanswered = RequestTurns()
  /// The partitions that may have events for the group.
  private var grown = PartitionSet.all
  /// Those that have got some since the read in flight was sent.
  private var grownSince = PartitionSet()
  /// Those in which a worker holds events that come first.
  private var blocked = PartitionSet()
  /// Those whose node cannot be asked: they are read when it can.
  var away = PartitionSet()
  private var reading: GroupRead?
  /// Whether `grown` has all partitions that may have events, since the tail reports new ones.
  private var isKnown = false
  /// Whether the tail has done so since the read in flight was sent.
  private var isFollowed = false
  /// Whether the next read is of all partitions.
  private var isWholeDue = true
  /// The partition at which the next read begins: behind that at which a page ended, so that the
  /// events of none wait for more than a round over all.
  private var startAt: Int
  private var blockedTries: Int64 = 0
  private var blockedUntilMs: Int64 = 0
  /// When an event may be delivered again, for want of an acknowledgement.
  private var againAtMs: Int64?
  /// When all partitions are read, whatever is known, and how often that is.
  private var wholeAtMs: Int64 = 0
  private let wholeEveryMs: Int64
  /// After a failure no request is read for that has been answered.
  private var retryAtMs: Int64 = 0
  /// When Redis was last asked to note that the group asks.
  private(set) var notedAtMs = Int64.min / 2

  /// A read of some partitions has so many at most.
  static let partitionsMax = 64
  private static let retryMs: Int64 = 250

  init(startAt: Int, wholeEveryMs: Int64) {
    self.startAt = startAt
    self.wholeEveryMs = wholeEveryMs
  }

  /// Whether nothing would be forgotten with it but what a read of all partitions finds.
  var isIdle: Bool { line.isEmpty && reading == nil }
  var isReading: Bool { reading != nil }
  /// Whether events are held up by those that a worker holds.
  var isBlocked: Bool { !blocked.isEmpty }
}

// MARK: Requests

extension GroupReads {
  /// A request may be read for from now on; with `needsAll` its answer has to be of now, in all
  /// partitions.
  mutating func joined(_ number: UInt64, needsAll: Bool) {
    line.append(number)
    unanswered.append(number)
    if needsAll || !isKnown { isWholeDue = true }
  }

  /// A request was read for and awaits an answer still.
  mutating func awaits(_ number: UInt64) {
    if line.contains(number) { unanswered.append(number) }
  }

  /// A request gets no events any more, or has got some.
  mutating func left(_ number: UInt64) {
    line.remove(number)
    unanswered.remove(number)
  }

  /// The requests to answer, as there is nothing for them now.
  mutating func takeUnanswered() -> [UInt64] { reading == nil ? unanswered.takeAll() : [] }
}

// MARK: Growth

extension GroupReads {
  /// These partitions may have events for the group.
  mutating func logsGrew(_ partitions: PartitionSet) {
    grown.formUnion(partitions)
    if reading != nil { grownSince.formUnion(partitions) }
  }

  /// This worker holds nothing there any more.
  mutating func released(_ partitions: PartitionSet) {
    let freed = blocked.intersection(partitions)
    blocked.subtract(freed)
    logsGrew(freed)
  }

  /// Events were given back there for the next consumer.
  mutating func returned(_ partitions: PartitionSet) {
    blocked.subtract(partitions)
    logsGrew(partitions)
  }

  /// The tail does not report growth any more.
  mutating func forgetGrowth() {
    isKnown = false
    isFollowed = false
  }

  mutating func noted(nowMs: Int64) { notedAtMs = nowMs }
}

// MARK: Reads

extension GroupReads {
  /// The read to send now; nil if there is nothing to look at, none to look for, or one in flight.
  ///
  /// `isFollowed` if the tail reports what comes from now on.
  mutating func next(isFollowed: Bool, nowMs: Int64) -> GroupRead? {
    let isRetry = nowMs < retryAtMs
    guard reading == nil, let number = isRetry ? unanswered.first : line.first else { return nil }
    let isWhole = isWholeDue || nowMs >= wholeAtMs || nowMs >= againAtMs ?? .max
    var wanted = isWhole ? PartitionSet.all : grown
    if nowMs >= blockedUntilMs { wanted.formUnion(blocked) }
    wanted.subtract(away)
    guard !wanted.isEmpty else { return nil }
    let most = isWhole ? Partition.count : GroupReads.partitionsMax
    let read = GroupRead(
      number: number, partitions: wanted.members(from: startAt, most: most), isWhole: isWhole)
    reading = read
    grownSince = PartitionSet()
    self.isFollowed = isFollowed
    // A request that joins meanwhile sets it again.
    isWholeDue = false
    return read
  }

  /// What Redis gave for the read in flight.
  mutating func found(_ page: GroupPage, nowMs: Int64) {
    guard let read = reading else { preconditionFailure("a page without a read") }
    reading = nil
    let looked = page.looked(of: read)
    let stays = PartitionSet(page.blocked)
    let wasBlocked = !blocked.intersection(looked).isEmpty
    if read.isWhole {
      grown = .all
      isKnown = isFollowed
      wholeAtMs = nowMs + wholeEveryMs
      againAtMs = nil
    }
    if page.isLossMet { isWholeDue = true }
    grown.subtract(looked)
    grown.formUnion(grownSince)
    blocked.subtract(looked)
    blocked.formUnion(stays)
    grown.subtract(blocked)
    if blocked.isEmpty {
      blockedTries = 0
    } else if wasBlocked || !stays.isEmpty {
      // A worker holds events for a moment only, unless its caller does not take them.
      blockedTries = wasBlocked ? blockedTries + 1 : 1
      blockedUntilMs = nowMs + min(250, 5 << min(blockedTries, 6))
    }
    if let againMs = page.againMs { againAtMs = min(againAtMs ?? .max, nowMs + againMs) }
    if let last = page.held.ids.last { startAt = (last.partition.index + 1) % Partition.count }
    retryAtMs = 0
  }

  /// Redis gave nothing for the read in flight, or it is unknown what.
  mutating func failed(nowMs: Int64) {
    if reading?.isWhole == true { isWholeDue = true }
    reading = nil
    grown.formUnion(grownSince)
    retryAtMs = nowMs + GroupReads.retryMs
  }

  /// When `next` may have a read though nothing happens; nil if it has to be asked no more.
  var timerAtMs: Int64? {
    guard reading == nil, !line.isEmpty else { return nil }
    var atMs = min(wholeAtMs, againAtMs ?? .max)
    if !blocked.isEmpty { atMs = min(atMs, blockedUntilMs) }
    var readable = grown
    readable.subtract(away)
    if isWholeDue || !readable.isEmpty { atMs = 0 }
    return max(atMs, retryAtMs)
  }
}

/// Numbers of requests in the order in which they came; those that leave take no time.
struct RequestTurns {
  private var numbers: [UInt64] = []
  private var members: Set<UInt64> = []
  private var start = 0

  var isEmpty: Bool { members.isEmpty }
  var count: Int { members.count }

  func contains(_ number: UInt64) -> Bool { members.contains(number) }

  mutating func append(_ number: UInt64) {
    if members.insert(number).inserted { numbers.append(number) }
  }

  /// One that comes again later stands at its end.
  mutating func remove(_ number: UInt64) {
    guard members.remove(number) != nil else { return }
    if members.isEmpty || numbers.count > 2 * members.count + 64 { drop() }
  }

  /// The first of them; nil if there is none.
  var first: UInt64? {
    mutating get {
      while start < numbers.count, !members.contains(numbers[start]) { start += 1 }
      return start < numbers.count ? numbers[start] : nil
    }
  }

  mutating func takeAll() -> [UInt64] {
    defer { self = RequestTurns() }
    return numbers[start...].filter(members.contains)
  }

  /// Those that have left take no room.
  private mutating func drop() {
    numbers = numbers[start...].filter(members.contains)
    start = 0
  }
}
