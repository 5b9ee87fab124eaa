// A device with its sessions, its lock and its idempotency keys, and the right reply to a request.

import Foundation

struct ModelDevice {
  let name: String
  var sessions: [ModelSession] = []
  /// The live session that was opened or recovered last; after its end the live one that was
  /// active last; while none lives, the one that ended last.
  private(set) var current: String?
  /// The sessions any of which may be the current one: their last activity may have the same ms.
  private(set) var candidates: [String] = []
  /// A session of another device.
  let elsewhere: String
  /// The number of requests.
  private(set) var steps = 0
  var holder: String?
  var token: Int?
  var oldTokens: [Int] = []
  /// The kept replies to requests with an idempotency key.
  var kept: [String: KeptReply] = [:]
  /// The events of the sessions that the log must have, oldest first.
  var events: [String] = []

  var live: Int { sessions.count { $0.isLive } }

  func index(_ session: String?) -> Int? {
    let id = session == nil || session == "current" ? current : session
    return sessions.firstIndex { $0.id == id }
  }

  /// Applies a request; gives the reply that the worker must send.
  ///
  /// Of the real reply it takes only ids, tokens and times that could not be known; replies with
  /// error codes are compared by their first words.
  mutating func answer(_ request: ModelRequest, _ reply: Reply) throws -> String {
    if let req = request.req, let first = kept[req] { return again(first, request, reply) }
    steps += 1
    let wanted = try perform(request, reply)
    if let req = request.req, reply.isOK {
      let session = index(request.session).map { sessions[$0].id }
      kept[req] = KeptReply(request, reply, session)
    }
    settleCurrent()
    return wanted
  }

  /// The reply to the same request, or to another one with its idempotency key.
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
      guard let place = sessions[at].place(of: "\(chat)") else { return "NONE" }
      return "OK {\"chat\":\(chat),\"name\":\(sessions[at].chats[place].name)}"
    }
  }

  private mutating func perform(_ request: ModelRequest, _ reply: Reply) throws -> String {
    switch request.verb {
    case "LOCK", "UNLOCK", "SEIZE": return try answerLock(request, reply)
    case "OPEN": return try open(request, reply)
    case "LIST": return try list(request, reply)
    case "RECOVER" where request.session == nil: return try recoverBest(request, reply)
    case "GET", "CHATS", "HISTORY", "REPORT", "TAKE", "KEYS": return try read(request, reply)
    default: break
    }
    guard let at = index(request.session) else { return "NONE" }
    if let stale = fence(sessions[at], request.token) { return stale }
    switch request.verb {
    case "DELETE" where request.chat == nil:
      let gone = sessions.remove(at: at)
      events.append(
        "session.deleted \"session\":\"\(gone.id)\",\"state\":\"\(gone.state)\""
          + ",\"reason\":null,\"links\":{}")
      return "OK"
    case "PAUSE", "RESUME", "CLOSE", "ARCHIVE", "RECOVER": return try move(request, at, reply)
    case "LINK", "UNLINK": return link(request, at)
    default: break
    }
    guard sessions[at].isLive else { return illegal(request.verb, sessions[at]) }
    switch request.verb {
    case "SET" where request.chat == nil: return set(request, at)
    case "TOUCH": return try touch(at, reply)
    default: return try changeChats(request, at, reply)
    }
  }

  /// How many steps a device may have in one ms.
  private static let stepsInOneMs = 2

  /// Sets the current session after one has ended or was removed.
  private mutating func settleCurrent() {
    for at in sessions.indices where sessions[at].isLive { sessions[at].endedStep = 0 }
    for at in sessions.indices where !sessions[at].isLive && sessions[at].endedStep == 0 {
      sessions[at].endedStep = steps
    }
    candidates = []
    let live = sessions.filter(\.isLive)
    if let at = index(current), sessions[at].isLive || live.isEmpty && !sessions[at].isLive {
      // The one that ended last, if it was not the current one, ended while that one lived.
      return
    }
    let steps = { (session: ModelSession) in session.isLive ? session.activeStep : session.endedStep
    }
    let among = live.isEmpty ? sessions : live
    let best = among.map(steps).max() ?? 0
    candidates = among.filter { steps($0) + Self.stepsInOneMs >= best }.map(\.id)
    current = among.first { steps($0) == best }?.id
  }

  /// Takes the worker's choice of the current one among several; false if it is none of them.
  mutating func learnCurrent(_ id: String) -> Bool {
    guard candidates.contains(id) else { return false }
    (current, candidates) = (id, [])
    return true
  }

  /// The transitions of short clocks have been applied.
  mutating func clocksHaveRun() {
    steps += 1
    settleCurrent()
  }

  private func illegal(_ verb: String, _ session: ModelSession) -> String {
    "ERR illegal_state \(verb): the session is \(session.state)"
  }

  /// STALE, unless the request carries the current token, or none where none is required.
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
    if let thread = request.option("thread"), sessions.contains(where: { $0.givenThread == thread })
    {
      return "ERR conflict"
    }
    let shown = ShownRecord.all(in: reply).first
    let id = shown?.id ?? ""
    var session = ModelSession(id: id, device: name, clocks: ModelClocks(request))
    session.policy = request.option("policy")
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
    events.append("session.opened \(session.eventMembers)")
    sessions.append(session)
    sessions[sessions.count - 1].activeStep = steps
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
    case "GET" where request.chat == nil:
      learn(at, reply)
      return "OK \(sessions[at].record)"
    case "CHATS":
      let list = sessions[at].chats.map(shown)
      let current = sessions[at].chat.map { "\($0)" } ?? "null"
      return "OK {\"chats\":[\(list.joined(separator: ","))],\"current\":\(current)}"
    case "TAKE", "KEYS": return sessions[at].readDocuments(request)
    default: break
    }
    guard let place = sessions[at].place(of: request.chat) else { return "NONE" }
    let chat = sessions[at].chats[place]
    switch request.verb {
    case "GET": return "OK \(shown(chat))"
    case "REPORT":
      return "OK {\"session\":\"\(sessions[at].id)\",\"device\":\"\(name)\",\"chat\":\(chat.number)"
        + ",\"name\":\(chat.name),\"age_ms\":N,\"last_at\":\(chat.messages.isEmpty ? "null" : "T")"
        + ",\"messages\":\(chat.messages.count),\"said\":\(chat.seq)}"
    default: return chat.history(request)
    }
  }

  private func shown(_ chat: ModelChat) -> String {
    "{\"chat\":\(chat.number),\"name\":\(chat.name),\"created_at\":T"
      + ",\"messages\":\(chat.messages.count)"
      + ",\"last_at\":\(chat.messages.isEmpty ? "null" : "T"),\"config\":\(chat.config)}"
  }

  /// All sessions, the one that was active last first: the times that the reply shows say which.
  private mutating func listByActivity(_ state: String?, _ reply: Reply) -> String {
    let shown = ShownRecord.all(in: reply)
    for record in shown {
      if let at = index(record.id) { sessions[at].learn(record) }
    }
    let found = sessions.filter { state == nil || $0.state == state }.sorted {
      ($0.active ?? 0, $0.id) > ($1.active ?? 0, $1.id)
    }
    return "OK {\"sessions\":[\(found.map(\.record).joined(separator: ","))],\"cursor\":null"
      + ",\"total\":\(found.count)}"
  }

  /// One page; what comes after the session that the cursor of the page before has named.
  private mutating func list(_ request: ModelRequest, _ reply: Reply) throws -> String {
    let state = request.option("state")
    if request.option("order") != nil { return listByActivity(state, reply) }
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
      touch(at)
      move(at, to: "active", reason: "null")
    case ("CLOSE", "active"), ("CLOSE", "paused"):
      move(at, to: request.word ?? "completed", reason: reason)
    case ("CLOSE", request.word ?? "completed"), ("ARCHIVE", "archived"):
      guard request.option("reason") == nil || reason == sessions[at].reason else {
        return illegal(request.verb, sessions[at]) + ", for another reason"
      }
    case ("ARCHIVE", _): move(at, to: "archived", reason: "null")
    case ("RECOVER", "active"), ("RECOVER", "paused"):
      try recover(at, reply)
    case ("RECOVER", "abandoned"),
      ("RECOVER", "archived") where request.option("archived") == "yes" || state == "abandoned":
      guard live < ModelLimits.sessions else { return "ERR quota" }
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
    touch(at)
    if state != "active" { move(at, to: "active", reason: "null", as: "recovered") }
    learn(at, reply)
    if ["abandoned", "archived"].contains(state) { sessions[at].born = sessions[at].active }
    current = sessions[at].id
  }

  private mutating func recoverBest(_ request: ModelRequest, _ reply: Reply) throws -> String {
    let newest = sessions.indices.sorted { sessions[$0].id > sessions[$1].id }
    let hint = request.option("hint")
    let hinted = sessions.firstIndex { $0.id == hint }
    var members: [String] = []
    if let hint, let why = whyNot(hinted, hint, request) { members = ["\"hint\":\"\(why)\""] }
    let ignored = request.ignoredOptions
    for at in [hinted].compactMap({ $0 }) + newest where unfit(at, request) == nil {
      if let stale = fence(sessions[at], request.token) { return stale }
      guard sessions[at].isLive || live < ModelLimits.sessions else { return "ERR quota" }
      try recover(at, reply)
      members.insert("\"how\":\"\(at == hinted ? "hint" : "latest")\"", at: 0)
      if !ignored.isEmpty { members.append("\"ignored\":[\(ignored.joined(separator: ","))]") }
      return shown(sessions[at], members)
    }
    let answer = try open(request, reply)
    guard answer.hasPrefix("OK {"), let session = sessions.last else { return answer }
    return shown(session, ["\"how\":\"new\""] + members)
  }

  /// Why a session cannot be recovered for this request, or nil.
  private func unfit(_ at: Int, _ request: ModelRequest) -> String? {
    let session = sessions[at]
    if let user = request.option("user"),
      !session.links.contains(ModelLink(kind: "user", ref: user))
    {
      return "other_user"
    }
    if let thread = request.option("thread"), thread != session.thread { return "elsewhere" }
    return session.isEnded ? "ended" : nil
  }

  private func whyNot(_ hinted: Int?, _ hint: String, _ request: ModelRequest) -> String? {
    guard let hinted else { return hint == elsewhere ? "elsewhere" : "gone" }
    return unfit(hinted, request)
  }

  private func shown(_ session: ModelSession, _ members: [String]) -> String {
    "OK \(session.record.dropLast()),\(members.joined(separator: ","))}"
  }

  /// Notes activity.
  private mutating func touch(_ at: Int) {
    sessions[at].touch()
    sessions[at].activeStep = steps
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
    if let seen, seen > sessions[at].rev { return "STALE {\"rev\":\(sessions[at].rev)}" }
    let hasRoom = sessions[at].links.count { $0.kind != "user" } < ModelLimits.links
    guard request.option("user") == nil || hasRoom else { return "ERR quota" }
    if let refusal = sessions[at].merge(writes(of: request), seen: seen) { return refusal }
    let clocks = ["idle", "abandon", "archive", "life", "keep", "warn"]
    if clocks.contains(where: { request.option($0) != nil }) || request.option("policy") != nil {
      if writes(of: request).isEmpty { sessions[at].rev += 1 }
      sessions[at].clocks = ModelClocks(request, over: sessions[at].clocks)
      sessions[at].policy = request.option("policy") ?? sessions[at].policy
    }
    if let user = request.option("user") {
      let others = sessions[at].links.filter { $0.kind == "user" && $0.ref != user }
      for other in others { sessions[at].unlink(other) }
      sessions[at].link(ModelLink(kind: "user", ref: user))
    }
    touch(at)
    return "OK {\"rev\":\(sessions[at].rev)}"
  }

  private mutating func touch(_ at: Int, _ reply: Reply) throws -> String {
    touch(at)
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
      let name = request.option("name") ?? "null"
      guard name == "null" || !sessions[at].chats.contains(where: { $0.name == name }) else {
        return "ERR conflict"
      }
      guard sessions[at].hasRoomForChat else { return "ERR quota" }
      sessions[at].addChat(name, request.texts.first ?? "null")
      touch(at)
      return "OK {\"chat\":\(sessions[at].lastChat),\"name\":\(name)}"
    }
    if ["SAY", "POP", "FORGET", "AMEND", "PUT", "DROP"].contains(request.verb) {
      let (reply, isActivity) =
        ModelSession.documentWrites.contains(request.verb)
        ? sessions[at].changeDocuments(request) : sessions[at].changeMessages(request)
      if isActivity { touch(at) }
      return reply
    }
    guard let place = sessions[at].place(of: request.chat) else { return "NONE" }
    let number = sessions[at].chats[place].number
    switch request.verb {
    case "SWITCH":
      if sessions[at].chat != number { sessions[at].rev += 1 }
      sessions[at].chat = number
      touch(at)
      return "OK {\"chat\":\(number)}"
    case "SET": return setChat(request, at, place)
    default:
      sessions[at].chats.remove(at: place)
      sessions[at].chat = sessions[at].chats.last?.number
      sessions[at].rev += 1
      return "OK"
    }
  }

  /// A chat's name, and its configuration as a driver writes it: `{"k":N}` or null.
  private mutating func setChat(_ request: ModelRequest, _ at: Int, _ place: Int) -> String {
    let number = sessions[at].chats[place].number
    if let name = request.option("name") {
      let others = sessions[at].chats.filter { $0.number != number }
      guard !others.contains(where: { $0.name == name }) else { return "ERR conflict" }
      sessions[at].chats[place].name = name
    }
    if let (key, json) = request.members?.first {
      sessions[at].chats[place].merge(key, json)
    }
    if request.option("name") != nil || request.members != nil { sessions[at].rev += 1 }
    touch(at)
    return "OK {\"chat\":\(number),\"name\":\(sessions[at].chats[place].name)}"
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
}
