// Owns: how the requests of a turn become few script calls, in an order that callers can rely on.
// Runs on the loop's thread.

package import Scripts

/// The address of a reply; the connection hands it back and does not look inside.
package struct Ticket: Sendable {
  /// The connection, as its owner numbers them.
  package var client: UInt64
  /// Which of the connection's replies this is.
  package var slot: UInt64
  /// The number of the verb.
  package var verb: Int
  /// When the request came, in monotonic ns.
  package var arrivedNs: Int64
  /// How many ms after it is done the request's change has its first deadline; negative: it has
  /// none.
  package var dueInMs: Int64 = -1
  /// The partition of its device.
  package var partition = 0
  /// Whether the outcome goes to the next step of a request that takes several, not to its caller.
  package var isStep = false
  /// Whether its node did nothing, and it is sent to another one: its reply is none.
  package var isElsewhere = false
  /// How many bytes of its line count as kept for its caller.
  package var keptBytes = 0

  package init(client: UInt64, slot: UInt64, verb: Int, arrivedNs: Int64) {
    self.client = client
    self.slot = slot
    self.verb = verb
    self.arrivedNs = arrivedNs
  }
}

/// Several requests for one script, sent in one call.
package final class Batch {
  package fileprivate(set) var script: Script = .lock {
    didSet { keysAreRecords = script.keysAreRecords }
  }
  /// Whether the script's keys are the records of its requests' locks.
  package private(set) var keysAreRecords = Script.lock.keysAreRecords
  /// Grows with each batch that is opened; batches are sent in this order.
  package fileprivate(set) var sequence: UInt64 = 0
  /// The latest batch that a request of this one's callers is in that came before; 0 if none is.
  fileprivate(set) var follows: UInt64 = 0
  package fileprivate(set) var tickets: [Ticket] = []
  /// The one partition of all its requests; nil if they may be of any.
  fileprivate var partition: Int?
  /// Whether too few replicas have its changes: what its replies say may be lost in a failover.
  package internal(set) var isUnacknowledged = false
  /// The partition, and its base key as a word for Redis, by which the batch finds its way to a
  /// node of a cluster; nil for the key of its first request.
  ///
  /// It may be of any slot that the node has, if possible of one that does not move.
  package var route: (partition: Int, key: [UInt8])?
  /// When its owner has sent it, in monotonic ns.
  package var sentNs: Int64 = 0
  /// The script's keys and the arguments, as RESP.
  var keys = CommandBuffer()
  var arguments = CommandBuffer()
  /// The first word of a request; empty of a batch that does not know its requests.
  package func firstWord(of place: Int) -> [UInt8] {
    starts.map { arguments.text(ofWordAt: $0[place].arguments) } ?? []
  }

  /// Where each request begins in them, if its parts may be asked for.
  private var starts: [(key: Int, arguments: Int)]?

  init() {}

  /// A batch for one request, which is kept to be sent later.
  package init(of script: Script) {
    self.script = script
    keysAreRecords = script.keysAreRecords
    starts = []
  }

  package var count: Int { tickets.count }
  /// Whether each request has as many arguments as its script takes.
  package var isWhole: Bool { arguments.wordCount == count * script.argumentsPerRequest }

  fileprivate func recycle() {
    tickets.removeAll(keepingCapacity: true)
    follows = 0
    isUnacknowledged = false
    route = nil
    keys.reset()
    arguments.reset()
    starts?.removeAll(keepingCapacity: true)
  }

  /// A request of a batch, to be sent elsewhere.
  package struct Request {
    package let ticket: Ticket
    /// Its key and its arguments, as RESP.
    fileprivate let key: [UInt8]
    fileprivate let arguments: CommandBuffer
  }

  /// A request as it was added; only of a batch of a cluster.
  package func request(_ place: Int) -> Request {
    guard let starts else { preconditionFailure("a batch that does not know its requests") }
    let next = place + 1 < count ? starts[place + 1] : (keys.count, arguments.count)
    return Request(
      ticket: tickets[place], key: keys.part(starts[place].key..<next.0),
      arguments: CommandBuffer(
        encoded: arguments.part(starts[place].arguments..<next.1),
        words: script.argumentsPerRequest))
  }

  /// The first key alone.
  var firstKey: [UInt8] {
    guard let starts, starts.count > 1 else { return keys.bytes }
    return keys.part(0..<starts[1].key)
  }

  /// A request was not done here, and is sent elsewhere.
  package func setElsewhere(_ place: Int) { tickets[place].isElsewhere = true }

  fileprivate func beginRequest(_ ticket: Ticket) {
    tickets.append(ticket)
    starts?.append((keys.count, arguments.count))
  }

  fileprivate func tracksRequests() { starts = starts ?? [] }
}

/// Gathers requests into batches.
///
/// Requests of one connection keep their order: one that comes later never joins a batch that was
/// opened before the one its predecessor is in. Requests of different connections have no order,
/// so that callers who ask different things at once still share calls.
package struct Batcher {
  private var open: [Batch] = []
  private var spare: [Batch] = []
  private var nextSequence: UInt64 = 1
  private let requestsMax: Int
  private let bytesMax = 1 << 20
  /// Whether the requests of a batch may be asked for one by one, as those of a cluster.
  private let tracksRequests: Bool
  /// Replies of one call are in memory all at once, here and in Redis, and take the time that it
  /// takes to write them: some 10 ms for each MiB, of the caller and of all behind it.
  private let replyBytesMax = 1 << 20
  /// The recent size of a reply of each script.
  ///
  /// Scripts with long replies are assumed to have them until it is known.
  private var replyBytes = Script.allCases.map { script in
    Batcher.withLongReplies.contains(script) ? 1 << 18 : 0
  }
  private static let withLongReplies: Set<Script> = [
    .get, .history, .listDevice, .chats, .events, .recover, .recoverLatest, .changeState, .turn,
  ]
  /// How many requests may share a call of each script, so that the replies are no more than that.
  private var mostRequests: [Int]

  /// `requestsMax` bounds how long one call occupies Redis.
  package init(requestsMax: Int, tracksRequests: Bool = false) {
    self.requestsMax = requestsMax
    self.tracksRequests = tracksRequests
    mostRequests = []
    mostRequests = replyBytes.map { most(ofBytes: $0) }
  }

  private func most(ofBytes each: Int) -> Int {
    min(requestsMax, max(1, replyBytesMax / max(1, each)))
  }

  package var isEmpty: Bool { open.isEmpty }

  /// Counts the size of a call's replies.
  ///
  /// Longer ones count at once, shorter ones little by little.
  package mutating func answered(_ batch: Batch, replyBytes bytes: Int) {
    let script = batch.script.rawValue
    let each = max(bytes / max(1, batch.count), replyBytes[script] - replyBytes[script] / 8)
    guard each != replyBytes[script] else { return }
    replyBytes[script] = each
    mostRequests[script] = most(ofBytes: each)
  }

  /// The batch that a request joins.
  ///
  /// `after` is the sequence of the batch that holds its connection's previous request, or 0.
  ///
  /// With `partition` all requests of the batch are of that one.
  package mutating func batch(
    for script: Script, after: UInt64, partition: Int? = nil
  ) -> Batch {
    for batch in open where batch.script == script && batch.sequence >= after {
      guard batch.partition == partition else { continue }
      if batch.count < mostRequests[script.rawValue], batch.arguments.count < bytesMax {
        if after < batch.sequence { batch.follows = max(batch.follows, after) }
        return batch
      }
    }
    let batch = spare.popLast() ?? Batch()
    if tracksRequests { batch.tracksRequests() }
    batch.partition = partition
    batch.follows = after
    batch.script = script
    batch.sequence = nextSequence
    nextSequence += 1
    open.append(batch)
    return batch
  }

  /// Gives away all open batches, in their order.
  package mutating func takeAll() -> [Batch] {
    defer { open = [] }
    return open
  }

  /// Gives away the first open batches, as many as are expected to have no more than a call's
  /// replies; at least one.
  package mutating func takeSome() -> [Batch] {
    var (count, bytes) = (0, 0)
    for batch in open {
      bytes += batch.count * replyBytes[batch.script.rawValue]
      if count > 0, bytes > replyBytesMax { break }
      count += 1
    }
    guard count < open.count else { return takeAll() }
    defer { open.removeFirst(count) }
    return Array(open[..<count])
  }

  /// Takes back the open batches from the first one that has a request of these partitions: in
  /// those behind it are later requests of its callers.
  package mutating func takeBack(from partitions: Set<Int>) -> [Batch] {
    let first = open.firstIndex { batch in
      batch.tickets.contains { partitions.contains($0.partition) }
    }
    guard let first else { return [] }
    defer { open.removeSubrange(first...) }
    return Array(open[first...])
  }

  /// Takes an answered batch back for reuse.
  package mutating func recycle(_ batch: Batch) {
    guard spare.count < 64 else { return }
    batch.recycle()
    spare.append(batch)
  }
}

extension Batch {
  /// Adds a request of another batch.
  package func add(_ request: Request) {
    beginRequest(request.ticket)
    keys.encoded(request.key)
    arguments.encoded(request.arguments)
  }

  /// Adds a request: its ticket and its partition's key; `write` appends the script's arguments.
  package func add(_ ticket: Ticket, base: [UInt8], _ write: (inout CommandBuffer) -> Void) {
    beginRequest(ticket)
    keys.encoded(base)
    write(&arguments)
  }

  /// Adds a request of a script whose keys are records of locks: `prefix` and the device behind it.
  package func add(
    _ ticket: Ticket, record prefix: [UInt8], _ device: UnsafeBufferPointer<UInt8>,
    _ write: (inout CommandBuffer) -> Void
  ) {
    beginRequest(ticket)
    keys.word(prefix, device)
    write(&arguments)
  }
}
