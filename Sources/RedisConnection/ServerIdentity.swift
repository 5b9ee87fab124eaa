// Owns: a server's own words on what it is, in reply to HELLO, and whether work may be done there.
// A value; any thread.

/// A server as it introduces itself.
struct ServerIdentity: Equatable {
  var version = ""
  var mode = ""
  var role = ""

  init() {}

  /// Reads a reply to HELLO.
  init(_ hello: RedisReply) {
    for at in stride(from: 0, to: hello.count - 1, by: 2) {
      let value = hello[at + 1].text
      switch hello[at].text {
      case "version": version = value
      case "mode": mode = value
      case "role": role = value
      default: continue
      }
    }
  }

  /// 6.2 brought SET with PXAT, and XAUTOCLAIM.
  var isNewEnough: Bool {
    let numbers = version.split(separator: ".").compactMap { Int($0) }
    guard numbers.count >= 2 else { return true }
    return (numbers[0], numbers[1]) >= (6, 2)
  }
}

/// Why a server cannot be used that is not a single Redis, or not a master.
package enum UnfitServer {
  package static let cluster = "this server belongs to a Redis Cluster now: restart the worker"
  package static let single = "this Redis is not a node of a cluster"
  package static let sentinel = "this is a Sentinel, which keeps no data"
  package static let replica = "this Redis is a read-only replica"

  /// The fault of the `mode` and the `role` that HELLO gives; nil if the server can be used.
  static func reason(_ identity: ServerIdentity, isCluster: Bool) -> String? {
    switch (identity.mode, identity.role) {
    case ("cluster", _) where !isCluster: cluster
    case ("standalone", _) where isCluster: single
    case ("sentinel", _): sentinel
    case (_, "replica"), (_, "slave"): replica
    default: nil
    }
  }
}
