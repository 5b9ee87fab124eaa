// Owns: the tail: reading the logs of all partitions as they grow, once for the whole worker, for
// as long as there are watches, waits or hooks. Runs on the main thread.
//
// XREAD says which logs have grown; it has one entry of each at most. What they have is read by
// read_logs.lua, whose replies are bounded in bytes, and which says what has gone unread.
//
// In a cluster XREAD takes streams of one slot only: there each node is asked for the ends of its
// logs, again and again. What a node does not answer is found when it does.

package import Loop
package import RedisConnection
internal import Scripts
package import Seal
internal import SessionModel
package import Store

/// Follows the event logs, and reports what comes to the loops.
package final class EventTail: RedisConnectionOwner {
  /// The event that the tail waits for.
  private enum State {
    /// A subscription. Goes to positioning.
    case resting
    /// The present ends of the logs. Goes to following or resting.
    case positioning
    /// New events. Goes to resting.
    case following
  }

  private let loop: EventLoop
  private let control: ControlStore
  private let keyspace: Keyspace
  private let report: (TailReport) -> Void
  private let answer: (Int, TailAnswer) -> Void
  private let noteCorrupt: (Int) -> Void
  private let demand: () -> TailDemand
  private let log: Log
  private var state = State.resting
  private var redis: RedisConnection?
  private var again: LoopTimer?
  private var positions: [StreamID] = []
  /// The latest end of each log at which a watch has begun.
  private var answered = [StreamID](repeating: .zero, count: Partition.count)
  /// The partitions whose logs have grown beyond the positions.
  private var grown = PartitionSet()
  /// The partitions whose log is corrupt: one of them would keep all from being read.
  private var corrupt = PartitionSet()
  private var looksAtMs: Int64 = 0
  /// The partitions of which no position is known: their node was away.
  private var unplaced = PartitionSet()
  private var isAwaiting = false
  private var isReading = false
  /// Whether the read in flight skips what subscriptions do not need at present.
  private var isSkipping = false
  private var startAt = 0
  /// When there were subscriptions last, and when the positions were the ends of the logs last.
  private var wantedAtMs: Int64 = 0
  private var caughtUpAtMs: Int64 = 0
  private var waiting: [TailRequest] = []

  /// XREAD waits this long for events; so long the logs are followed without a subscription.
  private let blockMs: Int64 = 5_000
  private let seal: Seal?
  /// Reads follow each other after a pause, so that many events share one; a longer one while many
  /// logs grow.
  private let pauseMs: Int64 = 4
  private let busyPauseMs: Int64 = 16
  private let busyPartitions = 64
  /// The nodes of a cluster are asked so often whether logs have grown.
  private let pollMs: Int64 = 20
  /// After so long without XREAD its reply, an entry of each log, might be large.
  private let caughtUpMs: Int64 = 250
  private let bytesMax: Int64 = 1 << 20
  /// How often the ends of all logs are asked for: they say which corrupt logs are sound again, and
  /// from which empty ones an event has gone, of which XREAD says nothing.
  private let lookEveryMs: Int64 = 5_000
  private let retryMs: Int64 = 1_000

  /// `demand` says what subscriptions need, `report` gets what is found, and `corrupt` how many
  /// values of the log are.
  package init(
    _ loop: EventLoop, _ setup: RedisSetup, _ control: ControlStore, log: Log, seal: Seal?,
    demand: @escaping () -> TailDemand, answer: @escaping (Int, TailAnswer) -> Void,
    corrupt: @escaping (Int) -> Void, report: @escaping (TailReport) -> Void
  ) {
    self.loop = loop
    self.control = control
    self.log = log
    self.seal = seal
    self.demand = demand
    self.answer = answer
    self.report = report
    noteCorrupt = corrupt
    keyspace = setup.keyspace
    var plain = setup
    plain.loadsScripts = false
    if !control.isCluster { redis = RedisConnection(loop, plain, owner: self) }
    again = LoopTimer(loop) { [unowned self] in goOn() }
    loop.atTurnEnd { [weak self] in self?.redis?.flush() }
    redis?.start()
  }

  package func stop() {
    again?.cancel()
    redis?.stop()
  }

  /// Makes the tail run, then says where the logs end: nothing after that is missed.
  package func request(_ request: TailRequest) {
    wantedAtMs = loop.nowMs
    waiting.append(request)
    switch state {
    case .resting: position()
    case .positioning: break
    case .following: answerWaiting()
    }
  }

  private func position() {
    state = .positioning
    guard !control.isCluster else { return positionEach() }
    control.call(ScriptQuery(TailsCall(), over: Partition.all)) { [unowned self] result in
      guard let tails = LogEnd.all(result), tails.count == Partition.count else {
        state = .resting
        refuseWaiting()
        return
      }
      positions = tails.map(\.id)
      grown = PartitionSet()
      found(tails)
      state = .following
      report(.began)
      caughtUpAtMs = loop.nowMs
      answerWaiting()
      goOn()
    }
  }

  /// The same of each node that answers; the logs of others are followed from their ends at the
  /// moment when their nodes answer, as there is no watch of them before.
  private func positionEach() {
    positions = Array(repeating: .zero, count: Partition.count)
    (unplaced, grown, corrupt) = (.all, PartitionSet(), PartitionSet())
    findEnds { [unowned self] in
      guard unplaced != .all else {
        state = .resting
        return refuseWaiting()
      }
      state = .following
      report(.began)
      answerWaiting()
      goOn()
    }
  }

  /// Finds the ends of all logs, and with that which ones have grown.
  private func findEnds(_ done: @escaping () -> Void) {
    var growing = PartitionSet()
    control.callEach(ScriptQuery(TailsCall(), over: Partition.all)) {
      [unowned self] partitions, result in
      guard let ends = LogEnd.all(result), ends.count == partitions.count else { return }
      for (partition, end) in zip(partitions, ends) {
        if end.kind == .corrupt {
          if !corrupt.contains(partition) { log.corruptEventLog(of: partition) }
          corrupt.insert(partition)
          continue
        }
        if corrupt.contains(partition) { growing.insert(partition) }
        corrupt.remove(partition)
        if unplaced.contains(partition) {
          positions[partition.index] = end.id
          unplaced.remove(partition)
          // Others may have reached the node before.
          if state == .following { growing.insert(partition) }
        } else if end.id > positions[partition.index] {
          growing.insert(partition)
        }
      }
    } _: { [unowned self] in
      if !growing.isEmpty { grew(growing) }
      done()
    }
  }

  /// Leaves out the corrupt logs, until they are sound: then they are read on from where they were.
  ///
  /// Those are too that are empty, if something has gone from them since they were read.
  private func found(_ tails: [LogEnd]) {
    let before = corrupt
    corrupt = PartitionSet(Partition.all.filter { tails[$0.index].kind == .corrupt })
    looksAtMs = loop.nowMs + lookEveryMs
    for partition in corrupt.members() { log.corruptEventLog(of: partition) }
    var growing = before
    growing.subtract(corrupt)
    for partition in Partition.all {
      let end = tails[partition.index]
      if end.kind == .gone, end.id > positions[partition.index] { growing.insert(partition) }
    }
    if !growing.isEmpty { grew(growing) }
  }

  private func answerWaiting() {
    // What a read in flight skips may come after the request.
    guard !isSkipping else { return }
    let requests = waiting
    waiting = []
    for request in requests {
      guard let watch = request.watch else {
        answer(request.loop, TailAnswer(number: request.number, watch: nil, tails: []))
        continue
      }
      control.call(ScriptQuery(TailsCall(), over: watch.partitions)) { [unowned self] result in
        let tails = LogEnd.all(result)?.map(\.id)
        // A log that is empty now was removed before this watch, if it was.
        for (partition, tail) in zip(watch.partitions, tails ?? []) where tail.isOfEntry {
          answered[partition.index] = max(answered[partition.index], tail)
        }
        answer(
          request.loop, TailAnswer(number: request.number, watch: watch, tails: tails))
      }
    }
  }

  private func refuseWaiting() {
    let requests = waiting
    waiting = []
    for request in requests {
      answer(
        request.loop, TailAnswer(number: request.number, watch: request.watch, tails: nil))
    }
  }
}

/// The end of a log, as tails.lua gives it.
private struct LogEnd {
  enum Kind: Character {
    /// An id before all that is written from now on.
    case corrupt = "!"
    case unused = "?"
    /// The newest event that has gone from a log which is empty.
    case gone = "~"
    /// The latest entry.
    case entry = " "
  }

  let kind: Kind
  let id: StreamID

  init?(_ text: String) {
    kind = text.first.flatMap { Kind(rawValue: $0) } ?? .entry
    guard let id = StreamID(text.dropFirst(kind == .entry ? 0 : 1)) else { return nil }
    self.id = id
  }

  /// Nil if Redis did not say.
  static func all(_ result: Result<RedisReply, RedisFailure>) -> [LogEnd]? {
    guard case .success(let reply) = result, reply.kind == .array else { return nil }
    let ends = reply.elements.compactMap { LogEnd($0.text) }
    return ends.count == reply.count ? ends : nil
  }
}

// MARK: Following

extension EventTail {
  /// Does what is due next.
  private func goOn() {
    guard state == .following, !isReading else { return }
    let demand = demand()
    if demand != .nothing { wantedAtMs = loop.nowMs }
    guard loop.nowMs - wantedAtMs < blockMs else { return rest() }
    if !control.isCluster, loop.nowMs >= looksAtMs { return look() }
    guard grown.isEmpty else { return read(demand) }
    if !isAwaiting { awaitGrowth() }
  }

  private func rest() {
    state = .resting
    report(.rested)
  }

  private var sound: PartitionSet {
    var sound = PartitionSet.all
    sound.subtract(corrupt)
    return sound
  }

  /// These logs have grown.
  private func grew(_ partitions: PartitionSet) {
    grown.formUnion(partitions)
    report(.grown(partitions))
  }

  /// Waits until a log grows.
  private func awaitGrowth() {
    guard !control.isCluster else {
      isAwaiting = true
      return findEnds { [unowned self] in
        isAwaiting = false
        if grown.isEmpty { again?.set(afterMs: pollMs) } else { goOn() }
      }
    }
    guard let redis, redis.isReady else { return }
    guard loop.nowMs - caughtUpAtMs < caughtUpMs else {
      // One cannot know how much has come meanwhile.
      grew(sound)
      return goOn()
    }
    let sound = sound.members()
    guard !sound.isEmpty else { return again?.set(afterMs: retryMs) ?? () }
    isAwaiting = true
    let blockMs = max(1, min(self.blockMs, looksAtMs - loop.nowMs))
    redis.call(
      timeoutMs: blockMs + 2_000,
      { out in
        out.begin(words: 6 + 2 * sound.count)
        for word in ["XREAD", "COUNT", "1", "BLOCK", "\(blockMs)", "STREAMS"] { out.word(word) }
        for partition in sound { out.word(keyspace.events(partition)) }
        for partition in sound { out.word(positions[partition.index].description) }
      },
      { [unowned self] result in awaited(result) })
  }

  private func awaited(_ result: Result<RedisReply, RedisFailure>) {
    isAwaiting = false
    // A connection that has ended on its way goes on when it is back.
    guard case .success(let reply) = result else { return }
    let error = reply.kind == .error ? StoreError.firstWord(reply.text) : ""
    guard error != "WRONGTYPE" else { return look() }
    guard error.isEmpty else {
      log.repeated(
        .warn, "the event logs cannot be read", cause: error, ["error": reply.text])
      return again?.set(afterMs: retryMs) ?? ()
    }
    caughtUpAtMs = loop.nowMs
    let partitions = PartitionSet(
      reply.elements.compactMap { stream in
        stream.count == 2 ? keyspace.partition(ofKey: stream[0].text) : nil
      })
    if !partitions.isEmpty { grew(partitions) }
    goOn()
  }

  /// Finds out which logs are corrupt or have lost events, then goes on.
  private func look() {
    isReading = true
    control.call(ScriptQuery(TailsCall(), over: Partition.all)) { [unowned self] result in
      isReading = false
      let tails = LogEnd.all(result)
      looksAtMs = loop.nowMs + lookEveryMs
      if let tails, tails.count == Partition.count { found(tails) }
      again?.set(afterMs: tails == nil || sound.isEmpty ? retryMs : pauseMs)
    }
  }

  /// The logs are read on from where the connection was lost.
  package func redisServes(_ redis: RedisConnection) { goOn() }
  package func redisFailed(_ redis: RedisConnection, reason: String) { again?.cancel() }
  package func redisRefused(_ redis: RedisConnection, reason: String) {
    log.repeated(.error, "the event logs cannot be read", ["error": reason])
  }
  package func batchAnswered(_ redis: RedisConnection, _ batch: Batch, _ reply: RedisReply) {}
  package func batchFailed(_ redis: RedisConnection, _ batch: Batch, _ failure: RedisFailure) {}
}

// MARK: Reading

extension EventTail {
  /// Reads what has grown; or, if no subscription needs that, only finds the new ends.
  private func read(_ demand: TailDemand) {
    isReading = true
    isSkipping = demand != .events
    let partitions = grown.members(from: startAt)
    let call = ReadLogsCall(
      bytesMax: bytesMax, isContent: !isSkipping,
      ids: partitions.map { ArgumentText(positions[$0.index].description) })
    guard !control.isCluster else { return readEach(call, partitions) }
    control.call(ScriptQuery(call, over: partitions)) { [unowned self] result in
      isReading = false
      isSkipping = false
      answerWaiting()
      guard case .success(let reply) = result, reply.kind == .array,
        reply.count <= partitions.count
      else { return failed(result) }
      take(reply, partitions)
      guard grown.isEmpty else { return goOn() }
      caughtUpAtMs = loop.nowMs
      again?.set(afterMs: partitions.count > busyPartitions ? busyPauseMs : pauseMs)
    }
  }

  /// The same of each node; what one does not answer is found again by the ends of its logs.
  private func readEach(_ call: ReadLogsCall, _ partitions: [Partition]) {
    control.callEach(ScriptQuery(call, over: partitions)) { [unowned self] partitions, result in
      guard case .success(let reply) = result, reply.kind == .array,
        reply.count <= partitions.count
      else {
        grown.subtract(PartitionSet(partitions))
        return failed(result)
      }
      take(reply, partitions)
    } _: { [unowned self] in
      isReading = false
      isSkipping = false
      answerWaiting()
      guard grown.isEmpty else { return goOn() }
      again?.set(afterMs: partitions.count > busyPartitions ? busyPauseMs : pauseMs)
    }
  }

  private func failed(_ result: Result<RedisReply, RedisFailure>) {
    if case .success(let reply) = result {
      log.repeated(
        .warn, "the event logs cannot be read", cause: StoreError.firstWord(reply.text),
        ["error": reply.text])
    }
    again?.set(afterMs: retryMs)
  }

  /// Takes the logs that were read, the first ones of these partitions.
  private func take(_ reply: RedisReply, _ partitions: [Partition]) {
    var (events, losses, corruptValues) = ([FleetEvent](), [TailLoss](), 0)
    for (partition, part) in zip(partitions, reply.elements) where part.count == 4 {
      startAt = (partition.index + 1) % Partition.count
      let state = part[0].integer ?? -1
      if state != 0 { grown.remove(partition) }
      guard state >= 0, let position = StreamID(part[2].text) else {
        corrupt.insert(partition)
        looksAtMs = loop.nowMs + lookEveryMs
        log.corruptEventLog(of: partition)
        continue
      }
      if let gone = StreamID(part[1].text) {
        losses.append(TailLoss(partition: partition, before: bound(gone, partition)))
      }
      positions[partition.index] = position
      for entry in part[3].elements {
        // An entry that is no event is passed over.
        let event = FleetEvent(partition, entry, seal)
        corruptValues += event?.corruptCount ?? 1
        if let event { events.append(event) }
      }
    }
    if corruptValues > 0 { noteCorrupt(corruptValues) }
    if !losses.isEmpty { report(.lost(losses)) }
    if !events.isEmpty { report(.events(events)) }
  }
}

extension EventTail {
  /// The id before which a watch has begun that what has gone of a log concerns.
  ///
  /// If it is not known what has, the log was removed: all watches that began before that.
  private func bound(_ gone: StreamID, _ partition: Partition) -> StreamID {
    guard gone == positions[partition.index] else { return gone }
    let latest = max(gone, answered[partition.index])
    return StreamID(ms: latest.ms, number: latest.number + 1)
  }
}

/// A request for tails.lua.
struct TailsCall: ScriptCall {
  static let script = Script.tails

  func write(to words: inout CommandBuffer) {}
}

/// A request for read_logs.lua.
struct ReadLogsCall: ScriptCall {
  static let script = Script.readLogs
  let bytesMax: Int64
  /// Whether the entries are wanted.
  let isContent: Bool
  let ids: [ArgumentText]

  func write(to words: inout CommandBuffer) {
    words.word(bytesMax)
    words.word(isContent)
    for id in ids { words.word(id) }
  }
}
