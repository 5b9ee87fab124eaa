// Owns: the arguments of the scripts that make a session, for their tests.

/// A session that is to be made, and the rest of the request; each as its script takes it.
struct Opening {
  var device = "d"
  var session = "S"
  /// JSON.
  var thread = "\"t\""
  var links = ""
  /// The lengths in ms, in the order in which a record keeps them.
  var clocks = "0 0 0 60000 60000 0"
  /// Parts.
  var members = ""
  var policy = ""
  var fleet = ""
  var reserved = ""
  var token = ""
  var req = ""

  /// The parameters NEW of session_create.lua; not fenced.
  private var new: [String] { [session, thread, links, clocks, "", members, policy] }

  /// The arguments of open.lua.
  var open: [String] { [device, fleet, reserved, token] + new + [req] }

  /// The arguments of recover_latest.lua.
  func recover(hint: String = "", ofUser: String = "") -> [String] {
    [device, hint, "", ofUser, "", fleet, reserved, token] + new + [req]
  }

  /// The arguments of turn.lua behind those of the turn itself.
  var turn: [String] { [fleet, reserved, token] + new + [req] }
}
