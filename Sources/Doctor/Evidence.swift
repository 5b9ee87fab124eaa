// Owns: all results of an examination, before they are judged. A value; any thread. Must not hold
// the password.

package import RedisConnection

/// The questions and the answers of Redis.
package struct Evidence: Sendable {
  /// How far the examination came.
  package enum Ending: Equatable, Sendable {
    case whole
    /// There was no connection, or it was refused; the text says why.
    case unreachable(String)
    /// Redis answers, and will never do.
    case unusable(String)
    /// The connection was lost on the way.
    case lost(String)
    case tooSlow(limitMs: Int64)
  }

  /// The result of waiting for the notification of an expired key of our own.
  enum Announcement: Equatable, Sendable {
    case notTried
    case received
    case silent(waitedMs: Int64)
  }

  /// A probe and its answer.
  struct Tried: Sendable {
    var probe: Probe
    var answer: Answer
  }

  // MARK: The user

  package var place = ""
  package var namespace = "lk"
  package var database = 0
  /// The user name, as Redis sees it.
  package var user = "default"
  var hasPassword = false

  /// What the doctor's sentinels say, where there are some.
  package var sentinels: SentinelReport?

  /// How many replicas have to have a worker's changes.
  package var replicaAcks = 0

  // MARK: The server's own words

  /// Of HELLO, which every user may ask: version, mode and role.
  package var hello: [String: String] = [:]
  package var info: [String: String] = [:]
  /// Settings that CONFIG GET gave.
  package var config: [String: String] = [:]
  /// Which of INFO and CONFIG GET were refused.
  package var unanswered: [String] = []
  /// The answer to SELECT, if there was a database to select.
  var selected: Answer?
  /// The value under the namespace's layout key.
  package var layout: Answer?

  /// What a node says of its cluster.
  package var cluster: ClusterEvidence?
  /// Whether the server is a node of a cluster.
  package var isCluster: Bool { hello["mode"] == "cluster" || info["cluster_enabled"] == "1" }
  /// The address of the node of a cluster that was examined.
  var node: String?
  /// Whether the node was expected to be a replica, as another node says.
  var isNamedReplica = false
  /// Whether the server is a replica, or is at least known as one.
  var isReplica: Bool {
    guard let role = hello["role"] else { return isNamedReplica }
    return ["replica", "slave"].contains(role)
  }

  // MARK: Probes

  var tried: [Tried] = []
  /// The answer of a script that reads the clock, writes and reads.
  package var script: Answer?
  var announcement = Announcement.notTried
  /// Whether keys of the doctor are left, which expire with their TTL.
  var leftovers = false
  var roundTripsUs: [Int64] = []
  /// By which keys callers' values are sealed, from some of them.
  package var sealing = SealingSample()
  /// The webhooks.
  package var hooks = HookSample()
  /// Redis' clock minus ours.
  var clockAheadMs: Int64?
  package var ending = Ending.whole

  /// The answer to the first probe of this name.
  package func answer(to name: String) -> Answer? { tried.first { $0.probe.name == name }?.answer }

  /// A setting by its name in CONFIG, which INFO may know too.
  package func setting(_ name: String) -> String? {
    if let value = config[name] { return value }
    switch name {
    case "appendonly": return info["aof_enabled"].map { $0 == "0" ? "no" : "yes" }
    case "maxmemory": return info["maxmemory"]
    case "maxmemory-policy": return info["maxmemory_policy"]
    default: return nil
    }
  }

  /// A number that INFO or CONFIG gave.
  package func number(_ name: String) -> Int64? {
    (setting(name) ?? info[name]).flatMap { Int64($0) }
  }
}
