// Owns: the ways in which the scripts of sessions and chats answer with each word that they list.

import Scripts

extension ReturnWordTests {
  private static let clocks = "1800000 86400000 604800000 86400000 2592000000 120000"

  private static func open(_ session: String = "S", clocks: String = clocks) -> Step {
    Step(.open, "d", session, "\"t\"", clocks, "no", "", "", "")
  }

  private static func openRequest(_ session: String, token: String = "") -> [String] {
    ["d", session, "\"t\"", clocks, "no", "", token, ""]
  }

  private static let paused = [open(), Step(.move, "d", "S", "PAUSE", "paused", "", "", "")]
  private static let closed = [open(), Step(.move, "d", "S", "CLOSE", "completed", "", "", "")]
  private static let said = [open(), Step(.say, "d", "S", "", "7 {\"a\":1}", "", "")]
  private static let record: Set = [
    "session", "device", "state", "reason", "rev", "name", "thread", "phase", "step", "created_at",
    "active_at", "idle_at", "abandon_at", "life_at", "keep_until", "chat", "chats", "messages",
    "links", "fields",
  ]

  static let sessionWays: [Way] = making + reading + changing + talking

  private static let making = [
    Way(script: .open, request: openRequest("S"), word: "OK", names: record),
    Way(script: .open, request: openRequest("S", token: "1"), word: "STALE", names: ["rev"]),
    Way(
      script: .open, before: (0..<50).map { open("S\($0)") }, request: openRequest("T"),
      word: "ERR"),
    Way(
      script: .recoverLatest, before: paused,
      request: ["d", "S", "T", "\"t\"", clocks, "no", "", "", ""], word: "OK",
      names: record.union(["how"])),
    Way(
      script: .recoverLatest, request: ["d", "", "T", "\"t\"", clocks, "no", "", "", ""],
      word: "OK", names: record.union(["how"])),
    Way(
      script: .recoverLatest, before: paused,
      request: ["d", "", "T", "\"t\"", clocks, "no", "", "1", ""], word: "STALE", names: ["rev"]),
    Way(
      script: .recoverLatest,
      request: ["d", "", "T", "\"t\"", clocks, "no", tooMany, "", ""], word: "ERR"),
  ]

  /// More fields than a session may have.
  private static let tooMany = (0..<129).map { "8 f:\"m\(100 + $0)\"1 1" }.joined()

  private static let reading = [
    Way(script: .get, before: [open()], request: ["d", ""], word: "OK", names: record),
    Way(script: .get, request: ["d", "S"], word: "NONE"),
    Way(
      script: .chats, before: [open()], request: ["d", "S"], word: "OK",
      names: ["chats", "current"]),
    Way(script: .chats, request: ["d", ""], word: "NONE"),
    Way(
      script: .history, before: said, request: ["d", "S", "", "", "5"], word: "OK",
      names: ["messages", "more"]),
    Way(
      script: .history, before: said, request: ["d", "S", "9", "", "5"], word: "NONE"),
    Way(
      script: .listDevice, before: [open()], request: ["d", "", "5", ""], word: "OK",
      names: ["sessions", "cursor"]),
  ]

  /// The four words that everything which changes a session can answer with.
  private static func changes(
    _ script: Script, before: [Step] = [open()], _ middle: [String] = [], names: Set<String> = []
  ) -> [Way] {
    let request = { (token: String) in ["d", "S"] + middle + [token, ""] }
    return [
      Way(script: script, before: before, request: request(""), word: "OK", names: names),
      Way(script: script, request: request(""), word: "NONE"),
      Way(script: script, before: before, request: request("1"), word: "STALE", names: ["rev"]),
    ]
      + (script == .delete
        ? [] : [Way(script: script, before: closed, request: request(""), word: "ERR")])
  }

  private static let changing =
    changes(.set, ["7 f:\"abc\"1 1", ""], names: ["rev"])
    + changes(.touch, names: ["idle_at", "life_at"])
    + changes(.recover, before: paused, names: record)
    + changes(.delete)
    + changes(.move, ["PAUSE", "paused", ""], names: record)

  private static let talking =
    changes(.chat, ["", ""], names: ["chat", "name"])
    + changes(.switchChat, ["1"], names: ["chat"])
    + changes(.say, ["", "7 {\"a\":1}"], names: ["seq", "chat"])
    + changes(.pop, before: said, [""], names: ["seq", "at", "message"])
    + changes(.forget, before: said, [""], names: ["removed"])
}
