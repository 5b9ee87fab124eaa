// Makes random requests about the messages of a chat.

import struct TestSupport.Seeded

extension SessionDriver {
  /// The options and the payload of SAY, HISTORY, POP, FORGET and AMEND.
  func fillMessages(_ request: inout ModelRequest, _ random: inout Seeded) {
    switch request.verb {
    case "SAY":
      let count = chance(70, &random) ? 1 : Int.random(in: 2...8, using: &random)
      request.texts = chance(4, &random) ? [] : (0..<count).map { _ in message(&random) }
      if chance(15, &random) { request.options.append(("seq", number(request, &random))) }
      if chance(30, &random) { request.options.append(("id", chance(95, &random) ? "u" : "v")) }
      guard chance(15, &random) else { return }
      request.options.append(("after", number(request, &random)))
      if chance(40, &random) { request.options.append(("last", number(request, &random))) }
    case "HISTORY":
      if chance(25, &random) { request.options.append(("role", "user")) }
      let limit = Int.random(in: 1...5, using: &random)
      switch Int.random(in: 0..<4, using: &random) {
      case 0: request.options.append(("last", "\(limit - 1)"))
      case 1:
        request.options.append(("after", number(request, &random)))
        request.options.append(("limit", "\(limit)"))
      case 2:
        request.options.append(("before", number(request, &random)))
        if chance(70, &random) { request.options.append(("limit", "\(limit)")) }
      default: break
      }
    case "POP":
      if chance(40, &random) {
        request.options.append(("count", "\(Int.random(in: 1...4, using: &random))"))
      }
      if chance(25, &random) { request.options.append(("last", number(request, &random))) }
    case "FORGET":
      let names: [String?] = ["after", "seq", "seq", nil]
      guard let name = names.randomElement(using: &random) ?? nil else { return }
      request.options.append((name, number(request, &random)))
    default:
      request.options.append(("seq", number(request, &random)))
      request.texts = [message(&random)]
    }
  }

  /// A number of the addressed chat: mostly of a message that is there, or of the newest one.
  private func number(_ request: ModelRequest, _ random: inout Seeded) -> String {
    guard let at = model.index(request.session),
      let place = model.sessions[at].place(of: request.chat)
    else { return "\(Int.random(in: 0...2, using: &random))" }
    let chat = model.sessions[at].chats[place]
    let newest = chat.messages.last?.seq ?? 0
    switch Int.random(in: 0..<10, using: &random) {
    case 0: return "\(Int.random(in: 0...(chat.seq + 2), using: &random))"
    case 1..<5: return "\(chat.messages.randomElement(using: &random)?.seq ?? 0)"
    default: return "\(newest)"
    }
  }

  private func message(_ random: inout Seeded) -> String {
    [
      "{}", "{\"n\":\(history.count)}", "{\"role\":\"user\",\"text\":\"hé\"}",
      "{\"role\":\"agent\",\"x\":[1e400, {} ]}", "{\"a\":1,\"a\":2}", "{\"s\":\"\\ud800\\n\"}",
      "{\"u\":\"k\(Int.random(in: 1...6, using: &random))\",\"role\":\"user\"}",
      "{\"x\":[{\"u\":1}],\"u\":\(Int.random(in: 1...3, using: &random))}",
      "{\"role\":\"user\",\"u\":null}",
    ].randomElement(using: &random) ?? "{}"
  }
}
