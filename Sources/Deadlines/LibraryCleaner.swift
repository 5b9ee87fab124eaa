// Owns: the removal of libraries of functions that workers of earlier versions or with other
// settings have left in Redis. Runs on the main thread.

package import Loop
internal import RedisConnection
internal import Scripts
package import Store

/// Removes libraries of this namespace that no worker uses; it looks for them once a minute.
///
/// A worker whose heartbeats are late keeps its library: it is removed only when none has named it
/// for much longer than a worker may be silent. One that comes back even later finds its functions
/// missing and loads them again.
package final class LibraryCleaner: RedisFollower {
  private let store: ControlStore
  private let log: Log
  private var timer: LoopTimer?
  private var hasWarned = false

  private static let firstMs: Int64 = 2_000
  private static let everyMs: Int64 = 60_000
  /// A library that no heartbeat has named for so long is stale.
  package static let unusedMs: Int64 = 600_000

  package init(_ loop: EventLoop, _ store: ControlStore, log: Log) {
    self.store = store
    self.log = log
    timer = LoopTimer(loop) { [unowned self] in look() }
  }

  package func start() { timer?.set(afterMs: LibraryCleaner.firstMs) }
  package func pause() { timer?.cancel() }

  private func look() {
    // A connection that failed begins again when it is back.
    guard store.isReady else { return }
    timer?.set(afterMs: LibraryCleaner.everyMs)
    for node in store.nodes { look(at: node) }
  }

  private func look(at node: ControlNode) {
    guard let own = store.library(at: node) else { return }
    let list = ["FUNCTION", "LIST", "LIBRARYNAME", own.prefix + "*"]
    store.command(list, at: node) { [unowned self] result in
      guard let reply = answer(result) else { return }
      let names = reply.elements.filter { $0.count > 1 }.map { $0[1].text }
      let others = names.filter { $0 != own.name }
      if !others.isEmpty { findStale(others, at: node) }
    }
  }

  private func findStale(_ names: [String], at node: ControlNode) {
    let call = StaleLibrariesCall(
      unusedMs: LibraryCleaner.unusedMs, names: names.map { ArgumentText($0) })
    store.callLibraries(call, at: node) { [unowned self] result in
      for name in answer(result)?.elements.map(\.text) ?? [] { remove(name, at: node) }
    }
  }

  private func remove(_ name: String, at node: ControlNode) {
    store.command(["FUNCTION", "DELETE", name], at: node) { [unowned self] result in
      // Another worker may have removed it at the same time.
      if case .success(let reply) = result, reply.text == "ERR Library not found" { return }
      guard answer(result) != nil else { return }
      log.info("an unused library of functions was removed from redis", ["library": name])
    }
  }

  /// The reply, unless there is none or it is an error, which is logged once.
  private func answer(_ result: Result<RedisReply, RedisFailure>) -> RedisReply? {
    guard case .success(let reply) = result else { return nil }
    guard reply.kind == .error else { return reply }
    if !hasWarned {
      hasWarned = true
      log.warn("unused libraries of functions stay in redis", ["error": reply.text])
    }
    return nil
  }
}

/// A request for stale_libraries.lua.
struct StaleLibrariesCall: ScriptCall {
  static let script = Script.staleLibraries
  let unusedMs: Int64
  let names: [ArgumentText]

  func write(to words: inout CommandBuffer) {
    words.word(unusedMs)
    for name in names { words.word(name) }
  }
}
