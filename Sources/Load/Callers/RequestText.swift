// Owns: how the harness' requests are written. Values; any thread.

/// The bytes of requests about one device.
struct RequestText {
  let device: String
  /// Nil until one was opened.
  var session: String?
  let clocks: String
  /// The chat in which messages are said; empty for the current one.
  var chat = ""
  let filler: [UInt8]

  /// Clocks that outlast any pause of a conversation, and that remove sessions that are not
  /// deleted.
  static func clocks(pauseMs: Int64) -> String {
    let idleMs = 300_000 + 2 * pauseMs
    return "idle=\(idleMs)ms abandon=\(2 * idleMs)ms archive=10m life=0 keep=10m warn=0"
  }

  /// The text of messages, so that they come to about this many bytes.
  static func filler(messageBytes: Int) -> [UInt8] {
    let words = Array(
      "could you move my appointment to next tuesday please and say why to me ".utf8)
    // The rest of a message: {"n":12,"by":"scheduling","text":""}
    return (0..<max(1, messageBytes - 38)).map { words[$0 % words.count] }
  }

  /// The same for clocks that end while the conversation is checked.
  static func clocks(_ clocks: ShortClocks) -> String {
    "idle=\(clocks.idleMs)ms abandon=\(clocks.abandonMs)ms archive=\(clocks.archiveMs)ms "
      + "life=0 keep=10m warn=0"
  }

  private var address: String { "\(device)/\(session ?? "current")" }

  /// A request with its line end; the same each time it is written for one call.
  func line(_ call: LoadCall, _ id: Int) -> [UInt8] {
    let agent = Agents.name(call.agent)
    let token =
      call.turn > 0 ? " turn=\(call.turn)" : call.token > 0 ? " token=\(call.token)" : ""
    switch call.verb {
    case .holder: return Array("HOLDER \(device)\n".utf8)
    case .lock:
      let req = call.isRepeatable ? " req=c\(id)" : ""
      return Array("LOCK \(device) \(agent) ttl=\(call.ttlMs)ms\(req)\n".utf8)
    // Each conversation has a user of its own.
    case .open where call.isOfUser:
      return Array("OPEN \(device) user=\(device) \(clocks) req=c\(id)\n".utf8)
    case .open:
      return Array("OPEN \(device) \(clocks)\(token) req=c\(id) {\"by\":\"\(agent)\"}\n".utf8)
    // A device alone means the session of the turn.
    case .touch: return Array("TOUCH \(call.turn > 0 ? device : address)\(token)\n".utf8)
    case .say: return said("SAY \(address)\(chat)\(token) req=c\(id) ", call, agent, "\n")
    case .turn:
      let new = session == nil ? " \(clocks)" : ""
      let wait = call.waitMs > 0 ? " wait=\(call.waitMs)ms" : ""
      let line = "TURN \(device) policy=\(call.policy.rawValue)\(wait) ttl=\(call.ttlMs)ms"
      return said("\(line) last=\(call.last)\(new) req=c\(id) ", call, agent, "\n")
    case .done:
      let seen = call.seen > 0 ? " seen=\(call.seen)" : ""
      let line = "DONE \(device)\(token)\(seen)\(call.isLast ? " last=yes" : "") req=c\(id) "
      return said(
        "\(line){\"say\":", call, agent, ",\"set\":{\"by\":\"\(agent)\",\"turn\":\(id)}}\n")
    case .set:
      let members = "{\"by\":\"\(agent)\",\"turn\":\(id),\"open\":true}"
      return Array("SET \(address)\(token) \(members)\n".utf8)
    case .history: return Array("HISTORY \(address)\(chat) last=\(call.last)\n".utf8)
    case .handoff:
      let to = Agents.name(call.receiver)
      return Array(
        "HANDOFF \(device) \(agent) \(to)\(token) ttl=\(call.ttlMs)ms req=c\(id) {\"turn\":\(id)}\n"
          .utf8)
    case .close: return Array("CLOSE \(address) completed\(token) req=c\(id)\n".utf8)
    case .unlock: return Array("UNLOCK \(device) \(agent)\(token) req=c\(id)\n".utf8)
    case .recover:
      let hint = session.map { " hint=\($0)" } ?? ""
      return Array("RECOVER \(device)\(hint) \(clocks) req=c\(id)\n".utf8)
    case .pause: return Array("PAUSE \(address) req=c\(id)\n".utf8)
    case .resume: return Array("RESUME \(address) req=c\(id)\n".utf8)
    case .chat: return Array("CHAT \(address) name=c\(id) req=c\(id)\n".utf8)
    // Each conversation has a link of its own.
    case .link: return Array("LINK \(address) load \(device) req=c\(id)\n".utf8)
    case .list: return Array("LIST load=\(device)\n".utf8)
    case .connect, .auth, .message: preconditionFailure("\(call.verb.name) is no request")
    }
  }

  /// A request around a message.
  private func said(_ head: String, _ call: LoadCall, _ agent: String, _ end: String) -> [UInt8] {
    var bytes = Array("\(head){\"n\":\(call.message),\"by\":\"\(agent)\",\"text\":\"".utf8)
    bytes += filler
    bytes += Array("\"}\(end)".utf8)
    return bytes
  }

  // MARK: - The check's requests

  func events(after: String?) -> [UInt8] {
    Array("EVENTS \(device)\(after.map { " after=\($0)" } ?? "") limit=1000\n".utf8)
  }

  func messages(after seq: Int64) -> [UInt8] {
    Array("HISTORY \(address)\(chat) after=\(seq) limit=1000\n".utf8)
  }

  var delete: [UInt8] { Array("DELETE \(address)\n".utf8) }
}
