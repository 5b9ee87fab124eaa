// Owns: this worker's heartbeat, which shows whether Redis runs scripts and which workers are
// alive. Runs on the main thread.

package import Loop
internal import RedisConnection
internal import Scripts
internal import SessionModel
package import Store

/// Registers this worker as alive, twice a second.
package final class Heartbeat {
  private let loop: EventLoop
  private let store: ControlStore
  private let context: DeadlineContext
  private let learned: ([String]) -> Void
  private var timer: LoopTimer?
  private var answeredAtMs: Int64?

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

  /// Removes this worker from the list of live workers; `done` follows whether or not that worked.
  package func deregister(_ done: @escaping () -> Void) {
    timer?.cancel()
    store.callWorkers(DeregisterCall(worker: ArgumentText(context.workerID))) { _ in done() }
  }

  private func beat() {
    let call = HeartbeatCall(
      worker: ArgumentText(context.workerID), deadAfterMs: Heartbeat.deadAfterMs,
      canaryMs: Heartbeat.canaryMs, library: store.library.map { ArgumentText($0.name) })
    store.callWorkers(call, canary: context.workerID) { [unowned self] result in
      // A connection that failed begins again when it is back.
      if store.isReady { timer?.set(afterMs: Heartbeat.everyMs) }
      guard case .success(let reply) = result else { return }
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
      learned(reply.elements.dropFirst().map(\.text))
    }
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
