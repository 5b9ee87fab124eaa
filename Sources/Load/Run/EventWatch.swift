// Owns: the connection that watches all events while a load runs, and knows since when it has
// missed none. Runs on the loop's thread.

internal import Loop

/// The callbacks of a watch.
protocol EventWatchOwner: AnyObject {
  var shop: CallerShop { get }
  var options: LoadOptions { get }
  func nextTarget() -> WorkerTarget
  /// An event of some device; `watch` numbers the connection.
  func eventReported(_ event: LockEvent, watch: Int, nowNs: Int64)
  /// A change of a chat of some device.
  func chatChanged(_ device: String, _ change: PushedChange, nowNs: Int64)
  /// The watch has begun, or begun anew.
  func watching()
  func troubleSeen(_ nowNs: Int64)
  func impossible(_ reason: String)
}

/// A `WATCH *` that is made anew when it breaks.
final class EventWatch: CallerOwner {
  private enum State {
    case connecting, authenticating, asking, watching, waiting
  }

  private unowned let owner: any EventWatchOwner
  private var connection: Caller?
  private var state = State.waiting
  private var timer: LoopTimer?
  private var triedNs: Int64 = 0
  private var receivedNs: Int64 = 0
  private var hasPinged = false

  /// How many connections have watched.
  private(set) var number = 0
  /// From when on nothing was missed; nil while it does not watch.
  private(set) var sinceNs: Int64?
  /// The same for changes, which can be lost while it watches; `.max` while it does not.
  private(set) var changesSinceNs = Int64.max

  init(owner: any EventWatchOwner) {
    self.owner = owner
    timer = LoopTimer(owner.shop.loop) { [unowned self] in connect() }
  }

  /// Begins to watch.
  func connect() {
    triedNs = MonotonicTime.nowNs()
    state = .connecting
    do throws(SystemError) {
      connection = try Caller(owner.shop, owner.nextTarget(), owner: self)
    } catch {
      lost()
    }
  }

  func stop() {
    timer?.cancel()
    connection?.retire()
    connection = nil
    state = .waiting
  }

  func connected(_ caller: Caller) {
    guard let secret = owner.options.secret else {
      ask()
      return
    }
    state = .authenticating
    caller.send(AuthText.line(secret))
  }

  private func ask() {
    state = .asking
    let types = LockEvent.Kind.allCases.map(\.rawValue) + ["chat.said", "chat.unsaid"]
    let line = "WATCH * changes=yes types=\(types.joined(separator: ","))\n"
    connection?.send(Array(line.utf8))
  }

  func lineReceived(_ caller: Caller, _ line: Span<UInt8>) {
    let nowNs = MonotonicTime.nowNs()
    receivedNs = nowNs
    hasPinged = false
    let reply = ReplyLine(line)
    switch (state, reply.word) {
    case (_, .event):
      if let event = reply.lockEvent(line) {
        owner.eventReported(event, watch: number, nowNs: nowNs)
      } else if let device = reply.device, let change = reply.chatChange(line) {
        owner.chatChanged(ReplyLine.text(line, device), change, nowNs: nowNs)
      } else if reply.type.map({ ReplyLine.text(line, $0) }) == "changes.lost" {
        changesSinceNs = nowNs
      }
    case (.authenticating, .ok): ask()
    case (.asking, .ok):
      state = .watching
      number += 1
      sinceNs = nowNs
      changesSinceNs = nowNs
      owner.watching()
    case (.watching, .ok): return
    case (.authenticating, _):
      owner.impossible(AuthText.refusal(ReplyLine.text(line, 0..<line.count)))
    case (_, .error(let code)) where code == "auth_required" || code == "forbidden":
      owner.impossible(AuthText.refusal(ReplyLine.text(line, 0..<line.count)))
    case (_, .error(let code)) where code == "bad_request" || code == "unknown_verb":
      owner.impossible("WATCH is refused: \(ReplyLine.text(line, 0..<line.count))")
    default: lost()
    }
  }

  func broken(_ caller: Caller, _ reason: BreakReason) {
    connection = nil
    lost()
  }

  private func lost() {
    let nowNs = MonotonicTime.nowNs()
    connection?.retire()
    connection = nil
    sinceNs = nil
    changesSinceNs = .max
    state = .waiting
    owner.troubleSeen(nowNs)
    timer?.set(afterMs: 100)
  }

  /// Checks, now and then, whether the other end is still there.
  func look(_ nowNs: Int64) {
    let limitNs = owner.options.timeoutMs * 1_000_000
    switch state {
    case .waiting: return
    case .connecting, .authenticating, .asking:
      if nowNs - triedNs > limitNs { lost() }
    case .watching:
      if hasPinged {
        if nowNs - receivedNs > limitNs + 1_000_000_000 { lost() }
      } else if nowNs - receivedNs > 1_000_000_000 {
        hasPinged = true
        receivedNs = nowNs
        connection?.send(Array("PING\n".utf8))
      }
    }
  }
}
