// Owns: script calls outside of a turn's batches, and what is told of those that fail. Runs on the
// loop's thread.

internal import Loop
internal import RedisConnection
internal import Scripts
internal import Wire

/// What came of a script call.
enum ScriptOutcome {
  /// Its reply line, without an end; good during the call.
  case line(UnsafeBufferPointer<UInt8>)
  case failed(RequestError)
}

extension ServingLoop {
  /// Calls a script for one request, after all that its connection has asked before it.
  ///
  /// Without `timeoutMs` it has the time of a whole request.
  func callScript(
    _ query: ScriptQuery, timeoutMs: Int64? = nil, _ done: @escaping (ScriptOutcome) -> Void
  ) {
    guard let redis, redis.isReady else {
      done(.failed(RequestError(.unavailable, redisReason)))
      return
    }
    sendAll(redis)
    redis.call(
      query.script, timeoutMs: timeoutMs ?? settings.requestTimeoutMs, keys: query.keys,
      arguments: query.arguments
    ) { [unowned self] result in
      switch result {
      case .success(let reply) where reply.kind == .text:
        done(outcome(of: query.script, reply.bytes))
      case .success(let reply) where reply.count == 1:
        done(outcome(of: query.script, reply[0].bytes))
      case .success(let reply): done(.failed(refusal(of: query.script, reply.text)))
      case .failure(let failure): done(.failed(error(for: failure, query.script)))
      }
    }
  }

  /// Calls a script whose reply has more than a line.
  func callScript(
    raw query: ScriptQuery, _ done: @escaping (Result<RedisReply, RequestError>) -> Void
  ) {
    guard let redis, redis.isReady else {
      done(.failure(RequestError(.unavailable, redisReason)))
      return
    }
    redis.call(
      query.script, timeoutMs: settings.requestTimeoutMs, keys: query.keys,
      arguments: query.arguments
    ) { [unowned self] result in
      done(result.mapError { error(for: $0, query.script) })
    }
  }

  /// What a reply means that is not what its script replies with.
  func refusal(of reply: RedisReply, _ script: Script) -> RequestError {
    guard reply.kind == .text, case .failed(let error) = outcome(of: script, reply.bytes) else {
      return refusal(of: script, reply.text)
    }
    return error
  }

  /// Sends what callers have asked in this turn, so that what is sent next comes after it.
  func sendWaiting() {
    if let redis, redis.isReady { sendAll(redis) }
  }

  /// Calls a script that reads for several requests at once; the reply has a line for each.
  func readRows(
    _ query: ScriptQuery, timeoutMs: Int64,
    _ done: @escaping (Result<[[UInt8]], RequestError>) -> Void
  ) {
    guard let redis, redis.isReady else {
      done(.failure(RequestError(.unavailable, redisReason)))
      return
    }
    redis.call(
      query.script, timeoutMs: timeoutMs, keys: query.keys, arguments: query.arguments
    ) { [unowned self] result in
      switch result {
      case .success(let reply) where reply.kind == .array && reply.count == query.keys.count:
        done(.success(reply.elements.map { Array($0.bytes) }))
      case .success(let reply): done(.failure(refusal(of: query.script, reply.text)))
      case .failure(let failure): done(.failure(error(for: failure, query.script)))
      }
    }
  }

  /// A script's reply line, or the error that it tells.
  func outcome(
    of script: Script, _ line: UnsafeBufferPointer<UInt8>
  ) -> ScriptOutcome {
    guard !line.isEmpty else { return .failed(scriptFailed(script, "a reply without a text")) }
    guard line.starts(with: Array("ERR ".utf8)) else { return .line(line) }
    let parts = String(decoding: line, as: UTF8.self).split(separator: " ", maxSplits: 2)
    guard parts.count == 3, let code = ErrorCode(rawValue: String(parts[1])) else {
      return .failed(scriptFailed(script, String(decoding: line, as: UTF8.self)))
    }
    // Before Redis 7 a full or read-only Redis refuses within the script, at its first write.
    return .failed(
      code == .internal
        ? refusal(of: script, String(parts[2])) : RequestError(code, String(parts[2])))
  }

  /// A script failed on its way: a bug, or a key that somebody has damaged.
  func scriptFailed(_ script: Script, _ message: String) -> RequestError {
    shared.log.error(
      "a script failed", ["script": script.name, "error": String(message.prefix(200))])
    return RequestError(.internal, "the request failed inside Redis; see the log")
  }

  /// A list or a report does without sessions whose records are damaged; the reply says so.
  ///
  /// Who asks for one of them gets `ERR internal`.
  func leftOut(_ count: Int, _ message: String = "") {
    guard count > 0 else { return }
    counters.add(count, .damagedSessions)
    shared.log.error(
      "damaged sessions were left out",
      message.isEmpty
        ? ["count": "\(count)"] : ["count": "\(count)", "error": String(message.prefix(200))])
  }

  /// The same, where a script has left them out, which its reply begins with.
  func noteDamaged(in line: UnsafeBufferPointer<UInt8>) {
    guard line.starts(with: Array("OK {\"damaged\":[".utf8)) else { return }
    let names = line.prefix { $0 != UInt8(ascii: "]") }
    leftOut(names.count { $0 == UInt8(ascii: "/") })
  }

  /// What callers are told when Redis answers a script call with an error.
  func refusal(of script: Script, _ message: String) -> RequestError {
    switch StoreError(message) {
    case .refused(let reason): return RequestError(.unavailable, "\(reason); nothing was done")
    case .scriptMissing, .failed: return scriptFailed(script, message)
    }
  }

  /// What callers are told when no answer came.
  func error(for failure: RedisFailure, _ script: Script) -> RequestError {
    switch failure {
    case .notSent(let reason): RequestError(.unavailable, "\(reason); nothing was done")
    case .noAnswer(let reason) where script.isReadOnly:
      RequestError(.unavailable, "\(reason); reading changes nothing, so retry")
    case .noAnswer(let reason):
      RequestError(.unknownOutcome, "\(reason); it may have been applied")
    }
  }
}
