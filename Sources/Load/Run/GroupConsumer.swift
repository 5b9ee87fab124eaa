// Owns: one consumer of the group that reads all events while a load runs, and acknowledges each.
// Runs on the loop's thread.

internal import Loop

/// The callbacks of a consumer.
protocol GroupConsumerOwner: AnyObject {
  var shop: CallerShop { get }
  var options: LoadOptions { get }
  func nextTarget() -> WorkerTarget
  /// An event of some device was delivered by the reply to a request that was sent at `askedNs`.
  func eventDelivered(_ event: LockEvent, askedNs: Int64, nowNs: Int64)
  func eventAcknowledged(_ event: LockEvent, nowNs: Int64)
  /// A consumer's connection was lost: what was on its way comes after a time-out.
  func consumerLost(_ nowNs: Int64)
  func impossible(_ reason: String)
}

/// A consumer of the group, which connects anew when its connection breaks.
final class GroupConsumer: CallerOwner {
  private enum State {
    case connecting, authenticating, reading, acknowledging, waiting
  }

  /// How many consumers a load has.
  static let count = 2
  private static let waitMs: Int64 = 1_000

  private unowned let owner: any GroupConsumerOwner
  private let group: String
  private var connection: Caller?
  private var state = State.waiting
  private var timer: LoopTimer?
  private var askedNs: Int64 = 0
  private var pending: [LockEvent] = []

  init(_ group: String, owner: any GroupConsumerOwner) {
    self.group = group
    self.owner = owner
    timer = LoopTimer(owner.shop.loop) { [unowned self] in connect() }
  }

  /// Begins to read.
  func connect() {
    askedNs = MonotonicTime.nowNs()
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
      read()
      return
    }
    state = .authenticating
    caller.send(AuthText.line(secret))
  }

  private func read() {
    state = .reading
    askedNs = MonotonicTime.nowNs()
    let types = LockEvent.Kind.allCases.map(\.rawValue).joined(separator: ",")
    connection?.send(
      Array(
        "EVENTS * group=\(group) limit=500 wait=\(GroupConsumer.waitMs)ms types=\(types)\n".utf8))
  }

  func lineReceived(_ caller: Caller, _ line: Span<UInt8>) {
    let nowNs = MonotonicTime.nowNs()
    let reply = ReplyLine(line)
    switch (state, reply.word) {
    case (.authenticating, .ok): read()
    case (.reading, .ok): received(reply.events, nowNs)
    case (.acknowledging, .ok):
      for event in pending { owner.eventAcknowledged(event, nowNs: nowNs) }
      pending = []
      read()
    case (.authenticating, _):
      owner.impossible(AuthText.refusal(ReplyLine.text(line, 0..<line.count)))
    case (_, .error(let code)) where ["unavailable", "draining", "overloaded"].contains(code):
      lost()
    case (_, .error(let code)) where code == "unknown_outcome" || code == "internal": lost()
    case (_, .error):
      owner.impossible("EVENTS is refused: \(ReplyLine.text(line, 0..<line.count))")
    default: lost()
    }
  }

  private func received(_ events: [LockEvent], _ nowNs: Int64) {
    for event in events { owner.eventDelivered(event, askedNs: askedNs, nowNs: nowNs) }
    guard state == .reading else { return }
    guard !events.isEmpty else {
      read()
      return
    }
    pending = events
    state = .acknowledging
    let ids = events.map(\.id).joined(separator: " ")
    connection?.send(Array("ACK \(group) \(ids)\n".utf8))
  }

  func broken(_ caller: Caller, _ reason: BreakReason) {
    connection = nil
    lost()
  }

  private func lost() {
    let nowNs = MonotonicTime.nowNs()
    connection?.retire()
    connection = nil
    pending = []
    state = .waiting
    owner.consumerLost(nowNs)
    timer?.set(afterMs: 200)
  }

  /// Checks, now and then, whether it has waited too long.
  func look(_ nowNs: Int64) {
    let limitNs = (owner.options.timeoutMs + GroupConsumer.waitMs) * 1_000_000
    guard state != .waiting, nowNs - askedNs > limitNs else { return }
    lost()
  }
}
