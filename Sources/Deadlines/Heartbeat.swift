// Owns: this worker's heartbeat, which shows whether Redis runs scripts and which workers are
// alive. Runs on the main thread.

package import Loop
internal import RedisConnection
internal import Scripts
internal import SessionModel
package import Store

/// Registers this worker as alive, twice a second.
package final class Heartbeat: RedisFollower {
  private let loop: EventLoop
  private let store: ControlStore
  private let context: DeadlineContext
  private let learned: ([String]) -> Void
  private var timer: LoopTimer?
  private var answeredAtMs: Int64?
  /// The workers that each node knows, and when it said so.
  private var known: [String: (atMs: Int64, workers: [String])] = [:]

  package static let everyMs: Int64 = 500
  /// A worker without a heartbeat for so long is considered dead: six of them lost.
  static let deadAfterMs: Int64 = 3_000
  /// The canary expires well before the next heartbeat touches it.
  static let canaryMs: Int64 = 250

  /// `learned` gets the names of the live workers after each heartbeat.
  package init(
    _ loop: EventLoop, _ store: ControlStore, _ context: DeadlineContext,
    learned: @escaping ([String]) -> Void
  ) {
    self.loop = loop
    self.store = store
    self.context = context
    self.learned = learned
    timer = LoopTimer(loop) { [unowned self] in beat() }
  }

  /// Whether Redis has answered a script within the last moments.
  package var isFresh: Bool {
    guard store.isReady, let answeredAtMs else { return false }
    return MonotonicTime.nowMs() - answeredAtMs
      < 2 * Heartbeat.everyMs + context.requestTimeoutMs
  }

  package func start() { beat() }
  package func pause() { timer?.cancel() }

  /// Removes this worker from the lists of live workers; `done` follows whether or not that worked.
  package func deregister(_ done: @escaping () -> Void) {
    timer?.cancel()
    let nodes = store.nodes
    var left = nodes.count
    guard left > 0 else { return done() }
    let call = DeregisterCall(worker: ArgumentText(context.workerID))
    for node in nodes {
      store.callWorkers(call, at: node) { _ in
        left -= 1
        if left == 0 { done() }
      }
    }
  }

  /// Sends a heartbeat to each node: one that is away has its own workers' word for who lives.
  private func beat() {
    timer?.set(afterMs: Heartbeat.everyMs)
    let nodes = store.nodes
    known = known.filter { name, _ in nodes.contains { $0.name == name } }
    for node in nodes { beat(at: node) }
  }

  private func beat(at node: ControlNode) {
    let library = store.library(at: node)
    let call = HeartbeatCall(
      worker: ArgumentText(context.workerID), deadAfterMs: Heartbeat.deadAfterMs,
      canaryMs: Heartbeat.canaryMs, library: library.map { ArgumentText($0.name) })
    store.callWorkers(call, at: node, canary: context.workerID) { [unowned self] result in
      guard case .success(let reply) = result else { return }
      if reply.kind == .error, case .elsewhere = StoreError(reply.text) { return }
      guard reply.kind == .array, reply.count > 0 else {
        context.log.repeated(.warn, "the heartbeat failed", ["error": reply.text])
        return
      }
      answeredAtMs = loop.nowMs
      if reply[0].integer != 0 {
        context.log.repeated(
          .error, "a list of workers or libraries in Redis was of another type, and was made anew",
          [:])
      }
      known[node.name] = (loop.nowMs, reply.elements.dropFirst().map(\.text))
      learned(living)
    }
  }

  /// The workers that some node knows.
  private var living: [String] {
    let fresh = known.values.filter { loop.nowMs - $0.atMs < Heartbeat.deadAfterMs }
    return Array(Set(fresh.flatMap(\.workers))).sorted()
  }
}

/// A request for heartbeat.lua.
struct HeartbeatCall: ScriptCall {
  static let script = Script.heartbeat
  let worker: ArgumentText
  let deadAfterMs: Int64
  let canaryMs: Int64
  let library: ArgumentText?

  func write(to words: inout CommandBuffer) {
    words.word(worker)
    words.word(deadAfterMs)
    words.word(canaryMs)
    words.word(library)
  }
}

/// A request for deregister.lua.
struct DeregisterCall: ScriptCall {
  static let script = Script.deregister
  let worker: ArgumentText

  func write(to words: inout CommandBuffer) {
    words.word(worker)
  }
}
