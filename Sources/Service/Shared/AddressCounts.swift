// Owns: how many connections each address has, over all loops. Any thread: a mutex, held for one
// look-up, when a connection is taken and when it ends.

package import Loop
internal import Synchronization

/// Counts connections by where they come from.
package final class AddressCounts: Sendable {
  private let counts = Mutex<[PeerAddress: Int]>([:])

  /// Counts one more of this host, unless it has `most` already.
  package func admit(_ host: PeerAddress, most: Int) -> Bool {
    counts.withLock { counts in
      let now = counts[host, default: 0]
      guard now < most else { return false }
      counts[host] = now + 1
      return true
    }
  }

  /// Forgets one of this host.
  package func release(_ host: PeerAddress) {
    counts.withLock { counts in
      guard let now = counts[host] else { return }
      counts[host] = now > 1 ? now - 1 : nil
    }
  }

  /// How many hosts have a connection.
  var hosts: Int { counts.withLock { $0.count } }
}
