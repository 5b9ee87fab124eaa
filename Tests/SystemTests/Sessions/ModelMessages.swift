// The model's messages: how they are appended, removed and replaced.

import Foundation

extension ModelSession {
  /// Applies SAY, POP, FORGET or AMEND; gives the reply, and whether it was activity.
  mutating func changeMessages(_ request: ModelRequest) -> (reply: String, isActivity: Bool) {
    if request.verb == "SAY" { return say(request) }
    guard let place = place(of: request.chat) else { return ("NONE", false) }
    let number = request.option("seq").flatMap { Int($0) }
    switch request.verb {
    case "POP": return (chats[place].pop(request), false)
    case "AMEND":
      guard let at = chats[place].messages.firstIndex(where: { $0.seq == number }) else {
        return ("NONE", false)
      }
      chats[place].messages[at].json = request.texts[0]
      return ("OK", true)
    default: return (chats[place].forget(request), false)
    }
  }

  private mutating func say(_ request: ModelRequest) -> (String, Bool) {
    let found = place(of: request.chat)
    guard found != nil || request.chat == nil || request.chat == "current" else {
      return ("NONE", false)
    }
    let newest = found.flatMap { chats[$0].messages.last?.seq } ?? 0
    let after = request.option("after").flatMap { Int($0) }
    let isUnseen = ["seq", "last"].contains { name in
      request.option(name).map { Int($0) != newest } ?? false
    }
    if isUnseen || after ?? 0 > found.map({ chats[$0].seq }) ?? 0 {
      return ("STALE {\"seq\":\(newest)}", false)
    }
    if found == nil {
      guard !request.texts.isEmpty else { return ("OK {\"seq\":0,\"chat\":null}", false) }
      guard hasRoomForChat else { return ("ERR quota", false) }
      addChat("null", "null")
    }
    return chats[found ?? chats.count - 1].say(request, after, ModelPolicy.named(policy))
  }

  /// Whether it may have another chat.
  var hasRoomForChat: Bool {
    chats.count < (ModelPolicy.named(policy)?.chats ?? ModelLimits.chats)
  }
}

extension ModelChat {
  /// The JSON text of a message's member, if that is a string or a number.
  private static func id(_ json: String, _ member: String) -> String? {
    guard let at = json.range(of: "\"\(member)\":", options: .backwards) else { return nil }
    let rest = json[at.upperBound...]
    return rest.firstMatch(of: /^("[^"]*"|[0-9.]+)/).map { String($0.1) }
  }

  fileprivate mutating func say(
    _ request: ModelRequest, _ after: Int?, _ policy: ModelPolicy?
  ) -> (String, Bool) {
    let most = policy?.messages ?? ModelLimits.messages
    let kept = messages.filter { $0.seq <= after ?? .max }
    var (texts, rest) = (request.texts, "")
    if let member = request.option("id"), !texts.isEmpty {
      guard idMember == nil || idMember == member else { return ("ERR bad_request", false) }
      idMember = member
      var ids = Set(kept.compactMap { Self.id($0.json, member) })
      texts = texts.filter { json in Self.id(json, member).map { ids.insert($0).inserted } ?? true }
      let known = request.texts.count - texts.count
      if known > 0 { rest = ",\"known\":\(known)" }
    }
    if policy?.refuses == true, !texts.isEmpty, kept.count + texts.count > most {
      return ("ERR quota", false)
    }
    let removed = messages.count - kept.count
    messages = kept
    for json in texts {
      seq += 1
      messages.append((seq, json))
    }
    let surplus = texts.isEmpty ? 0 : messages.count - most
    if surplus > 0 {
      dropped = messages[surplus - 1].seq
      messages.removeFirst(surplus)
      rest += ",\"trimmed\":\(surplus)"
    }
    let shown = texts.isEmpty ? messages.last?.seq ?? 0 : seq
    return ("OK {\"seq\":\(shown),\"chat\":\(number)\(rest)}", !texts.isEmpty || removed > 0)
  }

  private static func shown(_ message: (seq: Int, json: String)) -> String {
    "{\"seq\":\(message.seq),\"at\":T,\"message\":\(message.json)}"
  }

  fileprivate mutating func pop(_ request: ModelRequest) -> String {
    guard let newest = messages.last else { return "NONE" }
    if let last = request.option("last"), Int(last) != newest.seq {
      return "STALE {\"seq\":\(newest.seq)}"
    }
    let count = request.option("count").flatMap { Int($0) }
    let popped = messages.suffix(count ?? 1).map(Self.shown)
    messages.removeLast(popped.count)
    return count == nil ? "OK \(popped[0])" : "OK {\"messages\":[\(popped.joined(separator: ","))]}"
  }

  fileprivate mutating func forget(_ request: ModelRequest) -> String {
    let before = messages
    if let after = request.option("after").flatMap({ Int($0) }) {
      guard after <= seq else { return "STALE {\"seq\":\(messages.last?.seq ?? 0)}" }
      messages.removeAll { $0.seq > after }
    } else if let one = request.option("seq") {
      messages.removeAll { $0.seq == Int(one) }
    } else {
      messages = []
    }
    return "OK {\"removed\":\(before.count - messages.count)}"
  }

  /// The reply to HISTORY.
  func history(_ request: ModelRequest) -> String {
    func number(_ name: String) -> Int? { request.option(name).flatMap { Int($0) } }
    let (after, before) = (number("after"), number("before"))
    guard max(after ?? 0, before ?? 0) <= seq else { return "STALE {\"seq\":\(seq)}" }
    let role = request.option("role").map { "\"role\":\"\($0)\"" }
    let found = messages.filter { message in
      message.seq > after ?? 0 && message.seq < before ?? .max
        && role.map { message.json.contains($0) } ?? true
    }
    let limit = number("last") ?? number("limit") ?? (before == nil ? 20 : 100)
    let shown = after == nil ? Array(found.suffix(limit)) : Array(found.prefix(limit))
    return history(shown, found.count > limit, isLost: after.map { $0 < dropped } ?? false)
  }
}
