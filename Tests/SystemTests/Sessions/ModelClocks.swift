// The clocks of a session by section 6 of the contract, as a list of transitions and moments.

import Foundation

/// How long each clock of a session runs, in ms; 0 is off.
struct ModelClocks {
  var idle = 1_800_000
  var abandon = 86_400_000
  var archive = 604_800_000
  var life = 0
  var keep = 2_592_000_000
  var warn = 120_000
}

/// A named policy that the workers under test are started with.
struct ModelPolicy {
  let name: String
  let chats: Int
  let messages: Int
  let refuses: Bool
  let idle: Int?

  static let all = [
    ModelPolicy(name: "small", chats: 2, messages: 3, refuses: true, idle: 144_000_000),
    ModelPolicy(
      name: "bare", chats: ModelLimits.chats, messages: ModelLimits.messages, refuses: false,
      idle: nil),
  ]
  static let flags =
    ["--policy", "small:max-chats=2,max-messages=3,full=refuse,idle=40h"]
    + ["--policy", "bare:"]

  static func named(_ name: String?) -> ModelPolicy? { all.first { $0.name == name } }
}

extension ModelClocks {
  /// The defaults, or those of a policy, except for those that the request sets.
  init(_ request: ModelRequest) {
    self.init(request, over: ModelClocks())
  }

  /// Those of the policy that the request names, over the defaults, or else `before`, except for
  /// those that it sets.
  init(_ request: ModelRequest, over before: ModelClocks) {
    self = before
    if let policy = ModelPolicy.named(request.option("policy")) {
      self = ModelClocks()
      idle = policy.idle ?? idle
    }
    func ms(_ name: String, _ standard: Int) -> Int {
      switch request.option(name) {
      case "0": 0
      case "10ms": 10
      case "50h": 180_000_000
      default: standard
      }
    }
    idle = ms("idle", idle)
    abandon = ms("abandon", abandon)
    archive = ms("archive", archive)
    life = ms("life", life)
    keep = ms("keep", keep)
    warn = ms("warn", warn)
  }

  /// As a record shows them.
  var json: String {
    "{\"idle_ms\":\(idle),\"abandon_ms\":\(abandon),\"archive_ms\":\(archive)"
      + ",\"life_ms\":\(life),\"keep_ms\":\(keep),\"warn_ms\":\(warn)}"
  }

  /// The next state of a session in this state, if one of its clocks is short.
  func soon(after state: String) -> String? {
    guard state == "active" || state == "paused" else { return nil }
    if abandon == 10 { return "abandoned" }
    if life == 10 { return "expired" }
    return idle == 10 && state == "active" ? "paused" : nil
  }
}

/// The states of a session with these clocks under these acts.
struct ModelCourse {
  /// A request, and the moment that its reply reported.
  struct Act {
    let verb: String
    let atMs: Int
  }

  private let clocks: ModelClocks
  private(set) var state = "active"
  private(set) var events: [(type: String, atMs: Int)] = []
  private var activeAtMs: Int
  private var bornAtMs: Int
  private var abandonedAtMs = 0
  /// The deadlines that were warned of.
  private var warned: Set<String> = []

  init(_ clocks: ModelClocks, openedAtMs: Int) {
    self.clocks = clocks
    activeAtMs = openedAtMs
    bornAtMs = openedAtMs
    events = [("session.opened", openedAtMs)]
  }

  private var isLive: Bool { state == "active" || state == "paused" }

  /// The next thing that a clock does: a state or a warning, at most at that moment.
  private func next(by limitMs: Int) -> (type: String, atMs: Int)? {
    var ends: [(type: String, atMs: Int)] = []
    if state == "abandoned", clocks.archive > 0 {
      ends.append(("session.archived", abandonedAtMs + clocks.archive))
    }
    // In the order in which they win a tie.
    let abandonsAtMs = activeAtMs + clocks.abandon
    if isLive, clocks.abandon > 0 { ends.append(("session.abandoned", abandonsAtMs)) }
    if isLive, clocks.life > 0 { ends.append(("session.expired", bornAtMs + clocks.life)) }
    let pausesAtMs = activeAtMs + clocks.idle
    if state == "active", clocks.idle > 0 { ends.append(("session.paused", pausesAtMs)) }
    let first = ends.min { $0.atMs < $1.atMs }
    var all = first.map { [$0] } ?? []
    if clocks.warn > 0 {
      if state == "active", clocks.idle > clocks.warn, !warned.contains("idle \(pausesAtMs)") {
        all.append(("idle \(pausesAtMs)", pausesAtMs - clocks.warn))
      }
      let expiresAtMs = bornAtMs + clocks.life
      if isLive, clocks.life > clocks.warn, !warned.contains("life \(expiresAtMs)") {
        all.append(("life \(expiresAtMs)", expiresAtMs - clocks.warn))
      }
    }
    return all.min { $0.atMs < $1.atMs }.flatMap { $0.atMs <= limitMs ? $0 : nil }
  }

  /// Lets the clocks run up to a moment, that moment included.
  mutating func run(untilMs limitMs: Int) {
    while let next = next(by: limitMs) {
      guard next.type.hasPrefix("session.") else {
        warned.insert(next.type)
        events.append(("session.expiring", next.atMs))
        continue
      }
      events.append(next)
      state = String(next.type.dropFirst("session.".count))
      if state == "abandoned" { abandonedAtMs = next.atMs }
    }
  }

  /// Applies a request; false if the state of that moment does not allow it.
  mutating func act(_ act: Act) -> Bool {
    run(untilMs: act.atMs)
    switch (act.verb, state) {
    case ("TOUCH", "active"), ("TOUCH", "paused"), ("RECOVER", "active"): break
    case ("RESUME", "paused"): events.append(("session.resumed", act.atMs))
    case ("RECOVER", "paused"): events.append(("session.recovered", act.atMs))
    case ("RECOVER", "abandoned"):
      events.append(("session.recovered", act.atMs))
      bornAtMs = act.atMs
    default: return false
    }
    activeAtMs = act.atMs
    if act.verb != "TOUCH" { state = "active" }
    return true
  }
}
