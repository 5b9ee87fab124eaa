// Owns: this worker's heartbeat, and with it the answers to: does Redis answer a script, and who
// else lives. Runs on the main thread.

internal import Loop
internal import RedisConnection
internal import Scripts
internal import SessionModel

/// Tells the others, twice a second, that this worker lives.
final class Heartbeat {
  private let loop: EventLoop
  private let store: ControlStore
  private let context: DeadlineContext
  private let learned: ([String]) -> Void
  private var timer: LoopTimer?
  private var answeredAtMs: Int64?

  static let everyMs: Int64 = 500
  /// A worker that was silent for so long is taken for dead: six heartbeats lost.
  static let deadAfterMs: Int64 = 3_000
  /// The canary runs out well before the next heartbeat touches it.
  static let canaryMs: Int64 = 250

  /// `learned` gets the names of the living after each heartbeat.
  init(
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
  var isFresh: Bool {
    guard store.isReady, let answeredAtMs else { return false }
    return MonotonicTime.nowMs() - answeredAtMs
      < 2 * Heartbeat.everyMs + context.requestTimeoutMs
  }

  func start() { beat() }
  func pause() { timer?.cancel() }

  /// Takes this worker off the list; `done` follows whether or not that went well.
  func sayGoodbye(_ done: @escaping () -> Void) {
    timer?.cancel()
    store.callWorkers(.goodbye, [context.workerID]) { _ in done() }
  }

  private func beat() {
    store.callWorkers(
      .heartbeat,
      [
        context.workerID, "\(Heartbeat.deadAfterMs)", "\(Heartbeat.canaryMs)",
        store.library?.name ?? "",
      ],
      canary: context.workerID
    ) { [unowned self] result in
      // A connection that failed begins again when it is back.
      if store.isReady { timer?.set(afterMs: Heartbeat.everyMs) }
      guard case .success(let reply) = result, reply.kind == .array else { return }
      answeredAtMs = loop.nowMs
      learned(reply.elements.map(\.text))
    }
  }
}
