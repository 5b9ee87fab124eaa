// Owns: the ways in which the scripts of sessions and chats answer with each word that they list.

import Scripts

extension ReturnWordTests {
  private static let clocks = "1800000 86400000 604800000 86400000 2592000000 120000"

  private static func open(_ session: String = "S", clocks: String = clocks) -> Step {
    Step(.open, Opening(session: session, clocks: clocks).open)
  }

  private static func openRequest(
    _ session: String, links: String = "", token: String = ""
  ) -> [String] {
    Opening(session: session, links: links, clocks: clocks, token: token).open
  }

  private static func recoverRequest(
    _ hint: String, members: String = "", links: String = "", token: String = ""
  ) -> [String] {
    let opening = Opening(
      session: "T", thread: "\"T\"", links: links, clocks: clocks, members: members, token: token)
    return opening.recover(hint: hint)
  }

  private static let openedAndDeleted = [
    Step(.open, Opening(clocks: clocks, req: "r").open),
    Step(.delete, "d", "S", "", ""),
  ]
  private static let paused = [open(), Step(.changeState, "d", "S", "PAUSE", "paused", "", "", "")]
  private static let closed = [
    open(), Step(.changeState, "d", "S", "CLOSE", "completed", "", "", ""),
  ]
  private static let said = [
    open(), Step(.say, "d", "S", "", "0 7 {\"a\":1}", "", "", "", "", "", "", "", ""),
  ]
  private static let record: Set = [
    "session", "device", "state", "reason", "rev", "name", "thread", "phase", "step", "policy",
    "fenced", "created_at", "updated_at", "active_at", "idle_at", "abandon_at", "life_at",
    "keep_until", "clocks", "chat", "chats", "messages", "links", "fields",
  ]

  static let sessionWays: [Way] =
    making + inParts + reading + changing + talking + keeping + linking
    + sharing

  private static let making = [
    Way(script: .open, request: openRequest("S"), word: "OK", names: record),
    Way(script: .open, request: openRequest("S", token: "1"), word: "STALE", names: ["rev"]),
    // A retry, whose session is gone.
    Way(
      script: .open, before: openedAndDeleted,
      request: openRequest("S").dropLast() + ["r"], word: "NONE"),
    Way(
      script: .recoverLatest,
      before: [
        Step(.recoverLatest, Opening(session: "T", clocks: clocks, req: "r").recover()),
        Step(.delete, "d", "T", "", ""),
      ], request: recoverRequest("").dropLast() + ["r"], word: "NONE"),
    Way(
      script: .open, before: (0..<50).map { open("S\($0)") }, request: openRequest("T"),
      word: "ERR"),
    Way(
      script: .recoverLatest, before: paused,
      request: recoverRequest("S"), word: "OK", names: record.union(["how"])),
    Way(
      script: .recoverLatest, request: recoverRequest(""), word: "OK",
      names: record.union(["how"])),
    Way(script: .recoverLatest, request: recoverRequest("", links: "user u\n"), word: "MORE"),
    Way(script: .open, request: openRequest("S", links: "user u\nthread t\n"), word: "MORE"),
    Way(
      script: .recoverLatest, before: paused,
      request: recoverRequest("", token: "1"), word: "STALE", names: ["rev"]),
    Way(script: .recoverLatest, request: recoverRequest("", members: tooMany), word: "ERR"),
    Way(
      script: .recoverLatest,
      request: Opening(session: "T", thread: "\"T\"", clocks: clocks).recover(ofUser: "found"),
      word: "ENDED"),
  ]

  /// More fields than a session may have.
  private static let tooMany = (0..<129).map { "8 f:\"m\(100 + $0)\"1 1" }.joined()

  /// Members of so many fields of 250,000 bytes.
  private static func fields(_ count: Int) -> String {
    let value = "\"\(String(repeating: "x", count: 249_998))\""
    return (0..<count).map { "8 f:\"m\(100 + $0)\"250000 \(value)" }.joined()
  }

  /// Members of a session that is read in parts, and of one of which six are a page.
  private static let (large, page) = (fields(8), fields(3))

  private static let opened = [
    Step(.import, ["d", "S", "", imported([])[3], "", "", "", "", "", "", ""])
  ]
  private static let grown = [open(), Step(.set, "d", "S", large, "", "", "", "", "", "", "")]

  /// Sessions that are too large for one reply.
  private static let inParts = [
    Way(script: .get, before: grown, request: ["d", "", ""], word: "LARGE"),
    Way(script: .look, before: grown, request: ["d", "S", "", "", "", "", ""], word: "LARGE"),
    Way(script: .export, before: grown, request: ["d", "S", "99999999"], word: "MORE"),
    Way(
      script: .changeState, before: grown, request: ["d", "S", "PAUSE", "paused", "", "", "r"],
      word: "LARGE"),
    Way(script: .recover, before: grown, request: ["d", "S", "", "", "", "", ""], word: "LARGE"),
    Way(script: .recoverLatest, before: grown, request: recoverRequest("S"), word: "LARGE"),
    // A retry, whose session has grown meanwhile.
    Way(
      script: .open,
      before: [openedAndDeleted[0], Step(.set, "d", "S", large, "", "", "", "", "", "", "")],
      request: openRequest("S").dropLast() + ["r"], word: "LARGE"),
    Way(script: .listDevice, before: grown, request: ["d", "", "", "5", "", ""], word: "LARGE"),
    Way(script: .entry, before: grown, request: ["d", "S", "", "", "", ""], word: "LARGE"),
    Way(
      script: .import,
      request: imported(["f:\"a\"", "1 \"\(String(repeating: "x", count: 1 << 20))\""]),
      word: "LARGE"),
    Way(
      script: .recordPage, before: opened, request: ["d", "S", "", "record", "", ""], word: "OK",
      names: record),
    Way(
      script: .recordPage, before: opened, request: ["d", "S", "x", "fields", "", ""],
      word: "MORE"),
    Way(script: .recordPage, request: ["d", "S", "", "fields", "", ""], word: "NONE"),
  ]

  private static let reading = [
    Way(script: .get, before: [open()], request: ["d", "", ""], word: "OK", names: record),
    Way(script: .get, before: [open()], request: ["d", "", "1"], word: "OK", names: ["unchanged"]),
    Way(script: .get, before: [open()], request: ["d", "", "2"], word: "OK", names: record),
    Way(script: .get, request: ["d", "S", "1"], word: "NONE"),
    Way(script: .pushEvent, request: ["d", "", "", "k", "{}"], word: "OK"),
    Way(script: .pushEvent, before: [open()], request: ["d", "S", "1", "k", "{}"], word: "OK"),
    Way(script: .pushEvent, before: [open()], request: ["d", "S", "2", "k", "{}"], word: "NONE"),
    Way(script: .resolve, before: [open()], request: ["d", "", ""], word: "FOUND"),
    Way(script: .resolve, before: [open()], request: ["d", "S", "1"], word: "FOUND"),
    Way(script: .resolve, before: [open()], request: ["d", "S", "2"], word: "NONE"),
    Way(script: .resolve, request: ["d", "current", ""], word: "NONE"),
    Way(
      script: .chats, before: [open()], request: ["d", "S"], word: "OK",
      names: ["chats", "current"]),
    Way(script: .chats, request: ["d", ""], word: "NONE"),
    Way(
      script: .history, before: said, request: ["d", "S", "", "", "", "", "", "5"], word: "OK",
      names: ["messages", "more", "first_seq", "last_seq"]),
    Way(
      script: .history, before: said, request: ["d", "S", "9", "", "", "", "", "5"], word: "NONE"),
    Way(
      script: .history, before: said, request: ["d", "S", "", "2", "", "", "", "5"], word: "STALE",
      names: ["seq"]),
    Way(
      script: .getChat, before: [open()], request: ["d", "S", "1"], word: "OK",
      names: ["chat", "name", "created_at", "messages", "last_at", "config"]),
    Way(script: .getChat, before: [open()], request: ["d", "S", "2"], word: "NONE"),
    Way(
      script: .reportChat, before: [open()], request: ["d", "S", "current"], word: "OK",
      names: [
        "session", "device", "chat", "name", "age_ms", "last_at", "messages", "said",
      ]),
    Way(script: .reportChat, request: ["d", "S", "1"], word: "NONE"),
    Way(
      script: .listDevice, before: [open()], request: ["d", "", "", "5", "", ""], word: "OK",
      names: ["sessions", "cursor"]),
    // The requests of one call look at some 200 sessions together, and each at 50.
    Way(
      script: .listDevice, before: closed + (0..<50).map { open("S\($0)") },
      ahead: Array(repeating: ["d", "", "", "60", "", "0 0 "], count: 4),
      request: ["d", "", "", "60", "", "0 0 "], word: "MORE"),
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
    changes(.set, ["7 f:\"abc\"1 1", "", "", "", "", ""], names: ["rev"])
    + changes(.touch, names: ["idle_at", "life_at"])
    + changes(.recover, before: paused, ["", "", ""], names: record)
    + changes(.delete)
    + changes(.changeState, ["PAUSE", "paused", ""], names: record)

  private static let talking =
    changes(.chat, ["", "", ""], names: ["chat", "name"])
    + changes(.setChat, ["1", "\"n\"", "", ""], names: ["chat", "name"])
    + [
      Way(
        script: .setChat, before: [open()], request: ["d", "S", "1", "", "?", "", "", ""],
        word: "MORE")
    ]
    + changes(.deleteChat, ["1"])
    + changes(.switchChat, ["1"], names: ["chat"])
    + changes(.say, ["", "0 7 {\"a\":1}", "", "", "", "", "", ""], names: ["seq", "chat"])
    + [
      // Of sealed messages the worker makes the index.
      Way(
        script: .say, before: said,
        request: ["d", "S", "", "0 4 \"\u{1E}x\"", "", "id", "", "", "1 k2 sa", "", "", ""],
        word: "MORE")
    ]
    + changes(.pop, before: said, ["", "", ""], names: ["seq", "at", "message"])
    + changes(.forget, before: said, ["", "", ""], names: ["removed"])
    + changes(.amend, before: said, ["", "1", "{}"])

  private static let kept = [open(), Step(.put, "d", "S", "k", "", "", "", "{}", "", "")]

  private static let many = (0...1_000).map { n in
    Step(.put, "d", "S", "k\(n)", "", "", "", "{}", "", "")
  }

  private static let keeping =
    changes(.apply, ["", "", "", "0 2 {}", "", "1 k2 {}", ""], names: ["seq", "rev"])
    + changes(.put, ["k", "", "", "", "{}"], names: ["rev", "created"])
    + changes(.drop, before: kept, ["1 k", "", "", "0"], names: ["removed"])
    + [
      Way(
        script: .drop, before: [open()] + many, request: ["d", "S", "", "-", "+", "0", "", ""],
        word: "MORE"),
      Way(
        script: .take, before: kept, request: ["d", "S", "1 k1 l", "", "", ""], word: "OK",
        names: ["documents"]),
      Way(script: .take, before: kept, request: ["d", "S", "1 k", "0", "x", ""], word: "MORE"),
      Way(script: .take, request: ["d", "S", "1 k", "", "", ""], word: "NONE"),
      Way(
        script: .keys, before: kept, request: ["d", "S", "-", "+", "", "yes", "5"], word: "OK",
        names: ["documents", "cursor"]),
      Way(script: .keys, request: ["d", "S", "-", "+", "", "", "5"], word: "NONE"),
      Way(
        script: .look, before: said, request: ["d", "S", "none", "2", "", "", ""], word: "OK",
        names: record.union(["recent"])),
      Way(script: .look, request: ["d", "S", "none", "", "", "", ""], word: "NONE"),
      Way(script: .look, before: said, request: ["d", "S", "none", "", "", "", "x"], word: "MORE"),
      Way(script: .lookPage, before: said, request: ["d", "S", "2", "0", "x"], word: "MORE"),
      Way(
        script: .lookPage,
        before: [Step(.import, ["d", "S", "", imported([])[3], "", "", "", "", "", "", ""])],
        request: ["d", "S", "2", "0", "1.1.1795233692477...0"], word: "OK",
        names: ["messages"]),
      Way(script: .profile, request: ["user/u", "", ""], word: "OK", names: ["rev", "fields"]),
      Way(script: .profile, request: ["user/u", "x", ""], word: "MORE"),
      Way(
        script: .setProfile, request: ["user/u", "7 f:\"abc\"1 1", "", "60000", ""], word: "OK",
        names: ["rev"]),
      Way(
        script: .setProfile, request: ["user/u", "7 f:\"abc\"1 1", "9", "60000", ""],
        word: "STALE", names: ["rev"]),
      Way(script: .setProfile, request: ["user/u", tooMany, "", "60000", ""], word: "ERR"),
    ]

  private static let linked = [open(), Step(.link, "d", "S", "tag", "red", made, "", "")]
  private static let made = " tag/red "

  private static let linking = [
    Way(script: .link, before: [open()], request: link(made), word: "OK"),
    Way(script: .link, before: linked, request: link(""), word: "OK"),
    Way(script: .link, before: [open()], request: link(""), word: "MORE"),
    Way(script: .link, request: link(made), word: "NONE"),
    Way(
      script: .link, before: [open()], request: link(made, token: "1"), word: "STALE",
      names: ["rev"]),
    Way(
      script: .link,
      before: [open()]
        + (0..<128).map { Step(.link, "d", "S", "tag", "\($0)", " tag/\($0) ", "", "") },
      request: link(made), word: "ERR"),
    Way(script: .unlink, before: linked, request: ["d", "S", "tag", "red", "", ""], word: "OK"),
    Way(script: .unlink, request: ["d", "S", "tag", "red", "", ""], word: "NONE"),
    Way(
      script: .unlink, before: linked, request: ["d", "S", "tag", "red", "1", ""], word: "STALE",
      names: ["rev"]),
    Way(
      script: .set, before: [open()], request: ["d", "S", "", "", "user u\n", "", "", "", "", ""],
      word: "MORE"
    ),
    Way(script: .linkStatus, before: linked, request: ["d", "S", "tag", "red"], word: "live"),
    Way(
      script: .linkStatus,
      before: linked + [Step(.changeState, "d", "S", "CLOSE", "completed", "", "", "")],
      request: ["d", "S", "tag", "red"], word: "kept"),
    Way(script: .linkStatus, before: [open()], request: ["d", "S", "tag", "red"], word: "gone"),
    Way(script: .linkReserve, request: ["user/u", "S/d", "1", "10000"], word: "OK"),
    Way(
      script: .linkReserve, before: [Step(.linkReserve, "user/u", "S/d", "1", "10000")],
      request: ["user/u", "T/d", "1", "10000"], word: "FULL"),
    Way(
      script: .linkReserve, before: [Step(.linkReserve, "thread/t", "S/d", "0", "10000")],
      request: ["thread/t", "T/e", "0", "10000"], word: "FULL"),
    Way(
      script: .linkReserve, before: [Step(.linkReserve, "thread/t", "S/d", "0", "10000")],
      request: ["thread/t", "S/d", "0", "10000"], word: "OK"),
    Way(
      script: .recover,
      before: [
        Step(.open, Opening(links: "user u\n", clocks: clocks, reserved: " user/u ").open),
        Step(.changeState, "d", "S", "ARCHIVE", "archived", "", "", ""),
      ], request: ["d", "S", "yes", "", "", "", ""], word: "MORE"),
    Way(script: .linkSettle, request: ["user/u", "S/d", "live", "5.001"], word: "OK"),
    Way(
      script: .linkSettle, before: [Step(.linkSettle, "user/u", "S/d", "live", "5.001")],
      request: ["user/u", "S/d", "gone", "4.999"], word: "OLD"),
    Way(
      script: .linkSettle, before: [Step(.linkReserve, "user/u", "S/d", "1", "10000")],
      request: ["user/u", "S/d", "gone", "9999999999999.001"], word: "OLD"),
    Way(
      script: .linkSettle, before: [Step(.linkReserve, "user/u", "S/d", "1", "10000")],
      request: ["user/u", "S/d", "freed", "9999999999999.001"], word: "OK"),
    Way(
      script: .evict,
      before: [
        Step(
          .import,
          [
            "d", "S", "", imported(["clocks", "0 0 0 0 2592000000 0"])[3], "", "", "", "", "", "",
            "",
          ])
      ], request: ["d", "S", "1795233692477"], word: "OK"),
    Way(script: .evict, before: [open()], request: ["d", "S", "5"], word: "NONE"),
    Way(script: .linkPage, request: ["user/u", "", "5", ""], word: "OK"),
    Way(script: .keepChoice, request: ["user/u", "S/d", "r f"], word: "OK"),
    Way(script: .keepChoice, request: ["user/u", "", "r f"], word: "NONE"),
    Way(
      script: .keepChoice, before: [Step(.keepChoice, "user/u", "S/d", "r f")],
      request: ["user/u", "S/d", "r g"], word: "ERR"),
    Way(
      script: .claimSession, before: [Step(.claimSession, "user/u", "", "S/d", "", "", "1000")],
      request: ["user/u", "", "T/d", "", "", "1000"], word: "OK"),
    Way(
      script: .claimSession, before: [Step(.claimSession, "user/u", "", "S/d", "", "", "1000")],
      request: ["user/u", "", "", "S/d", "r f", "1000"], word: "NONE"),
    Way(
      script: .recoverable,
      before: [Step(.open, Opening(links: "user u\n", reserved: " user/u ").open)],
      request: ["d", "S", "u", "\"t\""], word: "OK"),
    Way(script: .recoverable, before: [open()], request: ["d", "S", "u", ""], word: "NONE"),
    Way(script: .sessionPage, before: [open()], request: ["", "5"], word: "OK"),
    Way(
      script: .entry, before: linked, request: ["d", "S", "tag", "red", "", ""], word: "OK",
      names: record),
    Way(script: .entry, before: linked, request: ["d", "S", "tag", "blue", "", ""], word: "NONE"),
    Way(
      script: .entry, before: linked, request: ["d", "S", "", "", "paused - - - - created -", ""],
      word: "SKIP"),
    Way(script: .sift, before: linked, request: ["d", "S", "tag", "red", ""], word: "OK"),
    Way(script: .sift, before: linked, request: ["d", "S", "tag", "blue", ""], word: "NONE"),
    Way(
      script: .sift, before: linked, request: ["d", "S", "", "", "- tag blue - - created -"],
      word: "SKIP"),
    Way(script: .activityPage, before: [open()], request: ["+inf", "-inf", "5"], word: "OK"),
    Way(
      script: .entry, before: [open(), Step(.set, "d", "S", page, "", "", "", "", "", "", "")],
      ahead: Array(repeating: ["d", "S", "", "", "", ""], count: 6),
      request: ["d", "S", "", "", "", ""],
      word: "LATER"),
    Way(script: .digest, before: linked, request: ["d", "S", "tag", "red"], word: "OK"),
    Way(script: .stats, before: linked, request: ["0", "-", "5"], word: "OK"),
    Way(script: .digest, before: linked, request: ["d", "S", "tag", "blue"], word: "NONE"),
    Way(
      script: .reportSession, before: said, request: ["d", "S"], word: "OK",
      names: [
        "session", "device", "state", "age_ms", "active_at", "chats", "messages", "said", "answers",
        "answer_ms_mean", "states",
      ]),
    Way(script: .reportSession, request: ["d", "S"], word: "NONE"),
    Way(
      script: .export, before: said, request: ["d", "S", "9999", ""], word: "OK",
      names: [
        "format", "device", "session", "state", "reason", "rev", "clocks", "created_at",
        "updated_at", "ended_at", "active_at", "born_at", "since", "warned", "thread", "policy",
        "fenced", "floor", "chat", "last_chat", "answers",
        "links", "spent", "members", "fields", "chats", "documents",
      ]),
    Way(script: .export, request: ["d", "S", "9999", ""], word: "NONE"),
    Way(script: .export, before: said, request: ["d", "S", "99", ""], word: "ERR"),
    Way(script: .import, request: imported, word: "OK", names: record),
    Way(script: .import, before: [open()], request: imported, word: "ERR"),
    Way(
      script: .importPart, request: ["d", "x", "fields", "5 f:\"a\"3 1 1", "", "60000"], word: "OK",
      names: ["parts"]),
    Way(
      script: .import, before: openedAndDeleted, request: imported.dropLast() + ["r"],
      word: "NONE"),
    Way(
      script: .import, request: imported.dropLast(2) + ["1", ""], word: "STALE", names: ["rev"]),
    Way(script: .import, request: imported(["links", "thread t\n"]), word: "MORE"),
  ]

  private static let shared = [open(), Step(.share, "d", "S", "u", "read", "", "", "")]

  private static let sharing = [
    Way(
      script: .share, before: [open()], request: ["d", "S", "u", "read", "", "", ""], word: "OK"),
    Way(
      script: .share, before: shared, request: ["d", "S", "u", "own", "60000", "", ""],
      word: "OK"),
    Way(script: .share, request: ["d", "S", "u", "read", "", "", ""], word: "NONE"),
    Way(
      script: .share, before: [open()], request: ["d", "S", "u", "read", "", "1", ""],
      word: "STALE", names: ["rev"]),
    Way(
      script: .share,
      before: [open()]
        + (0..<50).map { Step(.share, "d", "S", "u\($0)", "read", "60000", "", "") },
      request: ["d", "S", "u", "read", "", "", ""], word: "ERR"),
    Way(script: .ticket, before: [open()], request: ["d", "S", "0a", "60000"], word: "FOUND"),
    Way(script: .ticket, request: ["d", "S", "0a", "60000"], word: "NONE"),
    Way(script: .unshare, before: shared, request: ["d", "S", "u", "yes", "", ""], word: "OK"),
    Way(script: .unshare, before: shared, request: ["d", "S", "v", "", "", ""], word: "OK"),
    Way(script: .unshare, request: ["d", "S", "u", "", "", ""], word: "NONE"),
    Way(
      script: .unshare, before: shared, request: ["d", "S", "u", "", "1", ""], word: "STALE",
      names: ["rev"]),
    Way(
      script: .get, before: shared, request: ["d", "S<read=u", ""], word: "OK",
      names: record.union(["shares"])),
    Way(script: .get, before: shared, request: ["d", "S=u", ""], word: "NONE"),
    Way(script: .get, before: shared, request: ["d", "S<read=v", ""], word: "NONE"),
  ]

  private static let imported = imported([])

  private static func imported(_ more: [String]) -> [String] {
    let fields = [
      "state", "active", "rev", "1", "clocks", clocks, "created", "1795233692477", "active",
      "1795233692477", "born", "1795233692477", "since", "1795233692477", "thread", "\"t\"", "chat",
      "1", "chats", "1", "fenced", "no",
    ]
    let parts = (fields + more).map { "\($0.utf8.count) \($0)" }.joined()
    return ["d", "S", "", parts, "", "", "", "", "", "", ""]
  }

  private static func link(_ place: String, token: String = "") -> [String] {
    ["d", "S", "tag", "red", place, token, ""]
  }
}
