// Owns: the latest observations of a device, kept short, and how they are printed. A value; any
// thread.

/// The latest observations of one device.
package struct CallHistory: Sendable {
  enum Entry: Sendable {
    case began(Int, LoadCall)
    case ended(Int, LoadOutcome, Int64)
    case reported(LockEvent, Int64, byWatch: Bool)
    case delivered(String, Int64)
    case pushed(PushedChange, Int64)
    case judged(Int64)

    var atNs: Int64 {
      switch self {
      case .began(_, let call): call.invokedNs
      case .ended(_, _, let ns), .reported(_, let ns, _), .delivered(_, let ns), .pushed(_, let ns),
        .judged(let ns):
        ns
      }
    }
  }

  /// How many entries are kept: some ten messages' worth.
  static let entriesMax = 160

  private var entries: [Entry] = []
  /// The position of the oldest entry once the array is full.
  private var start = 0

  mutating func add(_ entry: Entry) {
    var entry = entry
    // A history that was read is shown by its end only: many of them would fill the memory.
    switch entry {
    case .ended(let id, .messages(let messages), let ns):
      entry = .ended(id, .messages(Array(messages.suffix(3))), ns)
    case .ended(let id, .began(var grant), let ns):
      grant.messages = Array(grant.messages.suffix(3))
      entry = .ended(id, .began(grant), ns)
    default: break
    }
    guard entries.count == CallHistory.entriesMax else {
      entries.append(entry)
      return
    }
    entries[start] = entry
    start = (start + 1) % entries.count
  }

  /// One line for each entry, oldest first; times are seconds since `zeroNs`.
  package func lines(zeroNs: Int64) -> [String] {
    let ordered = entries[start...] + entries[..<start]
    var calls: [Int: LoadCall] = [:]
    return ordered.map { entry in
      let time = NumberText.padded(NumberText.decimal(entry.atNs - zeroNs, over: 1e9, 4), 10)
      switch entry {
      case .began(let id, let call):
        calls[id] = call
        return "\(time)  #\(id) → \(CallHistory.text(call))"
      case .ended(let id, let outcome, _):
        let verb = calls[id]?.verb.name ?? "?"
        return "\(time)  #\(id) ← \(verb): \(CallHistory.text(outcome))"
      case .reported(let event, _, let byWatch):
        let head = "\(time)  \(byWatch ? "EVENT" : "log  ") \(event.kind.rawValue) \(event.id) "
        guard !event.kind.isOfSession else {
          return head + "at=\(event.atMs) session=\(event.session)"
            + (event.isIdle ? " reason=idle" : "")
        }
        return head + "at=\(event.atMs) agent=\(Agents.name(event.agent)) token=\(event.token) "
          + "held_ms=\(event.heldMs)"
      case .pushed(.said(let messages, _), _):
        return "\(time)  said  \(CallHistory.text(messages))"
      case .pushed(.unsaid(let seqs), _):
        return "\(time)  unsaid seq \(seqs.lowerBound) to \(seqs.upperBound)"
      case .delivered(let id, _): return "\(time)  group \(id)"
      case .judged: return "\(time)  the verdict: nothing more can come"
      }
    }
  }

  private static func text(_ call: LoadCall) -> String {
    var text = "\(call.verb.name) by \(Agents.name(call.agent))"
    if call.verb == .handoff { text += " to \(Agents.name(call.receiver))" }
    if call.token > 0 { text += " token=\(call.token)" }
    if call.turn > 0 { text += " turn=\(call.turn)" }
    if call.verb == .turn { text += " policy=\(call.policy.rawValue)" }
    if call.waitMs > 0 { text += " wait=\(call.waitMs)ms" }
    if call.seen > 0 { text += " seen=\(call.seen)" }
    if call.isLast { text += " last=yes" }
    if call.ttlMs > 0 { text += " ttl=\(call.ttlMs)ms" }
    if call.message > 0 { text += " message \(call.message)" }
    if call.isOfUser { text += " for the user" }
    if let clocks = call.clocks {
      text += " idle=\(clocks.idleMs)ms abandon=\(clocks.abandonMs)ms archive=\(clocks.archiveMs)ms"
    }
    if call.verb == .history { text += call.last > 0 ? " last=\(call.last)" : " of all" }
    return text
  }

  private static func text(_ outcome: LoadOutcome) -> String {
    switch outcome {
    case .granted(let token, let agent, let acquiredAtMs, let isRenewed):
      "OK token=\(token) agent=\(Agents.name(agent)) acquired_at=\(acquiredAtMs)"
        + (isRenewed ? " renewed" : "")
    case .released(let heldMs): "OK held_ms=\(heldMs)"
    case .holder(let agent, let acquiredAtMs):
      "OK agent=\(Agents.name(agent)) acquired_at=\(acquiredAtMs)"
    case .said(let seq): "OK seq=\(seq)"
    case .messages(let messages):
      messages.isEmpty ? "OK, no messages" : "OK … \(CallHistory.text(messages))"
    case .began(let grant):
      "OK turn=\(grant.turn) session=\(grant.session) seq=\(grant.seq) … "
        + CallHistory.text(grant.messages)
    case .joined(let turn, let seq): "OK joined=\(turn) seq=\(seq)"
    case .ended(let seq, let left): "OK seq=\(seq)" + (left > 0 ? " joined=\(left)" : "")
    case .goesOn(let seq, let messages):
      "OK seq=\(seq), the turn goes on with \(CallHistory.text(messages))"
    case .session(let shown): "OK session=\(shown.session) active_at=\(shown.activeAtMs)"
    case .touched(let atMs): "OK, active at \(atMs)"
    case .chatAdded(let number): "OK chat=\(number)"
    case .listed(let sessions): "OK " + sessions.joined(separator: " ")
    case .done: "OK"
    case .held: "HELD"
    case .busy(let ahead): "BUSY ahead=\(ahead)"
    case .none: "NONE"
    case .stale: "STALE"
    case .wrongState: "ERR illegal_state"
    case .overQuota(let limit): "ERR quota \(limit)"
    case .refused: "an error that says that nothing was done"
    case .unknown: "unknown: it may have been done"
    }
  }

  private static func text(_ messages: [Message]) -> String {
    messages.map { "seq \($0.seq): message \($0.number)" }.joined(separator: ", ")
  }
}
