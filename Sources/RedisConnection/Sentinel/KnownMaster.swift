// Owns: the address of the master as the sentinels name it, and the notices of its changes. Any
// thread: the watch writes it on one, the connections of all loops read it.

package import Loop
internal import Synchronization

/// The master of a sentinel set, as far as it is known.
package final class KnownMaster: Sendable {
  private struct State {
    var address: Address?
    var reason = "no sentinel has answered yet"
    var followers: [ObjectIdentifier: Mailbox<Address>] = [:]
  }

  private let state = Mutex(State())
  /// The requests of connections to ask the sentinels now.
  let requests: Mailbox<Request>

  /// A connection has met a server that is not the master.
  struct Request: Sendable {}

  package init() throws(SystemError) { requests = try Mailbox() }

  /// Nil until a sentinel has named it.
  package var address: Address? { state.withLock { $0.address } }

  /// Why it is not known.
  package var reason: String { state.withLock { $0.reason } }

  /// Has the sentinels asked without waiting for the next time.
  func askAgain() { requests.post(Request()) }

  /// Has the address of each new master posted to the mailbox.
  func follow(_ mailbox: Mailbox<Address>) {
    state.withLock { $0.followers[ObjectIdentifier(mailbox)] = mailbox }
  }

  func unfollow(_ mailbox: Mailbox<Address>) {
    _ = state.withLock { $0.followers.removeValue(forKey: ObjectIdentifier(mailbox)) }
  }

  func set(_ address: Address) {
    let followers = state.withLock { state in
      state.address = address
      return Array(state.followers.values)
    }
    for mailbox in followers { mailbox.post(address) }
  }

  func set(reason: String) { state.withLock { $0.reason = reason } }
}
