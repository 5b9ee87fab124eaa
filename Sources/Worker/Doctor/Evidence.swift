// Owns: everything that an examination has found out, before anybody judges it. A value; any
// thread. Must not hold the password.

/// What was asked and what Redis answered.
struct Evidence: Sendable {
  /// How far the examination came.
  enum Ending: Equatable, Sendable {
    case whole
    /// There was no connection, or it was refused; the text says why.
    case unreachable(String)
    /// Redis answers, and will never do.
    case unusable(String)
    /// The connection was lost on the way.
    case lost(String)
    case tooSlow(limitMs: Int64)
  }

  /// What came of waiting for the announcement of an expired key of our own.
  enum Announcement: Equatable, Sendable {
    case notTried
    case heard
    case silent(waitedMs: Int64)
  }

  /// A probe and what it was answered.
  struct Tried: Sendable {
    var probe: Probe
    var answer: Answer
  }

  // MARK: Who asks

  var place = ""
  var namespace = "lk"
  var database = 0
  /// As whom Redis sees us.
  var user = "default"
  var hasPassword = false

  // MARK: What Redis says of itself

  /// Of HELLO, which every user may ask: version, mode and role.
  var hello: [String: String] = [:]
  var info: [String: String] = [:]
  /// Settings that CONFIG GET gave.
  var config: [String: String] = [:]
  /// Which of INFO and CONFIG GET were refused.
  var unanswered: [String] = []
  /// What SELECT was answered, if there was anything to select.
  var selected: Answer?
  /// What stands under the namespace's layout.
  var layout: Answer?

  // MARK: What was tried

  var tried: [Tried] = []
  /// What a script was answered that reads the clock, writes and reads.
  var script: Answer?
  var announcement = Announcement.notTried
  /// What was written and is still there: for as long as its TTL runs.
  var leftovers = false
  var roundTripsUs: [Int64] = []
  /// Redis' clock minus ours.
  var clockAheadMs: Int64?
  var ending = Ending.whole

  /// What the first probe of this name was answered.
  func answer(to name: String) -> Answer? { tried.first { $0.probe.name == name }?.answer }

  /// A setting by its name in CONFIG, which INFO may know too.
  func setting(_ name: String) -> String? {
    if let value = config[name] { return value }
    switch name {
    case "appendonly": return info["aof_enabled"].map { $0 == "0" ? "no" : "yes" }
    case "maxmemory": return info["maxmemory"]
    case "maxmemory-policy": return info["maxmemory_policy"]
    default: return nil
    }
  }

  /// A number that INFO or CONFIG gave.
  func number(_ name: String) -> Int64? { (setting(name) ?? info[name]).flatMap { Int64($0) } }
}
