// Owns: the number of live sessions of the whole fleet, which --max-live is held against. Runs on
// the main thread.

package import Loop
package import RedisConnection
package import Scripts
internal import SessionModel
package import Store

/// Counts all live sessions twice a second.
package final class LiveCount {
  private let store: ControlStore
  private let counted: (Int) -> Void
  private var timer: LoopTimer?

  /// With the time that Redis takes, a sum is at most 1 s old.
  private static let everyMs: Int64 = 500

  /// `counted` gets each sum.
  package init(_ loop: EventLoop, _ store: ControlStore, counted: @escaping (Int) -> Void) {
    self.store = store
    self.counted = counted
    timer = LoopTimer(loop) { [unowned self] in count() }
  }

  package func start() { count() }
  package func pause() { timer?.cancel() }

  private func count() {
    let query = ScriptQuery(LiveSessionsCall(), over: Partition.all)
    store.call(query) { [unowned self] result in
      // A connection that failed begins again when it is back.
      if store.isReady { timer?.set(afterMs: LiveCount.everyMs) }
      guard case .success(let reply) = result, let sum = reply.integer else { return }
      counted(Int(sum))
    }
  }
}

/// A request for live_sessions.lua.
struct LiveSessionsCall: ScriptCall {
  static let script = Script.liveSessions

  func write(to words: inout CommandBuffer) {}
}

/// A request for owned.lua.
package struct OwnedCall: ScriptCall {
  package static let script = Script.owned
  /// With a space between two.
  let marks: ArgumentText

  package init(marks: ArgumentText) { self.marks = marks }

  package func write(to words: inout CommandBuffer) { words.word(marks) }
}
