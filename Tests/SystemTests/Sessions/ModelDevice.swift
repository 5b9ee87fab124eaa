// A device with its sessions, its lock and its request ids, and what it must answer to a request.

import Foundation

struct ModelDevice {
  let name: String
  var sessions: [ModelSession] = []
  /// The session that was opened or recovered last; it may be gone.
  var current: String?
  var holder: String?
  var token: Int?
  var oldTokens: [Int] = []
  /// What is kept of the replies to requests with an idempotency key.
  var kept: [String: KeptReply] = [:]
  /// What the log must have of the sessions, oldest first.
  var events: [String] = []

  var live: Int { sessions.count { $0.isLive } }

  func index(_ session: String?) -> Int? {
    let id = session == nil || session == "current" ? current : session
    return sessions.firstIndex { $0.id == id }
  }

  /// What the worker must answer, and what is true after it.
  ///
  /// Of the reply it only takes ids, tokens and times that could not be known; two replies with
  /// codes are told by their first words.
  mutating func answer(_ request: ModelRequest, _ reply: Reply) throws -> String {
    if let req = request.req, let first = kept[req] { return again(first, request, reply) }
    let wanted = try perform(request, reply)
    if let req = request.req, reply.isOK {
      let session = index(request.session).map { sessions[$0].id }
      kept[req] = KeptReply(request, reply, session)
    }
    return wanted
  }

  /// What the same request is answered again, or another one with its idempotency key.
  private mutating func again(
    _ first: KeptReply, _ request: ModelRequest, _ reply: Reply
  ) -> String {
    guard first.request == KeptReply.essence(request) else { return "ERR conflict" }
    switch first.shows {
    case .line(let line): return line
    case .record(let id, let more):
      guard let at = sessions.firstIndex(where: { $0.id == id }) else { return "NONE" }
      learn(at, reply)
      return "OK \(sessions[at].record.dropLast())\(more)}"
    case .chat(let id, let chat):
      guard let at = sessions.firstIndex(where: { $0.id == id }) else { return "NONE" }
      return "OK {\"chat\":\(chat),\"name\":\(sessions[at].chats[chat - 1].name)}"
    }
  }

  private mutating func perform(_ request: ModelRequest, _ reply: Reply) throws -> String {
    switch request.verb {
    case "LOCK", "UNLOCK", "SEIZE": return try answerLock(request, reply)
    case "OPEN": return try open(request, reply)
    case "LIST": return try list(request, reply)
    case "RECOVER" where request.session == nil: return try recoverBest(request, reply)
    case "GET", "CHATS", "HISTORY": return try read(request, reply)
    default: break
    }
    guard let at = index(request.session) else { return "NONE" }
    if let stale = fence(sessions[at], request.token) { return stale }
    switch request.verb {
    case "DELETE":
      events.append("session.deleted \(sessions[at].told)")
      let id = sessions.remove(at: at).id
      if sessions.isEmpty, current == id { current = nil }
      return "OK"
    case "PAUSE", "RESUME", "CLOSE", "ARCHIVE", "RECOVER": return try move(request, at, reply)
    case "LINK", "UNLINK": return link(request, at)
    default: break
    }
    guard sessions[at].isLive else { return illegal(request.verb, sessions[at]) }
    switch request.verb {
    case "SET": return set(request, at)
    case "TOUCH": return try touch(at, reply)
    default: return try changeChats(request, at, reply)
    }
  }

  private func illegal(_ verb: String, _ session: ModelSession) -> String {
    "ERR illegal_state \(verb): the session is \(session.state)"
  }

  /// STALE, unless the request carries the current token, or none where none is asked for.
  private func fence(_ session: ModelSession, _ token: Int?) -> String? {
    guard let token else { return session.isFenced ? "STALE {\"rev\":\(session.rev)}" : nil }
    return token == self.token ? nil : "STALE {\"rev\":\(session.rev)}"
  }

  private mutating func learn(_ at: Int, _ reply: Reply) {
    if let shown = ShownRecord.all(in: reply).first, shown.id == sessions[at].id {
      sessions[at].learn(shown)
    }
  }

  // MARK: Locks

  private mutating func answerLock(_ request: ModelRequest, _ reply: Reply) throws -> String {
    let agent = request.word ?? ""
    switch request.verb {
    case "UNLOCK":
      guard let holder else { return "NONE" }
      guard holder == agent else { return "HELD" }
      free()
      return "OK"
    case "LOCK" where holder != nil && holder != agent: return "HELD"
    case "LOCK" where holder == agent: return "OK"
    default:
      free()
      holder = agent
      token = try reply.int("token")
      return "OK"
    }
  }

  private mutating func free() {
    holder = nil
    if let token { oldTokens.append(token) }
    token = nil
  }

  // MARK: Making and reading

  private mutating func open(_ request: ModelRequest, _ reply: Reply) throws -> String {
    if let token = request.token, token != self.token { return "STALE {\"rev\":0}" }
    guard live < ModelLimits.sessions else { return "ERR quota" }
    let shown = ShownRecord.all(in: reply).first
    let id = shown?.id ?? ""
    var session = ModelSession(id: id, device: name, clocks: ModelClocks(request))
    session.isFenced = request.option("fenced") == "yes"
    session.thread = request.option("thread") ?? "\"\(id)\""
    session.rev = 0
    if let refusal = session.merge(writes(of: request), seen: nil) { return refusal }
    session.rev = 1
    guard let shown, id.utf8.count == 26, !sessions.contains(where: { $0.id == id }) else {
      return "OK and a record with a new id"
    }
    session.learn(shown)
    if let user = request.option("user") { session.links = [ModelLink(kind: "user", ref: user)] }
    events.append("session.opened \(session.told)")
    sessions.append(session)
    current = id
    return "OK \(session.record)"
  }

  /// Members by the names that they have in the model: options as they are, fields with `f:`.
  private func writes(of request: ModelRequest) -> [(String, String)] {
    let texts = request.options.filter { ["name", "phase", "step"].contains($0.name) }
    return texts.map { ($0.name, $0.value) }
      + (request.members ?? []).map { ("f:" + plain($0.name), $0.json) }
  }

  /// A name with its escapes undone: two ways to write it are one member.
  private func plain(_ json: String) -> String { json.replacing("\\u0061", with: "a") }

  private mutating func read(_ request: ModelRequest, _ reply: Reply) throws -> String {
    guard let at = index(request.session) else { return "NONE" }
    switch request.verb {
    case "GET":
      learn(at, reply)
      return "OK \(sessions[at].record)"
    case "CHATS":
      let list = sessions[at].chats.enumerated().map { index, chat in
        "{\"chat\":\(index + 1),\"name\":\(chat.name),\"messages\":\(chat.messages.count)"
          + ",\"last_at\":\(chat.messages.isEmpty ? "null" : "T"),\"config\":\(chat.config)}"
      }
      return "OK {\"chats\":[\(list.joined(separator: ","))],\"current\":\(sessions[at].chat)}"
    default:
      guard let number = sessions[at].number(of: request.chat) else { return "NONE" }
      return history(sessions[at].chats[number - 1], request)
    }
  }

  private func history(_ chat: ModelChat, _ request: ModelRequest) -> String {
    var found = chat.messages
    let limit = Int(request.option("last") ?? request.option("limit") ?? "20") ?? 20
    if let after = request.option("after") {
      found = found.filter { $0.seq > Int(after) ?? 0 }
      let more = found.count > limit
      return messages(Array(found.prefix(limit)), more)
    }
    return messages(Array(found.suffix(limit)), found.count > limit)
  }

  private func messages(_ list: [(seq: Int, json: String)], _ more: Bool) -> String {
    let lines = list.map { "{\"seq\":\($0.seq),\"at\":T,\"message\":\($0.json)}" }
    return "OK {\"messages\":[\(lines.joined(separator: ","))],\"more\":\(more)}"
  }

  /// One page; what comes after the session that the cursor of the page before has named.
  private mutating func list(_ request: ModelRequest, _ reply: Reply) throws -> String {
    let state = request.option("state")
    var found = sessions.indices.filter { state == nil || sessions[$0].state == state }
    found.sort { sessions[$0].id > sessions[$1].id }
    if let after = request.after { found = found.filter { sessions[$0].id < after } }
    let limit = Int(request.option("limit") ?? "50") ?? 50
    let page = found.prefix(limit)
    for (index, shown) in zip(page, ShownRecord.all(in: reply))
    where shown.id == sessions[index].id {
      sessions[index].learn(shown)
    }
    let cursor = reply.cursor.map { "\"\($0)\"" }
    return "OK {\"sessions\":[\(page.map { sessions[$0].record }.joined(separator: ","))]"
      + ",\"cursor\":\(found.count > limit ? cursor ?? "(one)" : "null")}"
  }

  // MARK: Moving

  private mutating func move(
    _ request: ModelRequest, _ at: Int, _ reply: Reply
  ) throws -> String {
    let state = sessions[at].state
    let reason = request.option("reason") ?? "null"
    switch (request.verb, state) {
    case ("PAUSE", "active"): move(at, to: "paused", reason: reason)
    case ("RESUME", "paused"):
      sessions[at].touch()
      move(at, to: "active", reason: "null")
    case ("CLOSE", "active"), ("CLOSE", "paused"):
      move(at, to: request.word ?? "completed", reason: reason)
    case ("CLOSE", request.word ?? "completed"), ("ARCHIVE", "archived"): break
    case ("ARCHIVE", _): move(at, to: "archived", reason: "null")
    case ("RECOVER", "active"), ("RECOVER", "paused"), ("RECOVER", "abandoned"):
      try recover(at, reply)
    default: return illegal(request.verb, sessions[at])
    }
    learn(at, reply)
    return "OK \(sessions[at].record)"
  }

  mutating func move(_ at: Int, to next: String, reason: String, as kind: String? = nil) {
    events.append(sessions[at].move(to: next, reason: reason, as: kind))
  }

  private mutating func recover(_ at: Int, _ reply: Reply) throws {
    let state = sessions[at].state
    sessions[at].touch()
    if state != "active" { move(at, to: "active", reason: "null", as: "recovered") }
    learn(at, reply)
    if state == "abandoned" { sessions[at].born = sessions[at].active }
    current = sessions[at].id
  }

  private mutating func recoverBest(_ request: ModelRequest, _ reply: Reply) throws -> String {
    let newest = sessions.indices.sorted { sessions[$0].id > sessions[$1].id }
    let hinted = sessions.firstIndex { $0.id == request.option("hint") }
    for at in [hinted].compactMap({ $0 }) + newest where !sessions[at].isEnded {
      if let stale = fence(sessions[at], request.token) { return stale }
      try recover(at, reply)
      return told(sessions[at], at == hinted ? "hint" : "latest")
    }
    let answer = try open(request, reply)
    guard answer.hasPrefix("OK {"), let session = sessions.last else { return answer }
    return told(session, "new")
  }

  private func told(_ session: ModelSession, _ how: String) -> String {
    "OK \(session.record.dropLast()),\"how\":\"\(how)\"}"
  }

  // MARK: Changing

  private mutating func link(_ request: ModelRequest, _ at: Int) -> String {
    let words = (request.word ?? "").split(separator: " ").map(String.init)
    let link = ModelLink(kind: words[0], ref: words[1])
    if request.verb == "UNLINK" {
      sessions[at].unlink(link)
    } else if !sessions[at].links.contains(link) {
      guard sessions[at].links.count < ModelLimits.links else { return "ERR quota" }
      sessions[at].link(link)
    }
    return "OK"
  }

  private mutating func set(_ request: ModelRequest, _ at: Int) -> String {
    let seen = request.option("rev").flatMap { Int($0) }
    let hasRoom = sessions[at].links.count { $0.kind != "user" } < ModelLimits.links
    guard request.option("user") == nil || hasRoom else { return "ERR quota" }
    if let refusal = sessions[at].merge(writes(of: request), seen: seen) { return refusal }
    if let user = request.option("user") {
      let others = sessions[at].links.filter { $0.kind == "user" && $0.ref != user }
      for other in others { sessions[at].unlink(other) }
      sessions[at].link(ModelLink(kind: "user", ref: user))
    }
    sessions[at].touch()
    return "OK {\"rev\":\(sessions[at].rev)}"
  }

  private mutating func touch(_ at: Int, _ reply: Reply) throws -> String {
    sessions[at].touch()
    func time(_ at: Int?) -> String { at.map { "\($0)" } ?? "null" }
    let session = sessions[at]
    let life = session.clocks.life > 0 ? session.born.map { $0 + session.clocks.life } : nil
    guard session.state == "active", session.clocks.idle > 0 else {
      return "OK {\"idle_at\":null,\"life_at\":\(time(life))}"
    }
    let idleAt = reply.isOK ? try reply.int("idle_at") : 0
    guard idleAt - session.clocks.idle >= session.activeSince else { return "OK with a later time" }
    sessions[at].active = idleAt - session.clocks.idle
    return "OK {\"idle_at\":\(idleAt),\"life_at\":\(time(life))}"
  }

  private mutating func changeChats(
    _ request: ModelRequest, _ at: Int, _ reply: Reply
  ) throws -> String {
    if request.verb == "CHAT" {
      guard sessions[at].chats.count < ModelLimits.chats else { return "ERR quota" }
      let name = request.option("name") ?? "null"
      sessions[at].chats.append(ModelChat(name: name, config: request.texts.first ?? "null"))
      sessions[at].chat = sessions[at].chats.count
      sessions[at].rev += 1
      sessions[at].touch()
      return "OK {\"chat\":\(sessions[at].chat),\"name\":\(name)}"
    }
    guard let number = sessions[at].number(of: request.chat) else { return "NONE" }
    switch request.verb {
    case "SWITCH":
      if sessions[at].chat != number { sessions[at].rev += 1 }
      sessions[at].chat = number
      sessions[at].touch()
      return "OK {\"chat\":\(number)}"
    case "SAY":
      let seq = sessions[at].say(request.texts, in: number)
      sessions[at].touch()
      return "OK {\"seq\":\(seq),\"chat\":\(number)}"
    case "POP":
      guard let last = sessions[at].chats[number - 1].messages.popLast() else { return "NONE" }
      return "OK {\"seq\":\(last.seq),\"at\":T,\"message\":\(last.json)}"
    default:
      let removed = sessions[at].chats[number - 1].messages.count
      sessions[at].chats[number - 1].messages = []
      return "OK {\"removed\":\(removed)}"
    }
  }
}

/// What is kept of a reply under an idempotency key.
struct KeptReply {
  enum Shown {
    /// The reply as it was.
    case line(String)
    /// A session as it is now, with the members that this reply had besides.
    case record(session: String, more: String)
    /// A chat as it is now.
    case chat(session: String, chat: Int)
  }

  let request: [String]
  let shows: Shown

  /// `session` is the one that a request with an address has changed.
  init(_ request: ModelRequest, _ reply: Reply, _ session: String?) {
    self.request = KeptReply.essence(request)
    let how = reply.raw.range(of: ",\"how\":", options: .backwards)
    if let shown = ShownRecord.all(in: reply).first {
      shows = .record(
        session: shown.id, more: how.map { String(reply.raw[$0.lowerBound...].dropLast()) } ?? "")
    } else if request.verb == "CHAT", let session, let chat = try? reply.int("chat") {
      shows = .chat(session: session, chat: chat)
    } else {
      shows = .line(reply.raw)
    }
  }

  /// What makes two requests the same: not the order of their options.
  static func essence(_ request: ModelRequest) -> [String] {
    var plain = request
    plain.options = []
    return [plain.line("")] + request.options.map { "\($0.name)=\($0.value)" }.sorted()
  }
}

extension Reply {
  /// The cursor of a page, without reading what callers have stored.
  var cursor: String? {
    guard let found = raw.range(of: ",\"cursor\":\"", options: .backwards) else { return nil }
    return String(raw[found.upperBound...].prefix { $0 != "\"" })
  }
}

extension ModelSession {
  fileprivate mutating func link(_ link: ModelLink) {
    guard !links.contains(link) else { return }
    links.append(link)
    rev += 1
  }

  fileprivate mutating func unlink(_ link: ModelLink) {
    guard links.contains(link) else { return }
    links.removeAll { $0 == link }
    rev += 1
  }

  /// Appends messages to a chat; gives the last one's number.
  fileprivate mutating func say(_ texts: [String], in number: Int) -> Int {
    for json in texts {
      chats[number - 1].seq += 1
      chats[number - 1].messages.append((chats[number - 1].seq, json))
    }
    let messages = chats[number - 1].messages
    chats[number - 1].messages = messages.suffix(ModelLimits.messages)
    return chats[number - 1].seq
  }
}
