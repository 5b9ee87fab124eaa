// Owns: the control loop's own way to Redis, apart from those that carry callers' requests. As with
// theirs, its users name a partition and no key. Runs on the main thread.

package import Loop
package import RedisConnection
internal import Scripts
internal import SessionModel

/// The control loop's access to Redis.
package final class ControlStore: RedisConnectionOwner {
  package enum ConnectionEvent {
    case up
    case down(String)
    case refused(String)
  }

  private let timeoutMs: Int64
  private let keyspace: Keyspace
  private let report: (ConnectionEvent) -> Void
  private var redis: RedisConnection?

  package init(
    _ loop: EventLoop, _ setup: RedisSetup, _ report: @escaping (ConnectionEvent) -> Void
  ) {
    timeoutMs = setup.requestTimeoutMs
    keyspace = setup.keyspace
    self.report = report
    redis = RedisConnection(loop, setup, owner: self)
    loop.atTurnEnd { [weak self] in self?.redis?.flush() }
  }

  package var isReady: Bool { redis?.isReady == true }
  /// The library of functions in use, and the prefix of the names of all of the namespace; nil
  /// where scripts are called by their hashes.
  package var library: (name: String, prefix: String)? { redis?.library }
  /// Why scripts are not called as functions though they might be.
  package var scriptRemark: String? { redis?.scriptRemark }

  package func start() { redis?.start() }
  package func stop() { redis?.stop() }

  /// Calls a script; the handler is called exactly once, at once if Redis is away.
  package func call(_ query: ScriptQuery, _ handler: @escaping RedisConnection.Handler) {
    call(
      query.script, query.partitions.map { keyspace.base($0) }, query.arguments, handler)
  }

  /// Calls a script that keeps the list of workers.
  ///
  /// With `canary` it also gets the key whose expiry shows that notifications come, and that of the
  /// libraries of functions in use.
  package func callWorkers<Request: ScriptCall>(
    _ request: Request, canary: String? = nil,
    _ handler: @escaping RedisConnection.Handler
  ) {
    let more = canary.map { [keyspace.canary($0), keyspace.librariesKey] }
    let keys = [keyspace.workersKey] + (more ?? [])
    call(request, keys, handler)
  }

  /// Calls a script that looks at the list of libraries of functions.
  package func callLibraries<Request: ScriptCall>(
    _ request: Request, _ handler: @escaping RedisConnection.Handler
  ) {
    call(request, [keyspace.librariesKey], handler)
  }

  /// Leaves the fleet's figures for the other workers, who have them for so long.
  package func shareFigures(_ text: String, keepMs: Int64) {
    command(["SET", keyspace.figuresKey, text, "PX", "\(keepMs)"]) { _ in }
  }

  /// The figures that another worker has left; nil if there are none, or they cannot be read.
  package func sharedFigures(_ done: @escaping (String?) -> Void) {
    command(["GET", keyspace.figuresKey]) { result in
      guard case .success(let reply) = result, reply.kind == .text else { return done(nil) }
      done(reply.text)
    }
  }

  private func call<Request: ScriptCall>(
    _ request: Request, _ keys: [String], _ handler: @escaping RedisConnection.Handler
  ) {
    var words = CommandBuffer()
    request.write(to: &words)
    call(Request.script, keys, words, handler)
  }

  private func call(
    _ script: Script, _ keys: [String], _ arguments: CommandBuffer,
    _ handler: @escaping RedisConnection.Handler
  ) {
    guard let redis else { return handler(.failure(.notSent("the worker is starting"))) }
    redis.call(script, timeoutMs: timeoutMs, keys: keys, arguments: arguments, handler)
  }

  /// Sends a plain command.
  package func command(_ words: [String], _ handler: @escaping RedisConnection.Handler) {
    guard let redis else { return handler(.failure(.notSent("the worker is starting"))) }
    redis.call(
      timeoutMs: timeoutMs,
      { out in
        out.begin(words: words.count)
        for word in words { out.word(word) }
      }, handler)
  }

  package func redisServes(_ redis: RedisConnection) { report(.up) }
  package func redisFailed(_ redis: RedisConnection, reason: String) { report(.down(reason)) }
  package func redisRefused(_ redis: RedisConnection, reason: String) { report(.refused(reason)) }
  package func batchAnswered(_ redis: RedisConnection, _ batch: Batch, _ reply: RedisReply) {}
  package func batchFailed(_ redis: RedisConnection, _ batch: Batch, _ failure: RedisFailure) {}
}
