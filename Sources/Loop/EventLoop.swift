// Owns: one libevent base and the notion of a turn: wait, run what is ready, settle, wait again.
// Must not know what the descriptors carry. Everything here belongs to the thread that runs it.

internal import CLibevent

/// One event loop: the thread that runs it owns everything that is registered with it.
package final class EventLoop {
  let base: OpaquePointer
  private var turnEndings: [() -> Void] = []
  private var isStopping = false
  private var cachedNowNs: Int64 = 0

  /// Creates a loop on the best poller of the system (epoll).
  package init() throws(SystemError) {
    guard let base = event_base_new() else { throw SystemError("event_base_new", 12) }
    self.base = base
  }

  deinit { event_base_free(base) }

  /// Monotonic nanoseconds, read at most once a turn: what happens in one turn happens at once.
  package var nowNs: Int64 {
    if cachedNowNs == 0 { cachedNowNs = MonotonicTime.nowNs() }
    return cachedNowNs
  }

  /// Monotonic milliseconds of this turn.
  package var nowMs: Int64 { nowNs / 1_000_000 }

  /// Adds an action that runs after the ready descriptors of a turn have all been served.
  ///
  /// This is where requests gathered in the turn leave in one write, and replies likewise.
  package func atTurnEnd(_ action: @escaping () -> Void) { turnEndings.append(action) }

  /// Runs turns until `stop()`.
  package func run() {
    cachedNowNs = 0
    while !isStopping {
      event_base_loop(base, EVLOOP_ONCE)
      for ending in turnEndings { ending() }
      cachedNowNs = 0
    }
    isStopping = false
  }

  /// Ends `run()` after this turn.
  package func stop() {
    isStopping = true
    event_base_loopbreak(base)
  }
}
