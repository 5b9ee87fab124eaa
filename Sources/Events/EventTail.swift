// Owns: the tail: reading the logs of all partitions as they grow, once for the whole worker, for
// as long as there are watches or waits. Runs on the main thread.

package import Loop
package import RedisConnection
internal import Scripts
internal import SessionModel
package import Store

/// Follows the event logs, and passes each event to the loops.
package final class EventTail: RedisConnectionOwner {
  /// The event that the tail waits for.
  private enum State {
    /// A subscription. Goes to positioning.
    case resting
    /// The present ends of the logs. Goes to reading or resting.
    case positioning
    /// New events. Goes to resting.
    case reading
  }

  private let loop: EventLoop
  private let control: ControlStore
  private let keyspace: Keyspace
  private let give: ([FleetEvent]) -> Void
  private let answer: (Int, TailAnswer) -> Void
  private let noteCorrupt: (Int) -> Void
  private let isWanted: () -> Bool
  private let log: Log
  private var state = State.resting
  private var redis: RedisConnection?
  private var again: LoopTimer?
  private var positions: [StreamID] = []
  /// The partitions whose log is corrupt: one of them would keep all from being read.
  private var corrupt: Set<Int> = []
  private var looksAtMs: Int64 = 0
  private var isReading = false
  private var waiting: [TailRequest] = []

  /// A read waits this long for events; then the tail checks whether it is still wanted.
  private let blockMs: Int64 = 5_000
  /// Reads follow each other after a pause, so that many events share one.
  private let pauseMs: Int64 = 4
  private let perPartitionMax = 64
  /// How often it is looked whether corrupt logs are sound again.
  private let lookEveryMs: Int64 = 5_000

  /// `isWanted` says whether there are subscriptions; `give` gets events in the order of each log,
  /// and `corrupt` how many values of the log are.
  package init(
    _ loop: EventLoop, _ setup: RedisSetup, _ control: ControlStore, log: Log,
    isWanted: @escaping () -> Bool, answer: @escaping (Int, TailAnswer) -> Void,
    corrupt: @escaping (Int) -> Void, give: @escaping ([FleetEvent]) -> Void
  ) {
    self.loop = loop
    self.control = control
    self.log = log
    self.isWanted = isWanted
    self.answer = answer
    self.give = give
    noteCorrupt = corrupt
    keyspace = setup.keyspace
    var plain = setup
    plain.loadsScripts = false
    redis = RedisConnection(loop, plain, owner: self)
    again = LoopTimer(loop) { [unowned self] in read() }
    loop.atTurnEnd { [weak self] in self?.redis?.flush() }
    redis?.start()
  }

  package func stop() {
    again?.cancel()
    redis?.stop()
  }

  /// Makes the tail run, then says where the logs end: nothing after that is missed.
  package func request(_ request: TailRequest) {
    waiting.append(request)
    switch state {
    case .resting: position()
    case .positioning: break
    case .reading: answerWaiting()
    }
  }

  private func position() {
    state = .positioning
    control.call(ScriptQuery(TailsCall(), over: Partition.all)) { [unowned self] result in
      guard let tails = EventTail.tails(result), tails.count == Partition.count else {
        state = .resting
        refuseWaiting()
        return
      }
      positions = tails.map { $0 ?? .zero }
      found(tails)
      state = .reading
      read()
      answerWaiting()
    }
  }

  /// The ends of logs, each nil if the log is corrupt; nil if Redis did not say.
  private static func tails(_ result: Result<RedisReply, RedisFailure>) -> [StreamID?]? {
    guard case .success(let reply) = result, reply.kind == .array else { return nil }
    let texts = reply.elements.map(\.text)
    let isWhole = texts.allSatisfy { $0.isEmpty || StreamID($0) != nil }
    return isWhole ? texts.map { StreamID($0) } : nil
  }

  /// Leaves out the corrupt logs, until they are sound.
  ///
  /// A log that is sound again is read on from where it was, or from its beginning.
  private func found(_ tails: [StreamID?]) {
    corrupt = Set(tails.indices.filter { tails[$0] == nil })
    looksAtMs = loop.nowMs + lookEveryMs
    for index in corrupt { log.corruptEventLog(of: Partition(index: index)) }
  }

  private func answerWaiting() {
    let requests = waiting
    waiting = []
    for request in requests {
      let partitions = request.partition.map { [$0] } ?? Partition.all
      control.call(ScriptQuery(TailsCall(), over: partitions)) { [unowned self] result in
        answer(
          request.loop,
          TailAnswer(
            watch: request.watch, partition: request.partition,
            tails: EventTail.tails(result)?.map { $0 ?? .zero }))
      }
    }
  }

  private func refuseWaiting() {
    let requests = waiting
    waiting = []
    for request in requests {
      answer(
        request.loop,
        TailAnswer(watch: request.watch, partition: request.partition, tails: nil))
    }
  }
}

// MARK: Reading

extension EventTail {
  private func read() {
    guard state == .reading, !isReading, let redis, redis.isReady else { return }
    guard isWanted() else {
      state = .resting
      return
    }
    let sound = (0..<Partition.count).filter { !corrupt.contains($0) }
    guard !sound.isEmpty, corrupt.isEmpty || loop.nowMs < looksAtMs else { return look() }
    isReading = true
    redis.call(
      timeoutMs: blockMs + 2_000,
      { out in
        out.begin(words: 6 + 2 * sound.count)
        for word in ["XREAD", "COUNT", "\(perPartitionMax)", "BLOCK", "\(blockMs)", "STREAMS"] {
          out.word(word)
        }
        for index in sound { out.word(keyspace.events(Partition(index: index))) }
        for index in sound { out.word(positions[index].description) }
      },
      { [unowned self] result in answered(result) })
  }

  private func answered(_ result: Result<RedisReply, RedisFailure>) {
    isReading = false
    guard case .success(let reply) = result else { return }
    let error = reply.kind == .error ? StoreError.firstWord(reply.text) : ""
    guard error != "WRONGTYPE" else { return look() }
    if !error.isEmpty {
      log.repeated(
        .warn, "the event logs cannot be read", cause: error, ["error": reply.text])
    }
    var (events, corruptValues) = ([FleetEvent](), 0)
    for stream in reply.elements { corruptValues += take(stream, into: &events) }
    if corruptValues > 0 { noteCorrupt(corruptValues) }
    if !events.isEmpty { give(events) }
    // A connection that has ended on its way reads on when it is back.
    guard redis?.isReady == true else { return }
    again?.set(afterMs: error.isEmpty ? pauseMs : 1_000)
  }

  /// Finds out which logs are corrupt, then reads on.
  private func look() {
    isReading = true
    control.call(ScriptQuery(TailsCall(), over: Partition.all)) { [unowned self] result in
      isReading = false
      let tails = EventTail.tails(result)
      if let tails, tails.count == Partition.count { found(tails) }
      again?.set(afterMs: tails == nil || corrupt.count == Partition.count ? 1_000 : pauseMs)
    }
  }

  /// Takes one stream's part of a reply, its name and its entries; returns how many values are
  /// corrupt.
  ///
  /// The tail goes past an entry that is no event, or it would read it without end.
  private func take(_ stream: RedisReply, into events: inout [FleetEvent]) -> Int {
    guard stream.count == 2, let partition = keyspace.partition(ofKey: stream[0].text) else {
      return 0
    }
    var corrupt = 0
    for entry in stream[1].elements where entry.count > 0 {
      if let id = StreamID(entry[0].text) { positions[partition.index] = id }
      let event = FleetEvent(partition, entry)
      corrupt += event?.corruptCount ?? 1
      if let event { events.append(event) }
    }
    return corrupt
  }

  /// The logs are read on from where the connection was lost: nothing is missed.
  package func redisServes(_ redis: RedisConnection) { read() }
  package func redisFailed(_ redis: RedisConnection, reason: String) { again?.cancel() }
  package func redisRefused(_ redis: RedisConnection, reason: String) {
    log.repeated(.error, "the event logs cannot be read", ["error": reason])
  }
  package func batchAnswered(_ redis: RedisConnection, _ batch: Batch, _ reply: RedisReply) {}
  package func batchFailed(_ redis: RedisConnection, _ batch: Batch, _ failure: RedisFailure) {}
}

/// A request for tails.lua.
struct TailsCall: ScriptCall {
  static let script = Script.tails

  func write(to words: inout CommandBuffer) {}
}
