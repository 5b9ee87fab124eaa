// Owns: script calls outside of a turn's batches, and the errors of those that fail: the one table
// from Redis' words to the caller's. Runs on the loop's thread.

internal import Loop
internal import Metrics
package import Records
package import RedisConnection
package import Scripts
internal import Seal
package import SessionModel
package import Wire

extension Store {
  /// Calls a script for one request, after all that its connection has asked before it.
  ///
  /// Without `timeoutMs` it has the time of a whole request.
  package func call(
    _ query: ScriptQuery, timeoutMs: Int64? = nil, _ done: @escaping (ScriptOutcome) -> Void
  ) {
    sendWaiting()
    ask(query, timeoutMs: timeoutMs ?? requestTimeoutMs) { [unowned self] result in
      switch result {
      case .success(let reply) where reply.kind == .text:
        done(outcome(of: query.script, text: reply.bytes))
      case .success(let reply) where reply.count == 1:
        withOutcome(of: query.script, reply[0], device: device(of: query), done)
      case .success(let reply): done(.failed(refusal(of: query.script, reply.text)))
      case .failure(let error): done(.failed(error))
      }
    }
  }

  /// Calls a script whose reply has more than a line.
  ///
  /// Without `timeoutMs` it has the time of a whole request.
  package func call(
    raw query: ScriptQuery, timeoutMs: Int64? = nil,
    _ done: @escaping (Result<RedisReply, RequestError>) -> Void
  ) {
    ask(query, timeoutMs: timeoutMs ?? requestTimeoutMs, done)
  }

  /// The error of a reply that is not one of the script's.
  package func refusal(of reply: RedisReply, _ script: Script) -> RequestError {
    guard reply.kind == .text, case .failed(let error) = outcome(of: script, reply.bytes) else {
      return refusal(of: script, reply.text)
    }
    return error
  }

  /// Calls a script that reads for several partitions at once; the reply has a line for each.
  package func gather(
    _ query: ScriptQuery, timeoutMs: Int64,
    _ done: @escaping (Result<[[UInt8]], RequestError>) -> Void
  ) {
    ask(query, timeoutMs: timeoutMs) { [unowned self] result in
      switch result {
      case .success(let reply) where reply.kind == .array && reply.count == query.partitions.count:
        done(.success(reply.elements.map { element in withLine(of: element) { Array($0) } }))
      case .success(let reply): done(.failure(refusal(of: query.script, reply.text)))
      case .failure(let error): done(.failure(error))
      }
    }
  }

  /// Lends the line that an element of a script's reply is, or stands for; empty if it is none.
  ///
  /// Without its end. Records and events name their devices, for which sealed values are opened.
  package func withLine<Value>(
    of reply: RedisReply, _ body: (UnsafeBufferPointer<UInt8>) -> Value
  ) -> Value {
    guard reply.kind == .array else { return body(reply.bytes) }
    return withMade(of: reply) { line, _ in body(line) }
  }

  /// The device that a query is about: sealed values are opened for it.
  ///
  /// Empty where nothing can be opened.
  private func device(of query: ScriptQuery) -> [UInt8] { seal == nil ? [] : query.firstWord }

  /// Lends the line that a list stands for, and says when the session that it shows has its next
  /// deadline.
  ///
  /// `parts`: what was read of the session before; `device` is that of the request.
  package func withMade<Value>(
    of reply: RedisReply, _ parts: (any ReadParts)? = nil, device: [UInt8] = [],
    _ body: (UnsafeBufferPointer<UInt8>, Int64?) -> Value
  ) -> Value {
    // Taken out while it is lent: who gets it may ask for the next one.
    var line = RecordLine(seal: seal)
    swap(&line, &recordLine)
    defer { swap(&line, &recordLine) }
    line.parts = parts
    if !line.make(of: reply, device: device) { line.reset() }
    line.parts = nil
    if line.corruptCount > 0 { noteCorrupt(line.corruptCount) }
    return line.bytes.withUnsafeBufferPointer { body($0, line.dueInMs) }
  }

  /// The error of a change that too few replicas have.
  package static let unacknowledged = RequestError(
    .unknownOutcome,
    "too few replicas have it in time (--replica-acks); it was applied, and may be lost")

  /// Lends the outcome that an element of a script's reply is, or stands for.
  ///
  /// `device` is that of the request.
  package func withOutcome(
    of script: Script, _ reply: RedisReply, device: [UInt8] = [], _ body: (ScriptOutcome) -> Void
  ) {
    if isUnacknowledged, !script.isReadOnly, ReplicaAcks.isChange(reply) {
      return body(.failed(Store.unacknowledged))
    }
    guard reply.kind == .array else {
      guard script == .lookPage, SealedValue.isWithin(reply.bytes) else {
        return body(outcome(of: script, text: reply.bytes))
      }
      return withOpened(reply.bytes, device) { body(outcome(of: script, text: $0)) }
    }
    withMade(of: reply, device: device) { line, dueInMs in
      let outcome = outcome(of: script, line)
      guard !script.isReadOnly, case .line = outcome else { return body(outcome) }
      body(.line(line, dueInMs: dueInMs))
    }
  }

  /// The same of a request of a batch.
  package func withOutcome(
    of batch: Batch, _ place: Int, _ reply: RedisReply, _ body: (ScriptOutcome) -> Void
  ) {
    let device = seal == nil ? [] : batch.firstWord(of: place)
    withOutcome(of: batch.script, reply, device: device, body)
  }

  /// Lends a line that a script has put together of messages, each opened.
  private func withOpened(
    _ text: UnsafeBufferPointer<UInt8>, _ device: [UInt8],
    _ body: (UnsafeBufferPointer<UInt8>) -> Void
  ) {
    var line = RecordLine(seal: seal, device: device)
    line.put(composed: text, .message, .of("recent"))
    if line.corruptCount > 0 { noteCorrupt(line.corruptCount) }
    line.bytes.withUnsafeBufferPointer(body)
  }

  /// The outcome of a script whose reply is a text.
  ///
  /// A script may copy what it finds in Redis, and what was changed there by other means is no
  /// line: it would put the connection out of step. Lines that are made here need no check.
  private func outcome(
    of script: Script, text: UnsafeBufferPointer<UInt8>
  ) -> ScriptOutcome {
    let outcome = outcome(of: script, text)
    guard case .line = outcome, !ReplyGrammar.allows(text.span) else { return outcome }
    let isForWorker = Store.workerWords.contains { text.starts(with: $0) }
    guard !isForWorker else { return outcome }
    noteCorrupt(1, "the reply of \(script.name)")
    return .failed(RequestError(.internal, "a key in Redis is corrupt; see the log"))
  }

  /// The first words of replies that ask for another step of the worker.
  private static let workerWords = [
    "MORE ".utf8, "LARGE ".utf8, "FULL ".utf8, "WAIT ".utf8, "MINE".utf8, "SETTLE ".utf8,
    "FOUND ".utf8, "HOOK ".utf8, "ENDED".utf8,
  ].map(Array.init)

  /// A script's reply line, or the error that it carries.
  package func outcome(
    of script: Script, _ line: UnsafeBufferPointer<UInt8>
  ) -> ScriptOutcome {
    guard !line.isEmpty else { return .failed(scriptFailed(script, "a reply without a text")) }
    guard line[0] == UInt8(ascii: "E"), line.starts(with: "ERR ".utf8) else { return .line(line) }
    let parts = String(decoding: line, as: UTF8.self).split(separator: " ", maxSplits: 2)
    // `quota/locks` for a limit of the caller's principal.
    let word = parts.count == 3 ? parts[1].split(separator: "/", maxSplits: 1) : []
    guard let code = word.first.flatMap({ ErrorCode(rawValue: String($0)) }) else {
      return .failed(scriptFailed(script, String(decoding: line, as: UTF8.self)))
    }
    guard code == .internal else {
      let limit = word.count > 1 ? String(word[1]) : nil
      return .failed(RequestError(code, String(parts[2]), principalLimit: limit))
    }
    // Before Redis 7 a full or read-only Redis refuses within the script, at its first write. But a
    // command without a right is refused where it stands.
    if !script.isReadOnly, StoreError.isCutOff(String(parts[2])) {
      return .failed(
        RequestError(
          .unknownOutcome, "Redis refused a part of it (NOPERM); it may have been applied"))
    }
    return .failed(refusal(of: script, String(parts[2])))
  }

  /// A script failed on its way: a bug.
  package func scriptFailed(_ script: Script, _ message: String) -> RequestError {
    let located = located(message, in: script)
    log.repeated(
      .error, "a script failed", cause: script.name,
      ["script": script.name, "error": String(located.prefix(200))])
    return RequestError(.internal, "the request failed inside Redis; see the log")
  }

  /// Values were shown as null, or a request was refused, because keys in Redis are corrupt.
  ///
  /// `key` is the one of them, where that is known.
  package func noteCorrupt(
    _ count: Int, _ what: String = "values of records", key: String? = nil
  ) {
    counters.add(count, .corruptValues)
    log.repeated(
      .error, "corrupt records in Redis", cause: what, count: count,
      ["what": what + (key.map { ", \($0)" } ?? "")])
  }

  /// The caller's error for an error of Redis.
  package func refusal(of script: Script, _ message: String) -> RequestError {
    switch StoreError(message) {
    case .refused(let reason):
      log.repeated(.warn, "redis refuses requests", cause: reason, ["error": reason])
      return RequestError(.unavailable, "\(reason); nothing was done")
    // Redis 6.2 says so within the reply of a script.
    case .elsewhere(let word):
      leaveIfSingle(reason: "\(UnfitServer.cluster) (\(word))")
      return RequestError(
        .unavailable, "its slot has no node at the moment (\(word)); nothing was done")
    case .wrongServer(let reason):
      leave(reason: reason)
      return RequestError(.unavailable, "\(reason); nothing was done")
    case .corrupt(let what) where script.isOfSession:
      noteCorrupt(1, what)
      return RequestError(
        .illegalState,
        "the session is corrupt in Redis (\(what)): GET shows what is left of it, DELETE removes it"
      )
    case .corruptLock(let key):
      return corruptLock(key)
    case .corrupt, .scriptMissing, .failed: return scriptFailed(script, message)
    }
  }

  /// The error of a renewal whose record is corrupt; which of the partition's is not known here.
  package func corruptLock(in partition: Partition) -> RequestError {
    corruptLock("\(keys.base(partition)):held:<device>")
  }

  private func corruptLock(_ key: String) -> RequestError {
    noteCorrupt(1, "the record of a lock", key: key)
    return RequestError(
      .illegalState,
      "the lock's record is corrupt in Redis (\(key)): CLEAR frees the lock, SEIZE takes it")
  }

  /// The caller's error when no answer came.
  package func error(for failure: RedisFailure, _ script: Script) -> RequestError {
    switch failure {
    case .notSent(let reason): RequestError(.unavailable, "\(reason); nothing was done")
    case .overtaken:
      RequestError(.unavailable, "earlier requests wait for a slot; nothing was done")
    case .noAnswer(let reason) where script.isReadOnly:
      RequestError(.unavailable, "\(reason); reading changes nothing, so retry")
    case .noAnswer(let reason):
      RequestError(.unknownOutcome, "\(reason); it may have been applied")
    }
  }
}
