// Owns: the control loop's following of what Redis keeps once for all workers: the id of the data,
// and the key of tickets. Runs on the main thread.

internal import Loop
internal import Access
internal import Service
internal import SessionModel
internal import Store

extension Control {
  /// How often it is read again: Redis may have been emptied, or be another one.
  private static let fleetMs: Int64 = 5_000
  private static let fleetIDBytes = 16

  /// Reads it, and again every few seconds; `done` follows the first answer.
  func followFleet(_ done: @escaping () -> Void = {}) {
    guard let store else { return done() }
    if fleetCheck == nil { fleetCheck = LoopTimer(loop) { [unowned self] in followFleet() } }
    fleetCheck?.set(afterMs: Control.fleetMs)
    readFleetID(store) { [unowned self] in readFleetKey(store, done) }
  }

  private func readFleetID(_ store: ControlStore, _ done: @escaping () -> Void) {
    let made: String
    do throws(SystemError) {
      made = Hex.text(try Digest.randomBytes(Control.fleetIDBytes))
    } catch { return done() }
    store.fleetID(orElse: made) { [unowned self] text in
      defer { done() }
      guard let text else { return }
      guard text.utf8.count == made.utf8.count, Hex.bytes(text) != nil else {
        log.repeated(
          .error, "the fleet's id in Redis is corrupt: remove it, and workers make another",
          ["key": store.keyspace.fleetKey])
        return
      }
      shared.setFleetID(text)
    }
  }
}
