// Owns: the control loop's handling of the keys of tickets: those of a file, at the start and when
// it changes; without one the fleet's own, which Redis keeps. Runs on the main thread.

internal import Access
internal import Loop
internal import Service
internal import SessionModel
internal import Settings
internal import Store
internal import Synchronization

extension Control {
  /// Reads the file of keys; nil without one.
  static func ticketKeys(_ settings: Settings) throws(StartError) -> TicketKeys? {
    guard let path = settings.ticketKeysFile else { return nil }
    do throws(TicketKeysError) { return try TicketKeys.load(path) } catch {
      throw StartError(text: "--ticket-keys: \(path): \(error)")
    }
  }

  /// Reads the file again; without the key that has signed it a ticket ends.
  func reloadTicketKeys(isAsked: Bool) {
    guard let path = settings.ticketKeysFile else { return }
    do throws(TicketKeysError) {
      let read = try TicketKeys.load(path)
      guard !read.isSame(as: shared.ticketKeys.withLock { $0 }) else {
        if isAsked { log.info("the keys of tickets are as they were") }
        return
      }
      change(to: read)
      log.info("the keys of tickets were read again", ["count": "\(read.count)"])
    } catch {
      log.repeated(
        .error, "the keys of tickets could not be read again; those from before stay",
        ["error": error.description])
    }
  }

  private func change(to keys: TicketKeys) {
    shared.ticketKeys.withLock { $0 = keys }
    for orders in serving { orders.post(.principalsChanged) }
  }

  /// Reads the fleet's key where no file has one; `done` follows the answer.
  func readFleetKey(_ store: ControlStore, _ done: @escaping () -> Void) {
    guard settings.ticketKeysFile == nil else { return done() }
    let made: String
    do throws(SystemError) { made = try TicketKeys.madeForFleet() } catch { return done() }
    store.ticketKey(orElse: made) { [unowned self] text in
      defer { done() }
      guard let text else { return }
      guard let keys = TicketKeys(ofFleet: text) else {
        log.repeated(
          .error, "the key of tickets in Redis is corrupt: remove it, and workers make another",
          ["key": store.keyspace.ticketKey])
        return
      }
      if !keys.isSame(as: shared.ticketKeys.withLock({ $0 })) { change(to: keys) }
    }
  }
}
